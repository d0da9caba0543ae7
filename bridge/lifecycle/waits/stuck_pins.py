"""Places that were granted and proved to be of no use, as the pods' own status shows.

A pinned pod has one node. Where kube-scheduler finds no way onto it (the node is gone, cordoned,
full of pods that Slurm knows nothing of), or where the kubelet refuses the pod, waiting does not
help: nobody can pin the pod anew.
"""

from collections.abc import Iterable

from bridge.model.ids import NodeName, PodUid
from bridge.model.pod import Pod


class StuckPins:
    """Reports each useless place once, when it is certain."""

    def __init__(self, *, patience_s: float) -> None:
        self._patience_s = patience_s
        self._suspects: tuple[PodUid, ...] = ()
        self._stuck_since_s: dict[PodUid, float] = {}
        self._refused: set[PodUid] = set()
        self.due_s: float | None = None
        """When the next place will be certain; None if time changes nothing."""

    @property
    def suspects(self) -> tuple[PodUid, ...]:
        """The pods that may be stuck."""
        return self._suspects

    def see(self, pods: Iterable[Pod]) -> None:
        """Takes in the gang's pods as they are now."""
        self._suspects = tuple(
            pod.uid for pod in pods if pod.unschedulable or pod.phase == "Failed"
        )
        self._refused.intersection_update(self._suspects)
        for uid in self._stuck_since_s.keys() - set(self._suspects):
            del self._stuck_since_s[uid]

    def check(self, placed: Iterable[tuple[Pod, NodeName]], now_s: float) -> dict[NodeName, str]:
        """Node → why it is of no use, among suspects and the nodes that they were given."""
        useless: dict[NodeName, str] = {}
        self.due_s = None
        for pod, node in placed:
            if pod.refused_by_kubelet:
                if pod.uid not in self._refused:
                    self._refused.add(pod.uid)
                    useless[node] = (
                        f"the kubelet of {node} refused pod {pod.key}: {pod.status_reason}"
                    )
            elif pod.unschedulable and not (pod.node_name or pod.ended or pod.deleting):
                due_s = self._stuck_since_s.setdefault(pod.uid, now_s) + self._patience_s
                if now_s >= due_s:
                    useless[node] = f"pod {pod.key} can't get onto {node}: {pod.unschedulable}"
                elif self.due_s is None or due_s < self.due_s:
                    self.due_s = due_s
            else:
                self._stuck_since_s.pop(pod.uid, None)
        return useless
