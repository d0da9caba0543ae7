"""Pods that name a node which Kubernetes does not have: it comes later, or never existed.

Whoever may create a pod may write any node into it. Such a pod costs one entry here, and no row of
the arrays that are as long as the cluster.
"""

from dataclasses import dataclass

from bridge.model.ids import NodeName, PodUid
from bridge.model.pod_identity import PodIdentity
from bridge.model.scheduling import PodShape


@dataclass(frozen=True, slots=True)
class WaitingPod:
    """What a pod will hold once its node exists."""

    pod: PodUid
    node: NodeName
    shape: PodShape
    daemon: bool
    stays: bool
    ending: bool
    identity: PodIdentity | None


class UnknownNodes:
    """Waiting pods by the node that they name."""

    def __init__(self) -> None:
        self._node_of: dict[PodUid, NodeName] = {}
        self._pods_of: dict[NodeName, dict[PodUid, WaitingPod]] = {}

    def add(self, waiting: WaitingPod) -> None:
        """The pod waits for this node, and for no other."""
        self.drop(waiting.pod)
        self._node_of[waiting.pod] = waiting.node
        self._pods_of.setdefault(waiting.node, {})[waiting.pod] = waiting

    def drop(self, pod: PodUid) -> None:
        """The pod, if it is known, waits no more."""
        node = self._node_of.pop(pod, None)
        if node is None:
            return
        del self._pods_of[node][pod]
        if not self._pods_of[node]:
            del self._pods_of[node]

    def take(self, node: NodeName) -> list[WaitingPod]:
        """Remove and return the pods that waited for this node, because it exists now."""
        pods = list(self._pods_of.pop(node, {}).values())
        for waiting in pods:
            del self._node_of[waiting.pod]
        return pods
