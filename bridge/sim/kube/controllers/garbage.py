"""The garbage collector: what is owned by nothing that exists goes; orphan and foreground.

An owner is looked up as its reference describes it: by kind and name, in the dependent's own
namespace unless its kind is cluster-wide; it exists if its uid is that of the reference. A kind
that is not served is no answer: the dependent stays, and is looked at again and again. Who depends
on whom, on the other hand, is kept by uid alone, whatever else a reference says.

Not done: circles of owners that are deleted in the foreground.
"""

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Final

from bridge.sim.kube import requests
from bridge.sim.kube.apiserver import deletion, failure, kinds
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.kinds import Kind
from bridge.sim.kube.apiserver.objects import Key, Object, key_of
from bridge.sim.kube.apiserver.request import COLLECTOR
from bridge.sim.kube.apiserver.store import Change
from bridge.sim.kube.controllers.events import Recorder
from bridge.sim.kube.controllers.queue import WorkQueue

Place = tuple[str, Key]
"""Table and key."""

_EXEMPT: Final = frozenset({kinds.EVENTS.table, kinds.LEASES.table})


class _Owner(Enum):
    """What a reference refers to."""

    SOLID = "it exists"
    DANGLING = "it does not"
    WAITING = "it is deleted in the foreground, and waits for its dependents"


