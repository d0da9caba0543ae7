"""What the controllers of apps/v1 have in common: they follow owners and what these control."""

import asyncio
from abc import ABC, abstractmethod
from typing import Final

from bridge.sim.kube import requests
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.kinds import Kind
from bridge.sim.kube.apiserver.objects import (
    Key,
    Object,
    condition_is_true,
    controller_of,
    key_of,
    owner_reference,
)
from bridge.sim.kube.apiserver.request import User
from bridge.sim.kube.apiserver.store import Subscription
from bridge.sim.kube.controllers.queue import WorkQueue

_TERMINAL: Final = ("Succeeded", "Failed")


class OwnerController(ABC):
    """Brings each owner and what it controls together after every change of either.

    The children of an owner are looked up among all of its namespace: made for stories and the
    demo, not for thousands of owners.
    """

    def __init__(self, api: ApiServer, owners: Kind, children: Kind, *, name: str) -> None:
        self._api = api
        self._owners, self._children = owners, children
        self._user = User(f"system:serviceaccount:kube-system:{name}")
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
                controller = controller_of(change.current.object)
                if controller is not None and controller["kind"] == self._owners.kind:
                    namespace, _ = key_of(change.current.object)
                    self._queue.add((namespace, controller["name"]))

    async def _sync(self, key: Key) -> None:
        stored = self._api.store.get(self._owners.table, key)
        if stored is None or stored.object["metadata"].get("deletionTimestamp"):
            return
        uid = stored.object["metadata"]["uid"]
        found = [one.object for one in self._api.store.scan(self._children.table, key[0])]
        mine = [one for one in found if (controller_of(one) or {}).get("uid") == uid]
        await self.sync(stored.object, mine)


def is_active(pod: Object) -> bool:
    """Whether a pod counts: neither over nor being deleted."""
    over = pod["status"].get("phase") in _TERMINAL
    return not over and "deletionTimestamp" not in pod["metadata"]


def is_ready(pod: Object) -> bool:
    """Whether it is up."""
    return is_active(pod) and condition_is_true(pod, "Ready")
