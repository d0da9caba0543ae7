"""What the controllers of apps/v1 have in common: they follow owners and what these control."""

import asyncio
from abc import ABC, abstractmethod

from bridge.sim.kube import requests
from bridge.sim.kube.apiserver import request
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.kinds import Kind
from bridge.sim.kube.apiserver.objects import Key, Object, controller_of, key_of, owner_reference
from bridge.sim.kube.apiserver.store import Subscription
from bridge.sim.kube.controllers import claims
from bridge.sim.kube.controllers.claims import Claims
from bridge.sim.kube.controllers.queue import WorkQueue


class OwnerController(ABC):
    """Brings each owner and what it controls together after every change of either.

    The children of an owner are looked up among all of its namespace: made for stories and the
    demo, not for thousands of owners.
    """

    def __init__(self, api: ApiServer, owners: Kind, children: Kind, *, name: str) -> None:
        self._api = api
        self._owners, self._children = owners, children
        self._user = request.controller(name)
        self._claims = Claims(api, children, self._user)
        self._queue: WorkQueue[Key] = WorkQueue(api.clock)
        self._changed_owners = api.store.subscribe(owners.table, since=0)
        self._changed_children = api.store.subscribe(children.table, since=0)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_owners(self._changed_owners))
            tasks.create_task(self._follow_children(self._changed_children))
            tasks.create_task(self._queue.work(self._sync))

    @abstractmethod
    async def sync(self, owner: Object, children: list[Object]) -> None:
        """Create and delete one owner's children, write its status. May raise ApiFailure."""

    def concerns(self, child: Object) -> bool:
        """Whether a child is looked at at all."""
        del child
        return True

    def takes(self, owner: Object, child: Object) -> bool:
        """Whether a child in the owner's namespace is one that it may have."""
        return claims.selects(owner, child)

    async def create(self, owner: Object, child: Object) -> None:
        """Create what `owner` is to control, in its namespace."""
        namespace = owner["metadata"]["namespace"]
        kind = self._children
        metadata = {
            **child["metadata"],
            "namespace": namespace,
            "ownerReferences": [owner_reference(owner)],
        }
        head = {"apiVersion": kind.api_version, "kind": kind.kind}
        target = Target(kind, namespace, user=self._user)
        await self._api.create(target, {**head, **child, "metadata": metadata})

    async def delete(self, child: Object) -> None:
        """Delete a child; gone already is fine."""
        namespace, name = key_of(child)
        target = Target(self._children, namespace, name, user=self._user)
        await requests.delete(self._api, target, child, propagationPolicy="Background")

    async def report(self, owner: Object, status: Object) -> None:
        """Write the owner's status, with the generation that it is about."""
        namespace, name = key_of(owner)
        seen = {"observedGeneration": owner["metadata"]["generation"], **status}
        target = Target(self._owners, namespace, name, "status", self._user)
        await self._api.patch(target, lambda now: {**now, "status": seen})

    async def _follow_owners(self, changes: Subscription) -> None:
        while True:
            for change in await changes.take():
                self._queue.add(key_of(change.current.object))

    async def _follow_children(self, changes: Subscription) -> None:
        while True:
            for change in await changes.take():
                self._wake(change.current.object)
                if change.previous is not None:
                    self._wake(change.previous)

    def _wake(self, child: Object) -> None:
        """Queue the owner that a child names; or those that may adopt it."""
        namespace, _ = key_of(child)
        controller = controller_of(child)
        if controller is not None:
            if controller["kind"] == self._owners.kind:
                self._queue.add((namespace, controller["name"]))
            return
        for stored in self._api.store.scan(self._owners.table, namespace):
            if self.takes(stored.object, child):
                self._queue.add(key_of(stored.object))

    async def _sync(self, key: Key) -> None:
        stored = self._api.store.get(self._owners.table, key)
        if stored is None or stored.object["metadata"].get("deletionTimestamp"):
            return
        owner = stored.object
        found = [child for child in self._children_in(key[0]) if self.concerns(child)]
        await self._claims.settle(owner, found, lambda child: self.takes(owner, child))
        mine = [
            child
            for child in self._children_in(key[0])
            if claims.controls(owner, child) and self.takes(owner, child)
        ]
        await self.sync(owner, mine)

    def _children_in(self, namespace: str) -> list[Object]:
        return [one.object for one in self._api.store.scan(self._children.table, namespace)]
