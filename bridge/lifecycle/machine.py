"""The gang's state machine: facts in, one decision, instructions out.

An event only changes facts (`intake`); then the rules derive from the facts what is to be done now.
So the order in which events arrive cannot lead to a state that no code expects, and a restart is
nothing special: facts come in again and the same decisions follow.

No instruction is given twice while it is under way; what fails is retried after a back-off, with
Wake. If an instruction has its result at once, the result is the next event like any other, never a
call of the machine from inside.

    Known → Submitting → Queued → Allocated → Placing → Running → Ending → Done
"""

from collections.abc import Callable
from typing import Final

from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.lifecycle import intake
from bridge.lifecycle.decision import Decision
from bridge.lifecycle.history import History
from bridge.lifecycle.rules import (
    claims,
    ended_job,
    finish,
    idle_nodes,
    keep_in_step,
    lost_nodes,
    make_room,
    missing_members,
    off_allocation,
    place,
    stuck_pins,
    submit,
    tell,
    time_limit,
)
from bridge.lifecycle.state import GangState, State
from bridge.lifecycle.status import GangStatus
from bridge.lifecycle.tuning import Tuning
from bridge.model.ids import GangId, NodeName, PodUid
from bridge.model.pod import Pod

Rule = Callable[[GangState, Decision], bool]

RULES: Final[tuple[Rule, ...]] = (
    ended_job.leave_ended_job,  # 1. the job is over: its pods end
    make_room.make_room,  # 2. Slurm wants the nodes for another job: pods end
    stuck_pins.give_up_stuck_pins,  # 3. a pinned pod can't get onto its node
    off_allocation.end_pods_off_allocation,  # 4. the job does not hold a pod's node any more
    lost_nodes.restart_after_lost_node,  # 5. a node is gone, and the gang is wanted whole
    missing_members.give_up_on_missing_members,  # 6. members do not come
    claims.wait_for_claims,  # 7. volumes are away
    ended_job.end_spared_pods,  # 8. pods end that were to end after the others
    ended_job.end_leftover_pods,  # 9. pods of earlier jobs end
    time_limit.end_before_time_limit,  # 10. pods end in time for the limit
    finish.finish,  # 11. nobody needs the job: it ends, and here the list too
    submit.submit,  # 12. the gang has no job: it is submitted
    keep_in_step.keep_in_step,  # 13. a waiting job asks for what its gang asks for
    place.place_and_pin,  # 14. pods get the nodes that the job holds
    idle_nodes.return_idle_nodes,  # 15. nodes that no pod needs any more go back, or are told
    tell.tell,  # 16. every pod says how it stands
)


class GangMachine:
    """One gang. All times are monotonic seconds, handed in."""

    def __init__(self, gang_id: GangId, *, single: bool, tuning: Tuning) -> None:
        self.known = GangState(gang_id, single=single, tuning=tuning)
        """All that is known of the gang."""
        self.state = State.KNOWN
        self.history = History()
        self._held = True

    @property
    def id(self) -> GangId:
        """The gang's id."""
        return self.known.id

    @property
    def held(self) -> bool:
        """Whether the gang has to wait until it is known which job it has."""
        return self._held

    def release(self) -> None:
        """Lets the gang decide from now on: it is known whether the gang has a job."""
        self._held = False

    def handle(self, event: ev.Event, now_s: float) -> list[do.Instruction]:
        """Takes one event in; returns what is to be done now."""
        decision = Decision(now_s)
        self.history.hear(self.known, event, now_s)
        intake.take(self.known, event, decision)
        if self._is_one_of_many(event):
            return decision.instructions
        if not self._held:
            for rule in RULES:
                if rule(self.known, decision):
                    break
        self.state = self.known.standing()
        self.history.see(self.known, self.state, now_s)
        if decision.wake is not None and self.state is not State.DONE:
            decision.add(decision.wake)
        return decision.instructions

    def _is_one_of_many(self, event: ev.Event) -> bool:
        """Whether there is nothing to decide before the last of the pins has ended."""
        run = self.known.run
        pinned = isinstance(event, ev.PinEnded) and not event.error
        return pinned and run is not None and bool(run.placement.pinning)

    @property
    def waits_for_room(self) -> bool:
        """Whether Slurm granted nodes that can't be used yet."""
        run = self.known.run
        return run is not None and run.placement.shortfall is not None

    @property
    def lacks_nodes(self) -> bool:
        """Whether its job was refused, or never starts, for lack of nodes."""
        run = self.known.run
        if run is None:
            return self.known.submission.lacks_nodes
        return run.facts is not None and run.facts.cannot_start

    def status(self) -> GangStatus:
        """What its pods that wait are told."""
        return tell.gang_status(self.known)

    def placement_of(self, uid: PodUid) -> tuple[NodeName | None, str]:
        """(the pod's node, or None; the sentence for the user while there is none)."""
        run, pod = self.known.run, self.known.demand.pods.rows.get(uid)
        is_held = run is not None and run.allocation is not None
        if run is not None and pod is not None and is_held and _is_pinned(pod, self.known):
            return run.placement.slots.node_of(uid), ""
        sentence = tell.gang_status(self.known).sentence()
        return None, sentence or f"is {self.state.value.lower()} in slurm-bridge"


def _is_pinned(pod: Pod, gang: GangState) -> bool:
    """Whether the pod is under the gang's job; or, though last seen gated, is just being pinned.

    kube-scheduler hears of the patch when the API server does, and may ask before its answer
    has come to us. If it were told to wait then, it would try that pod again only after a second.
    """
    if pod.job_id is None:
        pinning = gang.run is not None and pod.uid in gang.run.placement.pinning
        return pinning and pod.gated_by_us
    return pod.job_id == gang.job_id
