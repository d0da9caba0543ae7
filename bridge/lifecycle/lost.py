"""Places that were granted and turned out to be of no use, seen at the pods themselves.

A pinned pod has one node. Where kube-scheduler finds no way onto it (the node is gone, cordoned,
full of pods that Slurm knows nothing of), or where the kubelet refuses the pod, waiting does not
help: nobody can pin it anew.
"""

from collections.abc import Collection, Iterable

from bridge.model.ids import NodeName, PodUid
from bridge.model.pod import Pod


class LostPlaces:
    """Tells each lost place once it is certain. Times are monotonic seconds, handed in."""

    def __init__(self, *, patience_s: float) -> None:
        self._patience_s = patience_s
        self._stuck_since_s: dict[PodUid, float] = {}
        self._refused: set[PodUid] = set()
        self.look_again_s: float | None = None
        """When the next place will be certain, if nothing changes."""

    def keep(self, pods: Collection[PodUid]) -> None:
        """Forget all pods but these."""
        self._refused.intersection_update(pods)
        for uid in self._stuck_since_s.keys() - set(pods):
            del self._stuck_since_s[uid]

    def find(self, placed: Iterable[tuple[Pod, NodeName]], now_s: float) -> dict[NodeName, str]:
        """Node → why it is of no use, among pods and the nodes they were given."""
        lost: dict[NodeName, str] = {}
        self.look_again_s = None
        for pod, node in placed:
            if pod.refused_by_kubelet:
                if pod.uid not in self._refused:
                    self._refused.add(pod.uid)
                    lost[node] = f"the kubelet of {node} refused pod {pod.key}: {pod.status_reason}"
            elif pod.unschedulable and not (pod.node_name or pod.ended or pod.deleting):
                due_s = self._stuck_since_s.setdefault(pod.uid, now_s) + self._patience_s
                if now_s >= due_s:
                    lost[node] = f"pod {pod.key} can't get onto {node}: {pod.unschedulable}"
                elif self.look_again_s is None or due_s < self.look_again_s:
                    self.look_again_s = due_s
            else:
                self._stuck_since_s.pop(pod.uid, None)
        return lost
