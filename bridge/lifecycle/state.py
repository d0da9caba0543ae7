"""All that is known of one gang. Each fact has one owner, which says when it begins and ends.

| fact | owner | born | dies |
|---|---|---|---|
| pods, what they and their owner ask for, claims | `Demand` | first look | with the gang |
| pods that end after the others | its `SparedPods` | the gang ends as a whole | when they end |
| submit under way, failures, retry time, generation | `Submission` | first look | with the gang |
| the job: id, what Slurm was told and says, its times | `JobRun` | submitted, found | as a whole |
| slots, places, pins under way, useless nodes | its `Placement` | with the run | with the run |
| idle nodes: what Slurm was asked to take back | its `NodeReturn` | with the run | with the run |
| until when a preempted job holds its nodes | its `JobEnding` | preempted | with the run |
| whether a sink answers for nodes given back | `GangState.sink` | first look | with the gang |
| the request for nodes that the gang lacks | `GangState.new_nodes` | asked | answered |
| what was written to each pod | `ConditionThrottle` | first write | with the pod |

Which nodes an owner's jobs leave out outlives the gang: `Avoidance`.
"""

from enum import Enum

from bridge.lifecycle.decision import Decision
from bridge.lifecycle.demand import Demand
from bridge.lifecycle.job_run import JobRun
from bridge.lifecycle.status import ConditionThrottle
from bridge.lifecycle.submission import Submission
from bridge.lifecycle.tuning import Tuning
from bridge.model.gang import Gang
from bridge.model.ids import GangId, SlurmJobId
from bridge.model.pod import Pod


class State(Enum):
    """The gang's state, derived from the facts; only shown to people."""

    KNOWN = "Known"
    SUBMITTING = "Submitting"
    QUEUED = "Queued"
    ALLOCATED = "Allocated"
    PLACING = "Placing"
    RUNNING = "Running"
    ENDING = "Ending"
    DONE = "Done"


class GangState:
    """The facts of one gang, which rules read and change."""

    def __init__(self, gang_id: GangId, *, single: bool, tuning: Tuning) -> None:
        self.id = gang_id
        self.single = single
        """Whether it is a gang of one whose id is its pod's uid: the pod is never replaced."""
        self.tuning = tuning
        self.demand = Demand(tuning)
        self.submission = Submission(tuning)
        self.run: JobRun | None = None
        self.sink = False
        """Whether Slurm can take single nodes back from a running job: a sink answers for them."""
        self.new_nodes = ""
        """How the request for new nodes stands; "" if there is none."""
        self.throttle = ConditionThrottle(interval_s=tuning.notices.condition_interval_s)

    @property
    def gang(self) -> Gang | None:
        """The gang as submitted to Slurm; until a job exists, the gang that the pods ask for."""
        if self.run is not None:
            return self.run.gang
        return self.submission.under_way or self.demand.gang

    @property
    def job_id(self) -> SlurmJobId | None:
        """The gang's job in Slurm."""
        return None if self.run is None else self.run.job_id

    def waiting(self) -> list[Pod]:
        """Pods without a place, in slot order."""
        pods = self.demand.pods.placeless()
        return pods if self.run is None else self.run.placement.in_slot_order(pods)

    def begin(self, run: JobRun) -> None:
        """Notes that the gang has a job."""
        self.run = run
        self.assign_slots()

    def drop(self) -> None:
        """Drops the job run as a whole: the gang has no job any more."""
        if self.run is not None:
            self.run = None
            self.submission.generation += 1

    def assign_slots(self) -> None:
        """Gives the pods that are there now their slots in the present job."""
        if self.run is not None:
            self.run.placement.assign_slots(self.demand.pods, self.demand.ranks, self.run.job_id)

    def back_off(self, decision: Decision, delay_s: float = 0.0) -> None:
        """Notes a failure: nothing is tried for a while, after each further failure for longer."""
        self.submission.failed(decision.now_s, delay_s)
        decision.wake_at(self.submission.retry_at_s)

    def standing(self) -> State:
        """The gang's state, by its facts."""
        if not self.demand.pods.hold:
            idle = self.run is None and self.submission.under_way is None
            return State.DONE if idle else State.ENDING
        if self.submission.under_way is not None:
            return State.SUBMITTING
        if self.run is None:
            return State.KNOWN
        if self.run.allocation is None:
            return State.QUEUED
        if not self.run.placement.slots.placed:
            return State.ALLOCATED
        return State.PLACING if self.demand.pods.placeless() else State.RUNNING

    def validate(self) -> None:
        """Asserts what must hold between any two events (property tests call it)."""
        if self.run is None:
            return
        assert self.submission.under_way is None, "a second job under way"
        facts, placement, pods = self.run.facts, self.run.placement, self.demand.pods
        assert facts is None or facts.job_id == self.run.job_id, "facts of another job"
        slots = [slot for uid in pods.rows if (slot := placement.slots.of(uid)) is not None]
        assert len(slots) == len(set(slots)), "two pods in one slot"
        assert placement.pinning <= pods.rows.keys(), "pinning a pod that is gone"
