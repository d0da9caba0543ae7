"""Binds claims and volumes, and makes the claims of ephemeral volumes.

What the PV binder and the ephemeral volume controller of a real cluster do for stories: claims
that wait for their pod's node are left to the scheduler, which names them in a volume or asks for
one (`selected-node`). There is no provisioner: a story plays it.
"""

import asyncio
from collections.abc import Iterator

from bridge.sim.kube import requests, storage
from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.kinds import Kind
from bridge.sim.kube.apiserver.objects import Object, copy, key_of, owner_reference
from bridge.sim.kube.apiserver.request import VOLUME_CONTROLLER
from bridge.sim.kube.apiserver.store import Subscription


class VolumeController:
    """One for the whole cluster. Each change looks at all claims: stories have few."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        self._pods = api.store.subscribe(kinds.PODS.table, since=0)
        self._storage = [
            api.store.subscribe(kind.table, since=0)
            for kind in (kinds.CLAIMS, kinds.VOLUMES, kinds.STORAGE_CLASSES)
        ]
        self._looking = asyncio.Lock()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_pods())
            for changes in self._storage:
                tasks.create_task(self._follow(changes))

    async def _follow_pods(self) -> None:
        while True:
            for change in await self._pods.take():
                if change.type == "ADDED":
                    await self._claim_for(change.current.object)

    async def _follow(self, changes: Subscription) -> None:
        while True:
            await changes.take()
            async with self._looking:
                await self._look()

    async def _claim_for(self, pod: Object) -> None:
        namespace, name = key_of(pod)
        for volume in pod["spec"].get("volumes") or ():
            if not volume.get("ephemeral"):
                continue
            template = copy(volume["ephemeral"]["volumeClaimTemplate"])
            claim = {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {
                    **(template.get("metadata") or {}),
                    "name": f"{name}-{volume['name']}",
                    "namespace": namespace,
                    "ownerReferences": [
                        owner_reference({**pod, "apiVersion": "v1", "kind": "Pod"})
                    ],
                },
                "spec": template["spec"],
            }
            target = Target(kinds.CLAIMS, namespace, user=VOLUME_CONTROLLER)
            await requests.create_once(self._api, target, claim)

    async def _look(self) -> None:
        for volume in list(self._every(kinds.VOLUMES)):
            if (volume.get("status") or {}).get("phase") == "Pending":
                await self._set_phase(kinds.VOLUMES, volume, "Available")
        for claim in list(self._every(kinds.CLAIMS)):
            if "deletionTimestamp" in claim["metadata"]:
                continue
            if storage.is_bound(claim):
                if claim["status"].get("phase") == "Bound" and self._volume_of(claim) is None:
                    await self._set_phase(kinds.CLAIMS, claim, "Lost")
                continue
            chosen = self._volume_for(claim)
            if chosen is not None:
                await self._bind(claim, chosen)

    def _volume_of(self, claim: Object) -> Object | None:
        stored = self._api.store.get(kinds.VOLUMES.table, ("", claim["spec"]["volumeName"]))
        return stored.object if stored else None

    def _volume_for(self, claim: Object) -> Object | None:
        """The one that names it; else a free one, unless that is the scheduler's to choose."""
        volumes = list(self._every(kinds.VOLUMES))
        kept = next((one for one in volumes if storage.names(one, claim)), None)
        stored = self._api.store.get(
            kinds.STORAGE_CLASSES.table, ("", claim["spec"].get("storageClassName", ""))
        )
        if kept is not None or storage.waits(stored.object if stored else None):
            return kept
        return storage.smallest_free(claim, volumes)

    async def _bind(self, claim: Object, volume: Object) -> None:
        name = volume["metadata"]["name"]
        namespace, claim_name = key_of(claim)

        def of_claim(now: Object) -> Object:
            return {**now, "spec": {**now["spec"], "claimRef": _reference(claim)}}

        def to_volume(now: Object) -> Object:
            marks = {**(now["metadata"].get("annotations") or {}), storage.BOUND: "yes"}
            return {
                **now,
                "metadata": {**now["metadata"], "annotations": marks},
                "spec": {**now["spec"], "volumeName": name},
            }

        by = VOLUME_CONTROLLER
        try:
            await self._api.patch(Target(kinds.VOLUMES, "", name, user=by), of_claim)
            await self._api.patch(Target(kinds.CLAIMS, namespace, claim_name, user=by), to_volume)
        except ApiFailure as problem:
            if problem.code != 404:
                raise
            return
        await self._set_phase(kinds.VOLUMES, volume, "Bound")
        await self._set_phase(kinds.CLAIMS, claim, "Bound")

    async def _set_phase(self, kind: Kind, obj: Object, phase: str) -> None:
        namespace, name = key_of(obj)

        def told(now: Object) -> Object:
            return {**now, "status": {**(now.get("status") or {}), "phase": phase}}

        try:
            await self._api.patch(Target(kind, namespace, name, "status", VOLUME_CONTROLLER), told)
        except ApiFailure as problem:
            if problem.code != 404:
                raise

    def _every(self, kind: Kind) -> Iterator[Object]:
        return (stored.object for stored in self._api.store.every(kind.table))


def _reference(claim: Object) -> Object:
    namespace, name = key_of(claim)
    uid = claim["metadata"]["uid"]
    return {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "namespace": namespace, "name": name, "uid": uid,
    }  # fmt: skip
