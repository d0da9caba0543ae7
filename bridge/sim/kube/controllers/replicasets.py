"""The ReplicaSet controller: as many pods as asked for, whichever they are."""

from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.core import ApiServer
from bridge.sim.kube.apiserver.objects import Object, copy
from bridge.sim.kube.controllers.owners import OwnerController, is_active, is_ready


class ReplicaSetController(OwnerController):
    """One for the whole cluster."""

    def __init__(self, api: ApiServer) -> None:
        super().__init__(api, kinds.REPLICA_SETS, kinds.PODS, name="replicaset-controller")

    async def sync(self, owner: Object, children: list[Object]) -> None:
        """Pods that ended count no more; of too many, those that have got least far go."""
        active = [pod for pod in children if is_active(pod)]
        wanted = owner["spec"]["replicas"]
        for _ in range(wanted - len(active)):
            await self.create(owner, _pod(owner))
        for pod in sorted(active, key=_progress)[: max(0, len(active) - wanted)]:
            await self.delete(pod)
        ready = sum(1 for pod in active if is_ready(pod))
        await self.report(
            owner,
            {
                "replicas": len(active),
                "fullyLabeledReplicas": len(active),
                "readyReplicas": ready,
                "availableReplicas": ready,
            },
        )


def _pod(owner: Object) -> Object:
    template = copy(owner["spec"]["template"])
    named = {**(template.get("metadata") or {}), "generateName": f"{owner['metadata']['name']}-"}
    return {"metadata": named, "spec": template["spec"]}


def _progress(pod: Object) -> tuple[bool, bool, str]:
    """Least far first: unbound, not ready, youngest."""
    created = pod["metadata"]["creationTimestamp"]
    inverted = "".join(chr(0x7F - ord(char)) for char in created)
    return bool(pod["spec"].get("nodeName")), is_ready(pod), inverted
