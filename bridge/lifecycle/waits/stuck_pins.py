"""Places that were granted and proved to be of no use, as the pods' own status shows.

A pinned pod has one node. Where kube-scheduler finds no way onto it (the node is gone, cordoned,
full of pods that Slurm knows nothing of), or where the kubelet refuses the pod, waiting does not
help: nobody can pin the pod anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bridge.model.ids import NodeName, PodUid
from bridge.model.pod import Pod
from bridge.retry import Backoff


@dataclass(frozen=True, slots=True)
class UselessPlace:
    """A pod, the node that it was given, and why it can't run there."""

    pod: Pod
    node: NodeName
    why: str


class StuckPins:
    """Tells of each useless place once, when it is certain; keeps the nodes that a running gang
    leaves out for `avoid_s` and, in `backoff`, when its next newcomer is pinned."""

    def __init__(self, *, patience_s: float, avoid_s: float, backoff: Backoff) -> None:
        self._patience_s = patience_s
        self._avoid_s = avoid_s
        self._backoff = backoff
        self._left_out: dict[NodeName, tuple[str, float]] = {}
        """Node → why, and until when."""
        self._suspects: tuple[PodUid, ...] = ()
        self._stuck_since_s: dict[PodUid, float] = {}
        self._refused: set[PodUid] = set()
        self.due_s: float | None = None
        """When the next place will be certain; None if time changes nothing."""

    @property
    def suspects(self) -> tuple[PodUid, ...]:
        """The pods that may be stuck."""
        return self._suspects

    @property
    def retry_at_s(self) -> float:
        """No newcomer is pinned before that."""
        return self._backoff.due_s

    def leave(self, places: Iterable[UselessPlace], now_s: float) -> None:
        """The gang goes on without these places: nobody comes there for a while, and the next try
        elsewhere waits longer than the one before."""
        self._left_out |= {place.node: (place.why, now_s + self._avoid_s) for place in places}
        self._backoff.failed(now_s)

    def left_out(self, now_s: float) -> Mapping[NodeName, str]:
        """The nodes that are nobody's place now, each with why."""
        return {node: why for node, (why, until_s) in self._left_out.items() if now_s < until_s}

    def see(self, pods: Iterable[Pod]) -> None:
        """Takes in the gang's pods as they are now."""
        self._suspects = tuple(
            pod.uid for pod in pods if pod.unschedulable or pod.phase == "Failed"
        )
        self._refused.intersection_update(self._suspects)
        for uid in self._stuck_since_s.keys() - set(self._suspects):
            del self._stuck_since_s[uid]

    def check(self, placed: Iterable[tuple[Pod, NodeName]], now_s: float) -> list[UselessPlace]:
        """The places that are of no use, among suspects and the nodes that they were given."""
        useless: list[UselessPlace] = []
        self.due_s = None
        for pod, node in placed:
            if pod.refused_by_kubelet:
                if pod.uid not in self._refused:
                    self._refused.add(pod.uid)
                    why = f"the kubelet of {node} refused pod {pod.key}: {pod.status_reason}"
                    useless.append(UselessPlace(pod, node, why))
            elif pod.unschedulable and not (pod.node_name or pod.ended or pod.deleting):
                due_s = self._stuck_since_s.setdefault(pod.uid, now_s) + self._patience_s
                if now_s >= due_s:
                    why = f"pod {pod.key} can't get onto {node}: {pod.unschedulable}"
                    useless.append(UselessPlace(pod, node, why))
                elif self.due_s is None or due_s < self.due_s:
                    self.due_s = due_s
            else:
                self._stuck_since_s.pop(pod.uid, None)
        return useless
