"""Tells the author of a kind of owner that the bridge doesn't know how its pods are queued."""

from bridge.controller.pod_events import PodEvents
from bridge.gangs import membership
from bridge.lifecycle import instructions as do
from bridge.model.ids import GangId
from bridge.state.kube_state import KubeState


class Advice:
    """Each topmost owner's author is told once."""

    def __init__(self, *, cluster: KubeState, events: PodEvents) -> None:
        self._cluster = cluster
        self._events = events
        self._advised: set[str] = set()
        """uids of topmost owners."""

    def give(self, gang_id: GangId) -> None:
        """The gang of one pod is new."""
        members = self._cluster.members(gang_id)
        advice = membership.advice(members.line) if members is not None else ""
        if members is None or not advice or (top := members.line.owners[-1].uid) in self._advised:
            return
        self._advised.add(top)
        self._events.tell(do.EmitEvent(members.line.pod, "Normal", "QueuedOneByOne", advice))
