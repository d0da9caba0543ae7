"""Leader election on a coordination.k8s.io/v1 Lease.

Whoever writes its name into the Lease leads, as long as it keeps renewing. Others' clocks are not
trusted: a lease is over when *we* have seen no change of it for its duration. Our own leadership
ends by our own clock, at the renew deadline, before anybody else may take over; a process that
was stopped for longer (swap, SIGSTOP, a debugger) finds itself out of office before it acts.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import structlog

from bridge.clock import Clock
from bridge.kube.api import errors, times
from bridge.kube.api.client import KubeClient

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Terms:
    """Times in seconds; `renew_deadline_s` < `duration_s`, `retry_s` well below it."""

    duration_s: int = 15
    renew_deadline_s: float = 10.0
    retry_s: float = 2.0


class LostLease(errors.KubeError):
    """We lead no more: somebody else does, or the API server could not be asked in time."""


class Lease:
    """One candidate for one Lease. `identity` is unique to the process (pod name and uid)."""

    def __init__(
        self,
        client: KubeClient,
        *,
        namespace: str,
        name: str,
        identity: str,
        clock: Clock,
        terms: Terms | None = None,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._clock = clock
        self._terms = terms or Terms()
        self._record: Mapping[str, Any] = {}
        self._version = ""
        self._changed_at = float("-inf")
        self._renewed_at = float("-inf")

    @property
    def identity(self) -> str:
        """Who we are to others."""
        return self._identity

    @property
    def holder(self) -> str:
        """Who led when we last looked; "" when nobody did."""
        return str(self._record.get("holderIdentity") or "")

    @property
    def leading(self) -> bool:
        """Whether we lead now, by our own clock."""
        return self.holder == self._identity and self._left_s() > 0

    def _left_s(self) -> float:
        """Seconds until we must have renewed."""
        return self._renewed_at + self._terms.renew_deadline_s - self._clock.monotonic()

    async def lead(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait for the office, run `work` while we hold it, give it up when `work` ends.

        Raises LostLease when the office is lost meanwhile; `work` is cancelled first.
        """
        await self.acquire()
        working = asyncio.ensure_future(work())
        holding = asyncio.ensure_future(self.hold())
        try:
            await asyncio.wait({working, holding}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
                return
            holding.result()
        finally:
            for task in (working, holding):
                task.cancel()
            await asyncio.gather(working, holding, return_exceptions=True)
            if self.leading:
                await self.release()

    async def acquire(self) -> None:
        """Wait until we lead. API servers that are away are waited for."""
        while not await self._try(self._take):
            await self._clock.sleep(self._terms.retry_s * random.uniform(1.0, 1.2))
        _log.info("lease.acquired", lease=self._name, identity=self._identity)

    async def hold(self) -> None:
        """Renew until it is lost; then raise LostLease."""
        while True:
            await self._clock.sleep(min(self._terms.retry_s, max(0.0, self._left_s())))
            if not self.leading:
                break
            if not await self._try(self._renew) and self.holder not in ("", self._identity):
                break
        raise LostLease(
            f"lease {self._namespace}/{self._name} is lost: held by {self.holder or 'nobody'}, "
            f"last renewed by us {self._clock.monotonic() - self._renewed_at:.1f} s ago"
        )

    async def release(self) -> None:
        """Give the office up, so that the next need not wait; failures don't matter."""
        if self.holder != self._identity:
            return
        now = times.micros(self._clock.time())
        empty = {
            "holderIdentity": "",
            "leaseDurationSeconds": 1,
            "renewTime": now,
            "acquireTime": now,
        }
        await self._try(lambda: self._write(empty))
        self._renewed_at = float("-inf")

    async def _try(self, step: Callable[[], Awaitable[bool]]) -> bool:
        """One step, bounded in time; False when it did not work out.

        While we lead it must be over before the office is.
        """
        limit_s = self._terms.renew_deadline_s / 2
        if self.leading:
            limit_s = min(limit_s, self._left_s())
        try:
            async with asyncio.timeout(limit_s):
                return await step()
        except (errors.KubeError, TimeoutError) as error:
            _log.info("lease.try_failed", lease=self._name, error=str(error))
            return False

    async def _take(self) -> bool:
        """Look at the Lease; write our name into it when it is free."""
        try:
            self._see(await self._client.get(self._path(), urgent=True))
        except errors.NotFound:
            return await self._create()
        if self.holder and self.holder != self._identity and not self._is_over():
            return False
        now = times.micros(self._clock.time())
        transitions = self._record.get("leaseTransitions") or 0
        return await self._write(
            {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": self._terms.duration_s,
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": transitions + (self.holder != self._identity),
            }
        )

    async def _renew(self) -> bool:
        try:
            return await self._write({"renewTime": times.micros(self._clock.time())})
        except errors.Conflict:  # somebody touched it: look who leads
            self._see(await self._client.get(self._path(), urgent=True))
            if self.holder != self._identity:
                return False
            return await self._write({"renewTime": times.micros(self._clock.time())})

    async def _create(self) -> bool:
        now = times.micros(self._clock.time())
        started = self._clock.monotonic()
        collection, _, name = self._path().rpartition("/")
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._terms.duration_s,
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": 0,
        }
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"namespace": self._namespace, "name": name},
            "spec": spec,
        }
        self._see(await self._client.create(collection, body, urgent=True))
        self._renewed_at = started
        return True

    async def _write(self, spec: Mapping[str, Any]) -> bool:
        """Change the Lease as we saw it; Conflict when it is not as we saw it any more.

        The renewal counts from before the request: when the answer is late, we are early.
        """
        started = self._clock.monotonic()
        body = {"metadata": {"resourceVersion": self._version}, "spec": spec}
        self._see(await self._client.patch(self._path(), body, urgent=True))
        self._renewed_at = started
        return True

    def _see(self, raw: Mapping[str, Any]) -> None:
        version = str(raw["metadata"]["resourceVersion"])
        if version != self._version:
            self._changed_at = self._clock.monotonic()
        self._version = version
        self._record = raw.get("spec") or {}

    def _is_over(self) -> bool:
        """Nobody renewed it for its duration, as seen by us."""
        duration_s = self._record.get("leaseDurationSeconds") or self._terms.duration_s
        return self._clock.monotonic() - self._changed_at > float(duration_s)

    def _path(self) -> str:
        namespace, name = quote(self._namespace, safe=""), quote(self._name, safe="")
        return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}"
