"""The garbage collector: what is owned by nothing that exists goes; orphan and foreground.

One pass over every change of every kind: who depends on whom is kept as two indexes, so a
deletion costs as much as it has dependents.
"""

from collections.abc import Callable
from typing import Final

from bridge.sim.kube import requests
from bridge.sim.kube.apiserver import deletion, kinds
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.kinds import Kind
from bridge.sim.kube.apiserver.objects import Key, Object, key_of
from bridge.sim.kube.apiserver.request import COLLECTOR
from bridge.sim.kube.apiserver.store import Change

Place = tuple[str, Key]
"""Table and key."""

_EXEMPT: Final = frozenset({kinds.EVENTS.table, kinds.LEASES.table})


class GarbageCollector:
    """One for the whole cluster."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        self._changes = api.store.subscribe_everything()
        self._alive: dict[str, Place] = {}
        self._dependents: dict[str, set[Place]] = {}
        for table in api.store.tables:
            for stored in api.store.every(table):
                self._add(table, stored.object)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            for change in await self._changes.take():
                if change.table not in _EXEMPT:
                    await self._handle(change)

    async def _handle(self, change: Change) -> None:
        obj = change.current.object
        uid = obj["metadata"]["uid"]
        place = (change.table, key_of(obj))
        if change.type == "DELETED":
            self._alive.pop(uid, None)
            for reference in obj["metadata"].get("ownerReferences") or ():
                siblings = self._dependents.get(reference["uid"], set())
                siblings.discard(place)
                if not siblings:
                    self._dependents.pop(reference["uid"], None)
                    await self._attempt_foreground(reference["uid"])
            for dependent in sorted(self._dependents.get(uid, ())):
                await self._collect(dependent)
            return
        self._add(change.table, obj)
        if obj["metadata"].get("ownerReferences"):
            await self._collect(place)
        if obj["metadata"].get("deletionTimestamp"):
            await self._orphan(place, obj)
            await self._attempt_foreground(uid)

    def _add(self, table: str, obj: Object) -> None:
        metadata = obj["metadata"]
        place = (table, key_of(obj))
        self._alive[metadata["uid"]] = place
        for reference in metadata.get("ownerReferences") or ():
            self._dependents.setdefault(reference["uid"], set()).add(place)

    async def _collect(self, place: Place) -> None:
        """Delete the object if none of its owners exists (any more)."""
        obj = self._now(place)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return
        owners = obj["metadata"].get("ownerReferences") or ()
        if owners and not any(self._exists(owner["uid"]) for owner in owners):
            await self._delete(place, obj, "Background")

    async def _orphan(self, place: Place, owner: Object) -> None:
        """`orphan`: the dependents forget their owner, then it may go."""
        if deletion.ORPHAN not in (owner["metadata"].get("finalizers") or ()):
            return
        uid = owner["metadata"]["uid"]
        for dependent in sorted(self._dependents.pop(uid, ())):
            await self._patch(dependent, lambda obj: _without_owner(obj, uid))
        await self._patch(place, lambda obj: _without_finalizer(obj, deletion.ORPHAN))

    async def _attempt_foreground(self, uid: str) -> None:
        """`foregroundDeletion`: the dependents go first."""
        place = self._alive.get(uid)
        owner = self._now(place) if place else None
        if place is None or owner is None or not owner["metadata"].get("deletionTimestamp"):
            return
        if deletion.FOREGROUND not in (owner["metadata"].get("finalizers") or ()):
            return
        blocking = False
        for dependent in sorted(self._dependents.get(uid, ())):
            obj = self._now(dependent)
            if obj is None:
                continue
            blocking = blocking or _blocks(obj, uid)
            if not obj["metadata"].get("deletionTimestamp"):
                await self._delete(dependent, obj, "Foreground")
        if not blocking:
            await self._patch(place, lambda obj: _without_finalizer(obj, deletion.FOREGROUND))

    def _exists(self, uid: str) -> bool:
        place = self._alive.get(uid)
        obj = self._now(place) if place else None
        return obj is not None and bool(obj["metadata"]["uid"] == uid)

    def _now(self, place: Place) -> Object | None:
        stored = self._api.store.get(*place)
        return stored.object if stored else None

    def _kind(self, table: str) -> Kind | None:
        return next((kind for kind in self._api.kinds if kind.table == table), None)

    async def _delete(self, place: Place, obj: Object, policy: str) -> None:
        kind = self._kind(place[0])
        if kind is None:
            return
        target = Target(kind, *place[1], user=COLLECTOR)
        await requests.delete(self._api, target, obj, propagationPolicy=policy)

    async def _patch(self, place: Place, change: Callable[[Object], Object]) -> None:
        kind = self._kind(place[0])
        if kind is None:
            return
        try:
            await self._api.patch(Target(kind, *place[1], user=COLLECTOR), change)
        except ApiFailure as problem:
            if problem.code not in (404, 409):
                raise


def _blocks(obj: Object, uid: str) -> bool:
    return any(
        reference["uid"] == uid and reference.get("blockOwnerDeletion")
        for reference in obj["metadata"].get("ownerReferences") or ()
    )


def _without_owner(obj: Object, uid: str) -> Object:
    kept = [one for one in obj["metadata"].get("ownerReferences") or () if one["uid"] != uid]
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": kept}}


def _without_finalizer(obj: Object, name: str) -> Object:
    kept = [one for one in obj["metadata"].get("finalizers") or () if one != name]
    return {**obj, "metadata": {**obj["metadata"], "finalizers": kept}}
