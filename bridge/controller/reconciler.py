"""Brings gangs up to date with what is known of their pods and owners.

A gang that is new gets its machine here, each machine is told of its pods here, and a gang that is
over is forgotten here. Whatever is raised on the way is that gang's fault alone.
"""

from collections.abc import Callable

from bridge.controller.active_gangs import ActiveGangs
from bridge.controller.advice import Advice
from bridge.controller.cluster_changes import ClusterChanges
from bridge.controller.faults import Faults
from bridge.controller.job_canceller import JobCanceller
from bridge.controller.job_index import JobIndex
from bridge.controller.start_gate import StartGate
from bridge.controller.turns import Reasons
from bridge.gangs.refused import TemplateRefused
from bridge.lifecycle import events as ev
from bridge.lifecycle.machine import GangMachine
from bridge.lifecycle.tuning import Tuning
from bridge.model.ids import GangId, PodUid, SlurmJobId
from bridge.state import gang_view
from bridge.state.kube_state import KubeState


class Reconciler:
    """Reconciles gangs. `handle` takes events for gangs, `failed` errors that are our mistakes."""

    def __init__(
        self,
        *,
        cluster: KubeState,
        gangs: ActiveGangs,
        faults: Faults,
        index: JobIndex,
        canceller: JobCanceller,
        gate: StartGate,
        changes: ClusterChanges,
        advice: Advice,
        handle: Callable[[GangId, ev.Event], None],
        failed: Callable[[GangId, Exception], None],
        tuning: Tuning,
    ) -> None:
        self._cluster = cluster
        self._gangs = gangs
        self._faults = faults
        self._index = index
        self._canceller = canceller
        self._gate = gate
        self._changes = changes
        self._advice = advice
        self._handle = handle
        self._failed = failed
        self._tuning = tuning

    def take_turn(self, gang_id: GangId, reasons: Reasons) -> None:
        """Gives the gang its turn, for these reasons."""
        if None in reasons or self._volumes_differ(gang_id, reasons):
            self.reconcile(gang_id)
        for event in reasons:
            if event is not None and not isinstance(event, ev.VolumesChanged):
                self._handle(gang_id, event)

    def _volumes_differ(self, gang_id: GangId, reasons: Reasons) -> bool:
        if not any(isinstance(event, ev.VolumesChanged) for event in reasons):
            return False
        try:
            touched = self._cluster.look_at_volumes(gang_id)
        except Exception as error:
            self._failed(gang_id, error)
            return False
        self._changes.mark_dirty(touched - {gang_id})
        return gang_id in touched

    def reconcile(self, gang_id: GangId) -> None:
        """Brings one gang up to date."""
        try:
            self._reconcile(gang_id)
        except Exception as error:
            self._failed(gang_id, error)

    def split_off(self, pod: PodUid) -> None:
        """The pod is a gang of its own, with a machine that may be given a job; the gang that the
        pod was in decides without it from this moment on."""
        touched = self._cluster.split_off(pod)
        for gang_id in sorted(touched):
            try:
                if gang_id == GangId(pod) and self._may_begin(gang_id):
                    self._begin(gang_id)
                self._tell_members(gang_id)
            except Exception as error:
                self._failed(gang_id, error)
        self._changes.mark_dirty(touched)

    def _reconcile(self, gang_id: GangId) -> None:
        joined = self._cluster.join_again(gang_id)
        touched = joined | self._cluster.look_at_volumes(gang_id)
        self._changes.mark_dirty(touched - {gang_id})
        machine = self._gangs.machines.get(gang_id)
        pods = self._cluster.pods_of(gang_id)
        if machine is None:
            if not pods:
                self._forget_traces(gang_id)
                return
            if not self._may_begin(gang_id):
                return
            machine = self._begin(gang_id)
        self._tell_members(gang_id)
        if machine.held and self._gangs.machines.get(gang_id) is machine:
            self._index.claim(gang_id, pods)
            self._gate.release(gang_id)

    def _tell_members(self, gang_id: GangId) -> None:
        self._handle(gang_id, self._members_seen(gang_id))

    def _members_seen(self, gang_id: GangId) -> ev.MembersSeen:
        view = gang_view.of(self._cluster, gang_id)
        if isinstance(view.problem, TemplateRefused):
            self._advice.refuse(gang_id, view.problem)
        return ev.MembersSeen(
            view.gang,
            view.pods,
            owner=view.owner,
            problem=str(view.problem or ""),
            ranks=view.ranks,
            waits_for=view.waits_for,
            singletons=view.singletons,
            lost=view.lost,
            judged=view.judged,
        )

    # -- beginning and forgetting ----------------------------------------------------------------

    def _may_begin(self, gang_id: GangId) -> bool:
        """Not one that the bridge has just failed at; nor one that is over, whose pods stay as long
        as somebody wants to read of them."""
        is_over = all(pod.ended for pod in self._cluster.pods_of(gang_id))
        return not is_over and self._faults.set_aside(gang_id) is None

    def _begin(self, gang_id: GangId) -> GangMachine:
        """A gang that is new to us: by its pods, by a start of ours, or after a fault."""
        single = self._cluster.is_single(gang_id)
        if single:
            self._advice.give(gang_id)
        machine = GangMachine(gang_id, single=single, tuning=self._tuning)
        self._gangs.machines[gang_id] = machine
        if self._changes.sink_answers:
            self._handle(gang_id, ev.SinkChanged(True))
        for job_id in self._jobs_of_failed(gang_id):
            for event in self._index.story_of(job_id):
                self._handle(gang_id, event)
        return machine

    def forget(self, gang_id: GangId) -> None:
        """Forgets a gang that is over and has no job."""
        self._gangs.drop(gang_id)
        if not self._cluster.pods_of(gang_id):
            self._forget_traces(gang_id)

    def _forget_traces(self, gang_id: GangId) -> None:
        """The gang has no pods and no machine."""
        for job_id in self._jobs_of_failed(gang_id):
            self._index.let_go(job_id)
            self._canceller.cancel_leak(job_id)
        self._gangs.drop(gang_id)
        self._faults.forget(gang_id)
        self._cluster.forget(gang_id)

    def _jobs_of_failed(self, gang_id: GangId) -> list[SlurmJobId]:
        """The jobs that a gang had when the bridge failed at it."""
        return self._index.jobs_of(gang_id) if self._faults.knows(gang_id) else []
