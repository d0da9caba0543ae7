"""Tells the authors of owners what pods can't show: how pods of an unknown kind are queued, and
which pods will never be made."""

from bridge.controller.pod_events import PodEvents
from bridge.gangs import membership
from bridge.gangs.refused import TemplateRefused
from bridge.lifecycle import instructions as do
from bridge.model.ids import GangId
from bridge.state.kube_state import KubeState

_REMEMBERED = 1024
"""The most owners that are kept, so that they are not told twice; older ones may be told again."""


class Advice:
    """Advises the author of each topmost owner once."""

    def __init__(self, *, cluster: KubeState, events: PodEvents) -> None:
        self._cluster = cluster
        self._events = events
        self._advised: set[str] = set()
        """uids of topmost owners."""
        self._refused: dict[str, str] = {}
        """The last refusal that each owner was told, by uid."""

    def give(self, gang_id: GangId) -> None:
        """Advises the owner's author, if need be: a new gang of one pod has come."""
        members = self._cluster.members(gang_id)
        advice = membership.advice(members.line) if members is not None else ""
        if members is None or not advice or (top := members.line.owners[-1].uid) in self._advised:
            return
        self._advised.add(top)
        self._events.tell(do.EmitEvent(members.line.pod, "Normal", "QueuedOneByOne", advice))

    def refuse(self, gang_id: GangId, why: TemplateRefused) -> None:
        """Tells the gang's owner once that pods of its templates are refused."""
        owner = self._cluster.gang_owner_of(gang_id)
        if owner is None or self._refused.get(owner.uid) == str(why):
            return
        while len(self._refused) >= _REMEMBERED:
            del self._refused[next(iter(self._refused))]
        self._refused[owner.uid] = str(why)
        self._events.tell_owner(owner, "PodsRefused", str(why))
