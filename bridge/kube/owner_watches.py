"""Owners of pods, each kind watched from the first pod on that names it.

Which kinds own pods in a cluster is known only by its pods, and many kinds will be none that we
may read. So a kind is looked up and watched when somebody wants it; one that is forbidden or not
served is told as unreadable, which is no error, and tried again every few minutes.

A reference may name any kind, and pods thousands of them that do not exist. So few are looked up at
the same time, and of those that were found unreadable only the first ones are tried again.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import structlog

from bridge.clock import Clock
from bridge.config import RoleKind
from bridge.errors import BadInput
from bridge.kube.api import discovery, errors
from bridge.kube.api.client import KubeClient
from bridge.kube.api.reflector import Change, Pace, Reflector, Replaced
from bridge.kube.objects import owners
from bridge.model.owner import Owner, OwnerKey, Settled, key_of
from bridge.telemetry import OutageLog

RETRY_S: Final = 300.0
"""Time between two tries of a kind that can't be read."""
MOST_RETRIED: Final = 200
"""Kinds that can't be read and are tried again: a cluster has not so many."""
_LOOKUPS: Final = 4
"""Kinds that are looked up at the same time; discovery goes past the client's rate."""
_CONFIRM_S: Final = (1.0, 2.0, 4.0)
"""A kind that was watched is denied only when it is so after each of these times: an API server
that has just started says 403 or 404 for a moment before it knows its roles and its CRDs."""
_NO_OWNERS: Final = (("", "Pod"), ("", "Node"))
"""Pods own others' StatefulSets (LeaderWorkerSet) and are known already; nodes own mirror pods."""

_log = structlog.get_logger()


class OwnerWatches:
    """Watches the kinds that are wanted; `run` does it.

    `sink` has every change, by kind; its rows are whole objects of the kind. `settled` is called
    when a kind has become readable ("watched", after its first list went to the sink) or is found
    not to be ("unreadable": rows that the sink had stay as they were). Both are called in the
    event loop, from `run`, and must not block. `kinds` is the settings' table of kinds of roles.
    `refused` hears of objects that can't be read: their kind, version, content and why.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        clock: Clock,
        sink: Callable[[OwnerKey, Change[Owner]], None],
        settled: Callable[[OwnerKey, Settled], None],
        kinds: Mapping[str, RoleKind],
        refused: Callable[[str, str, Mapping[str, Any], BadInput], None] | None = None,
        outage: OutageLog | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._sink = sink
        self._tell = settled
        self._kinds = kinds
        self._refused = refused
        self._outage = outage
        self._pace = pace or Pace()
        self._states: dict[OwnerKey, Settled | None] = {}
        self._wanted: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._lookups = asyncio.Semaphore(_LOOKUPS)
        self._retried: set[OwnerKey] = set()
        """Kinds that are unreadable, and tried again."""

    def want(self, api_version: str, kind: str) -> None:
        """Have the kind watched from now on; again, or in another version, changes nothing."""
        key = key_of(api_version, kind)
        if key not in self._states:
            self._states[key] = None
            self._wanted.put_nowait((api_version, kind))

    async def run(self) -> None:
        """Watch what is wanted, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                api_version, kind = await self._wanted.get()
                group.create_task(self._follow(api_version, kind), name=f"owners {kind}")

    async def _follow(self, api_version: str, kind: str) -> None:
        """One kind, for ever; or until it is unreadable, beside many others that are."""
        key = key_of(api_version, kind)
        if key in _NO_OWNERS:
            self._settle(key, "unreadable")
            return
        waits_s = iter(_CONFIRM_S)
        while True:
            began_s = self._clock.monotonic()
            try:
                denial = await self._until_denied(api_version, kind)
            except Exception:  # a mistake of ours with one kind must not cost the others
                _log.exception("owners.failed", kind=kind, api_version=api_version)
                await self._clock.sleep(RETRY_S)
                continue
            if self._clock.monotonic() - began_s >= RETRY_S:  # it went well for so long
                waits_s = iter(_CONFIRM_S)
            wait_s = next(waits_s, None) if self._states[key] == "watched" else None
            if wait_s is None and self._settle(key, "unreadable"):
                _log.warning(
                    "owners.unreadable",
                    kind=kind,
                    api_version=api_version,
                    error=str(denial.error),
                    needs=f"list, watch on {denial.resource}",
                )
            if wait_s is None and not self._may_retry(key):
                return
            await self._clock.sleep(RETRY_S if wait_s is None else wait_s)

    def _may_retry(self, key: OwnerKey) -> bool:
        """Whether it is one of the first that were found unreadable."""
        if len(self._retried) < MOST_RETRIED:
            self._retried.add(key)
        return key in self._retried

    async def _until_denied(self, api_version: str, kind: str) -> "_Denial":
        """Watch the kind for as long as we may; outages are waited out."""
        key = key_of(api_version, kind)
        name = _name(api_version, kind)
        resource = name
        try:
            served = await self._find(api_version, kind)
            resource = served.resource
            reflector: Reflector[Owner] = Reflector(
                self._client,
                path=served.path,
                parse=owners.parser(served.api_version, kind, self._kinds),
                key=lambda row: row.uid,
                sink=partial(self._take, key),
                clock=self._clock,
                name=name,
                refused=partial(self._refused, kind, api_version) if self._refused else None,
                outage=self._outage,
                pace=self._pace,
                may_give_up=True,
            )
            await reflector.run()
        except (errors.Forbidden, errors.NotFound) as error:
            if self._outage is not None:
                self._outage.answered(to=name)
            return _Denial(error, resource)
        raise AssertionError("a reflector ends by raising")

    async def _find(self, api_version: str, kind: str) -> discovery.Served:
        """Raises NotServed and Forbidden; everything else may pass."""
        backoff = self._pace.backoff()
        while True:
            try:
                async with self._lookups:
                    return await discovery.find(self._client, api_version, kind)
            except (errors.Forbidden, errors.NotFound):
                raise
            except errors.KubeError as error:
                if self._outage is not None:
                    self._outage.failed(error, of=_name(api_version, kind))
                await self._clock.sleep(backoff.next_s())

    def _take(self, key: OwnerKey, change: Change[Owner]) -> None:
        self._sink(key, change)
        if isinstance(change, Replaced):
            self._retried.discard(key)
            self._settle(key, "watched")

    def _settle(self, key: OwnerKey, state: Settled) -> bool:
        """Tell how it is with the kind; False when that is known."""
        if self._states[key] == state:
            return False
        self._tell(key, state)
        self._states[key] = state
        return True


class _Denial(NamedTuple):
    """Why a kind is not watched (any more)."""

    error: errors.KubeError
    resource: str
    """As RBAC names it, as far as that is known."""


def _name(api_version: str, kind: str) -> str:
    """Kind.group, or the kind alone of the core group."""
    group, slash, _ = api_version.rpartition("/")
    return f"{kind}.{group}" if slash else kind
