"""Pods that name a node which Kubernetes doesn't know: it comes later, or was only ever written.

Whoever may create a pod may write any node into it. Such a pod costs an entry here, and no row of
the arrays that are as long as the cluster.
"""

from dataclasses import dataclass

from bridge.model.ids import NodeName, PodUid
from bridge.model.scheduling import PodShape


@dataclass(frozen=True, slots=True)
class Awaiting:
    """What a pod will hold of its node."""

    pod: PodUid
    node: NodeName
    shape: PodShape
    lasting: bool


class Awaited:
    """The pods, by the node that they name."""

    def __init__(self) -> None:
        self._node_of: dict[PodUid, NodeName] = {}
        self._of: dict[NodeName, dict[PodUid, Awaiting]] = {}

    def add(self, pod: Awaiting) -> None:
        """The pod holds this once its node is there, and nothing else."""
        self.drop(pod.pod)
        self._node_of[pod.pod] = pod.node
        self._of.setdefault(pod.node, {})[pod.pod] = pod

    def drop(self, pod: PodUid) -> None:
        """The pod holds nothing any more. Unknown pods are no error."""
        node = self._node_of.pop(pod, None)
        if node is None:
            return
        del self._of[node][pod]
        if not self._of[node]:
            del self._of[node]

    def take(self, node: NodeName) -> list[Awaiting]:
        """The node is there now: its pods, which are not awaited any more."""
        found = list(self._of.pop(node, {}).values())
        for one in found:
            del self._node_of[one.pod]
        return found
