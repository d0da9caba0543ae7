"""The ReplicaSet controller: as many pods as asked for, whichever they are."""

from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.core import ApiServer
from bridge.sim.kube.apiserver.objects import Object
from bridge.sim.kube.controllers import pods
from bridge.sim.kube.controllers.owners import OwnerController


class ReplicaSetController(OwnerController):
    """One for the whole cluster."""

    def __init__(self, api: ApiServer) -> None:
        super().__init__(api, kinds.REPLICA_SETS, kinds.PODS, name="replicaset-controller")

    def concerns(self, child: Object) -> bool:
        return pods.is_active(child)

    async def sync(self, owner: Object, children: list[Object]) -> None:
        """Pods that ended count no more; of too many, those that have got least far go."""
        active = [pod for pod in children if pods.is_active(pod)]
        wanted = owner["spec"]["replicas"]
        for _ in range(wanted - len(active)):
            await self.create(owner, pods.from_template(owner))
        for pod in sorted(active, key=pods.progress)[: max(0, len(active) - wanted)]:
            await self.delete(pod)
        ready = sum(1 for pod in active if pods.is_ready(pod))
        await self.report(
            owner,
            {
                "replicas": len(active),
                "fullyLabeledReplicas": len(active),
                "readyReplicas": ready,
                "availableReplicas": ready,
            },
        )
