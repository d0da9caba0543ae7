"""The Deployment controller: a ReplicaSet for each template, the newest takes over step by step.

Not done: pausing, rollback, history limits, progress deadlines, proportional scaling.
"""

import hashlib
from typing import Final

from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.objects import Object, copy, encode, key_of
from bridge.sim.kube.controllers.owners import OwnerController

HASH: Final = "pod-template-hash"
_PREFIX: Final = "deployment.kubernetes.io/"
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


class DeploymentController(OwnerController):
    """One for the whole cluster."""

    def __init__(self, api: ApiServer) -> None:
        super().__init__(api, kinds.DEPLOYMENTS, kinds.REPLICA_SETS, name="deployment-controller")

    async def sync(self, owner: Object, children: list[Object]) -> None:
        """The ReplicaSet of the present template grows, then the others shrink.

        It never has more than the surge allows; the others never shrink below what must stay
        available. With Recreate they go first, and it begins when their pods are gone.
        """
        name = f"{owner['metadata']['name']}-{_hash(owner)}"
        newest = next((one for one in children if one["metadata"]["name"] == name), None)
        others = [one for one in children if one is not newest]
        old = sum(one["spec"]["replicas"] for one in others)
        present = newest["spec"]["replicas"] if newest else 0
        target = _growth(owner, present, old, pods=sum(_count(one, "replicas") for one in others))
        notes = _notes(owner, 1 + max((_revision(one) for one in others), default=0))
        if newest is None:
            await self.create(owner, _replica_set(owner, target, notes))
        else:
            await self._change(newest, target, notes)
        spare = old
        if not _recreates(owner):
            _, unavailable = _bounds(owner)
            needed = owner["spec"]["replicas"] - unavailable
            spare = old + _count(newest, "availableReplicas") - needed
        for one in others:
            cut = min(one["spec"]["replicas"], max(0, spare))
            if cut:
                await self._change(one, one["spec"]["replicas"] - cut, {})
                spare -= cut
        await self.report(owner, _status(children, newest))

    async def _change(self, replica_set: Object, count: int, notes: dict[str, str]) -> None:
        """Its number of replicas, and the annotations that follow the Deployment's."""
        known = replica_set["metadata"].get("annotations") or {}
        if replica_set["spec"]["replicas"] == count and known == {**known, **notes}:
            return
        namespace, name = key_of(replica_set)

        def changed(now: Object) -> Object:
            annotations = {**(now["metadata"].get("annotations") or {}), **notes}
            metadata = {**now["metadata"], "annotations": annotations}
            return {**now, "metadata": metadata, "spec": {**now["spec"], "replicas": count}}

        await self._api.patch(Target(kinds.REPLICA_SETS, namespace, name, user=self._user), changed)


def _replica_set(owner: Object, replicas: int, notes: dict[str, str]) -> Object:
    """Its pods are marked with the template that they are of."""
    spec, mark = owner["spec"], {HASH: _hash(owner)}
    template = copy(spec["template"])
    labels = {**(template["metadata"].get("labels") or {}), **mark}
    template["metadata"]["labels"] = labels
    return {
        "metadata": {
            "name": f"{owner['metadata']['name']}-{mark[HASH]}",
            "labels": labels,
            "annotations": notes,
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {**spec["selector"]["matchLabels"], **mark}},
            "template": template,
        },
    }


def _notes(owner: Object, revision: int) -> dict[str, str]:
    """As the real one: the Deployment's annotations, its size, which template it is."""
    wanted = owner["spec"]["replicas"]
    surge = 0 if _recreates(owner) else _bounds(owner)[0]
    known = owner["metadata"].get("annotations") or {}
    return {
        **{key: text for key, text in known.items() if key != _LAST_APPLIED},
        _PREFIX + "desired-replicas": str(wanted),
        _PREFIX + "max-replicas": str(wanted + surge),
        _PREFIX + "revision": str(revision),
    }


def _revision(replica_set: Object) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(_PREFIX + "revision", 0))


def _hash(owner: Object) -> str:
    return hashlib.sha256(encode(owner["spec"]["template"])).hexdigest()[:10]


def _growth(owner: Object, present: int, old: int, *, pods: int) -> int:
    """Replicas of the newest ReplicaSet; the others are asked for `old` and have `pods`."""
    wanted: int = owner["spec"]["replicas"]
    if present >= wanted:
        return wanted
    if _recreates(owner):
        return present if pods else wanted
    surge, _ = _bounds(owner)
    return min(wanted, present + max(0, wanted + surge - old - present))


def _recreates(owner: Object) -> bool:
    return bool(owner["spec"]["strategy"]["type"] == "Recreate")


def _bounds(owner: Object) -> tuple[int, int]:
    """maxSurge rounded up, maxUnavailable rounded down, not both 0."""
    wanted = owner["spec"]["replicas"]
    bounds = owner["spec"]["strategy"]["rollingUpdate"]
    surge = _amount(bounds["maxSurge"], wanted, up=True)
    unavailable = _amount(bounds["maxUnavailable"], wanted, up=False)
    return (surge, unavailable) if surge or unavailable else (0, 1)


def _amount(value: int | str, whole: int, *, up: bool) -> int:
    if isinstance(value, int):
        return value
    share = int(value.removesuffix("%")) * whole
    return -(-share // 100) if up else share // 100


def _status(replica_sets: list[Object], newest: Object | None) -> Object:
    counts = {
        name: sum(_count(one, name) for one in replica_sets)
        for name in ("replicas", "readyReplicas", "availableReplicas")
    }
    return {**counts, "updatedReplicas": _count(newest, "replicas")}


def _count(replica_set: Object | None, name: str) -> int:
    return int(((replica_set or {}).get("status") or {}).get(name, 0))
