"""VolumeBinding in small: whether a pod's claims let it onto a node, and binding them there."""

import asyncio
from collections.abc import Mapping
from typing import Final

from bridge.sim.kube import storage
from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.kinds import Kind
from bridge.sim.kube.apiserver.objects import Object, controller_of, key_of
from bridge.sim.kube.apiserver.request import SCHEDULER

UNBOUND: Final = "pod has unbound immediate PersistentVolumeClaims"
CONFLICT: Final = "node(s) had volume node affinity conflict"
NO_VOLUME: Final = "node(s) didn't find available persistent volumes to bind"
NO_PLACE: Final = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
_PATIENCE_S: Final = 20.0


class VolumeFailure(Exception):
    """The claims could not be bound; the pod is tried again."""


class Volumes:
    """Looks at claims and volumes as the API server has them."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api

    def refusals(self, pod: Object, nodes: Mapping[str, Object]) -> dict[str, str]:
        """Which of the nodes won't do, and why."""
        blocked = self._blocked(pod)
        found = {name: blocked or self._refusal(pod, node) for name, node in nodes.items()}
        return {name: reason for name, reason in found.items() if reason}

    def _blocked(self, pod: Object) -> str:
        """Why no node will do; "" when that hangs on the node."""
        for name, ephemeral in storage.claims_of(pod):
            claim = self._claim(pod, name)
            if claim is None:
                return f'persistentvolumeclaim "{name}" not found'
            if "deletionTimestamp" in claim["metadata"]:
                return f'persistentvolumeclaim "{name}" is being deleted'
            owner = controller_of(claim) or {}
            if ephemeral and owner.get("uid") != pod["metadata"]["uid"]:
                return f'PVC "{name}" was not created for the pod'
            if claim["status"].get("phase") == "Lost":
                return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume'
            if not storage.is_bound(claim) and not self._is_ours_to_bind(claim):
                return UNBOUND
        return ""

    def _refusal(self, pod: Object, node: Object) -> str:
        """Why the pod's volumes keep it off this node; "" when they don't."""
        for name, _ in storage.claims_of(pod):
            claim = self._claim(pod, name)
            if claim is None:
                continue
            if not storage.is_bound(claim):
                if not self._can_bind(claim, node):
                    return NO_VOLUME
                continue
            volume = self._get(kinds.VOLUMES, "", claim["spec"]["volumeName"])
            if volume is None:
                return NO_PLACE
            if not storage.reaches(volume, node):
                return CONFLICT
        return ""

    async def bind(self, pod: Object, node_name: str) -> None:
        """Name the pod's claims in volumes that the node reaches; wait until they are bound.

        Raises VolumeFailure and ApiFailure.
        """
        names = [name for name, _ in storage.claims_of(pod)]
        node = self._get(kinds.NODES, "", node_name)
        changes = self._api.store.subscribe(kinds.CLAIMS.table)
        try:
            for name in names:
                claim = self._claim(pod, name)
                if claim is not None and not storage.is_bound(claim) and node is not None:
                    await self._ask(claim, node)
            async with asyncio.timeout(_PATIENCE_S):
                while not all(self._is_bound(pod, name) for name in names):
                    await changes.take()
        except TimeoutError:
            raise VolumeFailure("binding volumes: timed out") from None
        finally:
            self._api.store.unsubscribe(kinds.CLAIMS.table, changes)

    async def _ask(self, claim: Object, node: Object) -> None:
        namespace, name = key_of(claim)
        reachable = [one for one in self._volumes() if storage.reaches(one, node)]
        free = storage.smallest_free(claim, reachable)
        if free is None:
            marks = {storage.SELECTED_NODE: node["metadata"]["name"]}

            def chosen(now: Object) -> Object:
                known = now["metadata"].get("annotations") or {}
                return {**now, "metadata": {**now["metadata"], "annotations": {**known, **marks}}}

            await self._api.patch(Target(kinds.CLAIMS, namespace, name, user=SCHEDULER), chosen)
            return
        reference = {"namespace": namespace, "name": name, "uid": claim["metadata"]["uid"]}

        def kept(now: Object) -> Object:
            return {**now, "spec": {**now["spec"], "claimRef": reference}}

        target = Target(kinds.VOLUMES, "", free["metadata"]["name"], user=SCHEDULER)
        await self._api.patch(target, kept)

    def _can_bind(self, claim: Object, node: Object) -> bool:
        reachable = [one for one in self._volumes() if storage.reaches(one, node)]
        return (
            any(storage.names(one, claim) for one in reachable)
            or storage.smallest_free(claim, reachable) is not None
            or storage.makes_at(self._class_of(claim), node)
        )

    def _is_ours_to_bind(self, claim: Object) -> bool:
        return storage.waits(self._class_of(claim)) and not claim["spec"].get("volumeName")

    def _is_bound(self, pod: Object, name: str) -> bool:
        claim = self._claim(pod, name)
        return claim is not None and storage.is_bound(claim)

    def _class_of(self, claim: Object) -> Object | None:
        return self._get(kinds.STORAGE_CLASSES, "", claim["spec"].get("storageClassName", ""))

    def _claim(self, pod: Object, name: str) -> Object | None:
        return self._get(kinds.CLAIMS, key_of(pod)[0], name)

    def _volumes(self) -> list[Object]:
        return [stored.object for stored in self._api.store.every(kinds.VOLUMES.table)]

    def _get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        stored = self._api.store.get(kind.table, (namespace, name))
        return stored.object if stored else None