class GarbageCollector:
    """One for the whole cluster."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        self._changes = api.store.subscribe_everything()
        self._places: dict[str, Place] = {}
        """By uid."""
        self._dependents: dict[str, set[Place]] = {}
        """By the uid of the owner."""
        self._queue: WorkQueue[Place] = WorkQueue(api.clock)
        self._events = Recorder(api, "garbage-collector-controller")
        for table in api.store.tables:
            for stored in api.store.every(table):
                self._learn((table, key_of(stored.object)), stored.object)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._queue.work(self._attend))

    async def _follow(self) -> None:
        while True:
            for change in await self._changes.take():
                if change.table not in _EXEMPT:
                    await self._note(change)

    async def _note(self, change: Change) -> None:
        """Keep the indexes, and queue whoever the change may concern."""
        obj = change.current.object
        uid, place = obj["metadata"]["uid"], (change.table, key_of(obj))
        known = _references(change.previous) if change.previous else []
        if change.type == "DELETED":
            self._places.pop(uid, None)
            self._forget(place, known)
            for dependent in sorted(self._dependents.get(uid, ())):
                self._queue.add(dependent)
            return
        now = _references(obj)
        if now != known:
            self._forget(place, known)
        self._learn(place, obj)
        if (now and now != known) or obj["metadata"].get("deletionTimestamp"):
            self._queue.add(place)
        if now != known:
            await self._warn(obj, now)

    def _learn(self, place: Place, obj: Object) -> None:
        self._places[obj["metadata"]["uid"]] = place
        for reference in _references(obj):
            self._dependents.setdefault(reference["uid"], set()).add(place)

    def _forget(self, place: Place, references: list[Object]) -> None:
        """The object at `place` depends on these no more; they may have waited for that."""
        for uid in {reference["uid"] for reference in references}:
            siblings = self._dependents.get(uid, set())
            siblings.discard(place)
            if not siblings:
                self._dependents.pop(uid, None)
            if uid in self._places:
                self._queue.add(self._places[uid])

    async def _warn(self, obj: Object, references: list[Object]) -> None:
        """An event for an owner that is known to be in another namespace."""
        namespace = obj["metadata"].get("namespace", "")
        for reference in references:
            place = self._places.get(reference["uid"])
            if place is not None and place[1][0] not in ("", namespace):
                identity = (
                    f"[{reference['apiVersion']}/{reference['kind']}, namespace: {namespace}, "
                    f"name: {reference['name']}, uid: {reference['uid']}]"
                )
                message = f'ownerRef {identity} does not exist in namespace "{namespace}"'
                await self._events.warning(obj, "OwnerRefInvalidNamespace", message)

    async def _attend(self, place: Place) -> None:
        """One object as it is now. Raises ApiFailure for what is to be tried again."""
        obj = self._now(place)
        if obj is None:
            return
        finalizers = obj["metadata"].get("finalizers") or ()
        if not obj["metadata"].get("deletionTimestamp"):
            await self._collect(place, obj)
        elif deletion.ORPHAN in finalizers:
            await self._orphan(place, obj)
        elif deletion.FOREGROUND in finalizers:
            await self._finish_foreground(place, obj)

    async def _collect(self, place: Place, obj: Object) -> None:
        """Delete the object if none of its owners exists (any more); with one left, it forgets
        the others."""
        owners: dict[_Owner, list[str]] = {one: [] for one in _Owner}
        for reference in _references(obj):
            owners[self._judge(reference, place)].append(reference["uid"])
        others = frozenset(owners[_Owner.DANGLING] + owners[_Owner.WAITING])
        if owners[_Owner.SOLID]:
            if others:
                await self._patch(place, lambda now: _without_owners(now, others))
        elif owners[_Owner.WAITING] and self._dependents.get(obj["metadata"]["uid"]):
            await self._delete(place, obj, "Foreground")
        elif others:
            await self._delete(place, obj, _policy(obj))

    def _judge(self, reference: Object, dependent: Place) -> _Owner:
        """Raises ApiFailure where its kind is not served, or can't own the dependent."""
        kind = self._api.kinds.named(reference["apiVersion"], reference["kind"])
        namespace = dependent[1][0]
        if kind is None or (kind.namespaced and not namespace):
            raise failure.internal(
                f"unable to get REST mapping for {reference['apiVersion']}/{reference['kind']}."
            )
        place = (kind.table, (namespace if kind.namespaced else "", reference["name"]))
        owner = self._now(place)
        if owner is None or owner["metadata"]["uid"] != reference["uid"]:
            return _Owner.DANGLING
        finalizers = owner["metadata"].get("finalizers") or ()
        if owner["metadata"].get("deletionTimestamp") and deletion.FOREGROUND in finalizers:
            return _Owner.WAITING
        return _Owner.SOLID

    async def _orphan(self, place: Place, owner: Object) -> None:
        """`orphan`: the dependents forget their owner, then it may go."""
        uid = owner["metadata"]["uid"]
        for dependent in sorted(self._dependents.get(uid, ())):
            await self._patch(dependent, lambda obj: _without_owners(obj, frozenset({uid})))
        await self._patch(place, lambda obj: _without_finalizer(obj, deletion.ORPHAN))

    async def _finish_foreground(self, place: Place, owner: Object) -> None:
        """`foregroundDeletion`: the dependents go first, and those that block are waited for."""
        uid = owner["metadata"]["uid"]
        blocking = False
        for dependent in sorted(self._dependents.get(uid, ())):
            obj = self._now(dependent)
            if obj is None:
                continue
            blocking = blocking or _blocks(obj, uid)
            if not obj["metadata"].get("deletionTimestamp"):
                self._queue.add(dependent)
        if not blocking:
            await self._patch(place, lambda obj: _without_finalizer(obj, deletion.FOREGROUND))

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
            if problem.code != 404:
                raise


def _references(obj: Object) -> list[Object]:
    return list(obj["metadata"].get("ownerReferences") or ())


def _policy(obj: Object) -> str:
    """What the object's finalizers say already is to become of its own dependents."""
    finalizers = obj["metadata"].get("finalizers") or ()
    if deletion.ORPHAN in finalizers:
        return "Orphan"
    return "Foreground" if deletion.FOREGROUND in finalizers else "Background"


def _blocks(obj: Object, uid: str) -> bool:
    return any(
        reference["uid"] == uid and reference.get("blockOwnerDeletion")
        for reference in _references(obj)
    )


def _without_owners(obj: Object, uids: frozenset[str]) -> Object:
    kept = [one for one in _references(obj) if one["uid"] not in uids]
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": kept}}


def _without_finalizer(obj: Object, name: str) -> Object:
    kept = [one for one in obj["metadata"].get("finalizers") or () if one != name]
    return {**obj, "metadata": {**obj["metadata"], "finalizers": kept}}
