"""Requests to the API server: one rate, one tree of errors.

Ordinary requests share a token bucket and a bound on what is in flight. What keeps the bridge
alive (lease, lists, watches) is `urgent` and waits for neither: a thousand pins must not cost the
leadership.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Literal

from bridge.clock import Clock
from bridge.config import KubernetesSettings
from bridge.kube.api import credentials, depth, errors
from bridge.kube.api.throttle import TokenBucket
from bridge.kube.api.transport import Request, Transport

PatchKind = Literal["merge", "strategic", "json"]

_CONTENT_TYPE: Final[Mapping[str, str]] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}
_IN_FLIGHT: Final = 128
_TRIES: Final = 4
_LONGEST_WAIT_S: Final = 10.0


class KubeClient:
    """The API server. Every method raises `KubeError`s and nothing else.

    A request that the API server asked to repeat (429, Retry-After) is repeated here a few times;
    every other failure is the caller's to judge. `clock` is public: what is written to objects is
    stamped with it.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        clock: Clock,
        qps: float,
        burst: int,
        timeout_s: float = 30.0,
    ) -> None:
        self.clock = clock
        self._transport = transport
        self._timeout_s = timeout_s
        self._bucket = TokenBucket(per_s=qps, burst=burst, clock=clock)
        self._in_flight = asyncio.Semaphore(_IN_FLIGHT)
        self._cluster_uid = ""
        self.may_write: Callable[[], bool] = lambda: True
        """Asked before each request that changes something, but for urgent ones (the Lease)."""

    @classmethod
    async def connect(
        cls,
        settings: KubernetesSettings,
        *,
        clock: Clock,
        places: credentials.Places | None = None,
        timeout_s: float = 30.0,
    ) -> "KubeClient":
        """Find the API server and our credentials. Sends nothing yet.

        Raises ConfigError when there are none, with what was tried.
        """
        places = places or credentials.Places()
        transport = await Transport.open(settings, clock=clock, places=places)
        return cls(
            transport, clock=clock, qps=settings.qps, burst=settings.burst, timeout_s=timeout_s
        )

    @property
    def target(self) -> str:
        """Which cluster this is, for the first log line: context and server."""
        return self._transport.target

    async def cluster_uid(self) -> str:
        """uid of the namespace kube-system: the cluster's identity, kept once known."""
        if not self._cluster_uid:
            namespace = await self.get("/api/v1/namespaces/kube-system", urgent=True)
            uid = (namespace.get("metadata") or {}).get("uid")
            if not uid:
                raise errors.Garbled("GET namespace kube-system: an answer without a uid")
            self._cluster_uid = str(uid)
        return self._cluster_uid

    async def get(
        self, path: str, params: Mapping[str, str] | None = None, *, urgent: bool = False
    ) -> Mapping[str, Any]:
        """The object or list at `path`."""
        return await self._object(Request("GET", path, params), urgent=urgent)

    async def read(
        self, path: str, params: Mapping[str, str] | None = None, *, urgent: bool = False
    ) -> bytes:
        """What is at `path`, as it came; for lists, which are read straight into rows."""
        return await self._do(Request("GET", path, params), urgent=urgent)

    async def create(
        self, path: str, body: Mapping[str, Any], *, urgent: bool = False
    ) -> Mapping[str, Any]:
        """POST `body` to `path`; the object as it was stored."""
        return await self._object(Request("POST", path, body=body), urgent=urgent)

    async def patch(
        self,
        path: str,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        kind: PatchKind = "merge",
        urgent: bool = False,
    ) -> Mapping[str, Any]:
        """PATCH the object at `path`; the object as it is then."""
        request = Request("PATCH", path, body=body, content_type=_CONTENT_TYPE[kind])
        return await self._object(request, urgent=urgent)

    async def delete(
        self, path: str, *, uid: str | None = None, grace_s: int | None = None
    ) -> None:
        """DELETE the object at `path`.

        With `uid` only that very object: when another has its name, NotFound is raised.
        """
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        try:
            await self._do(Request("DELETE", path, body=options))
        except errors.Conflict as error:
            # Two places of the API server say it in two ways; we send no other precondition.
            if uid is not None and "precondition" in str(error).lower():
                raise errors.NotFound(str(error), status=404, reason="NotFound") from error
            raise

    def stream(
        self, path: str, params: Mapping[str, str], *, silence_s: float
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The chunks of a watch, as they arrive. Ends when the server ends it.

        Raises Unavailable when nothing at all arrives for `silence_s`.
        """
        return self._transport.stream(Request("GET", path, params), silence_s=silence_s)

    async def close(self) -> None:
        """Close all connections; requests that are under way fail."""
        await self._transport.close()

    async def _object(self, request: Request, *, urgent: bool) -> Mapping[str, Any]:
        data = await self._do(request, urgent=urgent)
        try:
            answer = depth.read(data)
        except ValueError as error:
            raise errors.Garbled(
                f"{request}: the answer is not JSON ({error}): {data[:80]!r}"
            ) from None
        if not isinstance(answer, dict):
            raise errors.Garbled(f"{request}: a JSON {type(answer).__name__}, not an object")
        return answer

    async def _do(self, request: Request, *, urgent: bool = False) -> bytes:
        for attempt in range(1, _TRIES + 1):
            try:
                if urgent:
                    return await self._transport.exchange(request, timeout_s=self._timeout_s)
                await self._bucket.take()
                async with self._in_flight:
                    if request.method != "GET" and not self.may_write():
                        raise errors.LeadsNoMore(f"{request}: this process does not lead")
                    return await self._transport.exchange(request, timeout_s=self._timeout_s)
            except errors.Throttled as error:
                if attempt == _TRIES or error.retry_after_s > _LONGEST_WAIT_S:
                    raise
                await self.clock.sleep(error.retry_after_s)
        raise AssertionError("the loop returns or raises")
