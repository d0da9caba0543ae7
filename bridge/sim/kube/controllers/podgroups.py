"""PodGroup protection: a deleted PodGroup goes when none of its pods lives any more."""

from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.objects import Key, Object, key_of
from bridge.sim.kube.apiserver.request import controller
from bridge.sim.kube.apiserver.rules.apps import PROTECTION

_USER = controller("podgroup-protection-controller")


class PodGroupProtection:
    """One for the whole cluster."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        self._changes = api.store.subscribe_everything()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            touched: set[Key] = set()
            for change in await self._changes.take():
                obj = change.current.object
                if change.table == kinds.POD_GROUPS.table:
                    touched.add(key_of(obj))
                elif change.table == kinds.PODS.table and _group(obj):
                    touched.add((obj["metadata"]["namespace"], _group(obj)))
            for key in sorted(touched):
                await self._release(key)

    async def _release(self, key: Key) -> None:
        stored = self._api.store.get(kinds.POD_GROUPS.table, key)
        if stored is None or not stored.object["metadata"].get("deletionTimestamp"):
            return
        for pod in self._api.store.scan(kinds.PODS.table, key[0]):
            ended = pod.object["status"].get("phase") in ("Succeeded", "Failed")
            if _group(pod.object) == key[1] and not ended:
                return
        try:
            await self._api.patch(Target(kinds.POD_GROUPS, *key, user=_USER), _unprotected)
        except ApiFailure as problem:
            if problem.code not in (404, 409):
                raise


def _group(pod: Object) -> str:
    return str((pod["spec"].get("schedulingGroup") or {}).get("podGroupName") or "")


def _unprotected(group: Object) -> Object:
    kept = [one for one in group["metadata"].get("finalizers") or () if one != PROTECTION]
    return {**group, "metadata": {**group["metadata"], "finalizers": kept}}
