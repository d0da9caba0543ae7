"""Changes in the cluster, from the watches: each change leads to a gang's next turn."""

from collections.abc import Callable, Collection, Iterable

from bridge.controller.active_gangs import ActiveGangs
from bridge.controller.turns import Turns
from bridge.lifecycle import events as ev
from bridge.model.ids import GangId, NodeName, PodUid
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState

Freed = Callable[[Collection[NodeName]], Collection[GangId]]


class ClusterChanges:
    """Gives gangs their turns in the queue of their namespace."""

    def __init__(
        self, *, cluster: KubeState, slurm_state: SlurmState, gangs: ActiveGangs, turns: Turns
    ) -> None:
        self._cluster = cluster
        self._slurm_state = slurm_state
        self._gangs = gangs
        self._turns = turns
        self._freed: Freed = lambda nodes: ()
        self._uses_changed: Callable[[], None] = lambda: None
        self._uses = 0
        self._sink_answered = False

    def connect(self, *, freed: Freed, uses_changed: Callable[[], None]) -> None:
        """`freed` says which gangs no longer leave out some of these nodes. `uses_changed` is
        called when pods hold more or less than before."""
        self._freed = freed
        self._uses_changed = uses_changed

    def mark_dirty(self, gang_ids: Iterable[GangId]) -> None:
        """Gives turns to gangs whose pods or owners have changed."""
        for gang_id in gang_ids:
            self._add(gang_id, None)

    def volumes_changed(self, gang_ids: Iterable[GangId]) -> None:
        """Gives turns to gangs whose claims may have changed."""
        for gang_id in gang_ids:
            self._add(gang_id, ev.VolumesChanged())

    def room_changed(self, nodes: Collection[NodeName]) -> None:
        """Gives turns to gangs that wait for room; `nodes` have more room than before."""
        for gang_id in self._freed(nodes):
            self._add(gang_id, ev.NodesChanged())
        for gang_id in self._gangs.waiting_for_room:
            self._add(gang_id, ev.RoomChanged())

    def pods_changed(self) -> None:
        """Checks whether pods hold other room than before, or are others to selectors."""
        if self._uses != self._cluster.table.uses:
            self._uses = self._cluster.table.uses
            self._uses_changed()

    def slurm_room_changed(self) -> None:
        """Has the questions asked again that jobs with chosen nodes depend on: Slurm gives other
        nodes by now, as some were drained or jobs hold others."""
        self._uses_changed()

    def job_changed(self, gang_id: GangId) -> None:
        """Gives the gang a turn because its job should ask for other nodes now."""
        self._add(gang_id, ev.NodesChanged())

    def nodes_changed(self) -> None:
        """Gives all gangs turns: nodes have changed, so waiting jobs may run on other nodes."""
        for gang_id in self._gangs.machines:
            self._add(gang_id, ev.NodesChanged())
        if self.sink_answers != self._sink_answered:
            self._sink_answered = self.sink_answers
            for gang_id in self._gangs.machines:
                self._add(gang_id, ev.SinkChanged(self._sink_answered))

    @property
    def sink_answers(self) -> bool:
        """Whether a sink answers for external nodes now."""
        return bool(self._slurm_state.answered)

    def split_off(self, pod: PodUid) -> None:
        """Makes the pod a gang of its own from now on."""
        self.mark_dirty(self._cluster.split_off(pod))

    def tenant_of(self, gang_id: GangId) -> str:
        """The gang's namespace, by which the queues take turns."""
        members = self._cluster.members(gang_id)
        return members.line.pod.namespace if members is not None else ""

    def _add(self, gang_id: GangId, reason: ev.Event | None) -> None:
        self._turns.add(gang_id, reason, tenant=self.tenant_of(gang_id))
