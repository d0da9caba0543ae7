"""What waiting pods are told."""

from dataclasses import replace

from bridge.lifecycle.status import ConditionThrottle, GangStatus
from bridge.lifecycle.waits.pending_claims import PendingClaims
from bridge.model.gang import Shortfall
from bridge.model.ids import SlurmJobId
from bridge.model.pod import Condition
from tests.builders import a_gang, a_pod, facts

POD = a_pod("web").build()
KNOWN = GangStatus(
    gang=a_gang("g", size=2),
    job_id=None,
    facts=None,
    problem="",
    trouble="",
    trouble_s=0.0,
    submitted_s=7.0,
    shortfall=None,
    lacking=0,
    full=False,
    claims=PendingClaims(tell_after_s=1.0, patience_s=60.0),
)
HOLDING = replace(KNOWN, job_id=SlurmJobId(1), facts=facts(1, "RUNNING", nodes=("n1",)), full=True)


def reason(standing: GangStatus, *, has_slot: bool = True) -> str:
    told = standing.condition(POD, has_slot=has_slot)
    return told.reason if told else ""


def test_a_pod_that_is_just_being_placed_is_told_nothing() -> None:
    """One for which its gang has no slot yet waits for the pod that has it."""
    assert reason(KNOWN) == ""
    assert reason(HOLDING) == ""
    assert reason(HOLDING, has_slot=False) == "WaitingForRoom"


def test_the_most_certain_cause_comes_first() -> None:
    """What can't be read, then members, then Slurm's refusal, its queue, room on nodes."""
    room = replace(HOLDING, shortfall=Shortfall("a pod still ends there", for_now=True))
    queued = replace(KNOWN, job_id=SlurmJobId(1), facts=facts(1, "PENDING", reason="Priority"))
    trouble = replace(KNOWN, trouble="Slurm is down", trouble_s=3.0)
    lacking = replace(trouble, lacking=1)
    problem = replace(lacking, problem="timelimit is no time")
    found = [reason(one) for one in (room, queued, trouble, lacking, problem)]
    assert found == [
        "WaitingForRoom", "Priority", "NotSubmitted", "MembersMissing", "InvalidRequest",
    ]  # fmt: skip
    assert trouble.sentence() == "Slurm is down"
    assert problem.sentence() == "timelimit is no time"
    assert KNOWN.sentence() == ""


def test_what_may_be_over_in_a_moment_waits_for_one() -> None:
    """A refused submit and a place in the queue; never what only its author can change."""
    queued = replace(KNOWN, job_id=SlurmJobId(1), facts=facts(1, "PENDING"))
    assert queued.moment(POD) == 7.0
    assert replace(KNOWN, trouble="x", trouble_s=3.0).moment(POD) == 3.0
    gated = a_pod("web").also_gated_by("example.com/quota").build()
    assert queued.moment(gated) == float("-inf")
    assert replace(KNOWN, lacking=1).moment(POD) == float("-inf")


def test_a_condition_is_written_once_in_an_interval() -> None:
    """And again after a write that failed."""
    told = ConditionThrottle(interval_s=10.0)
    one, other = (Condition("t", "False", "R", text) for text in ("a", "b"))
    assert told.due_s(POD, one) == float("-inf")
    told.write(POD, one, 100.0)
    assert told.due_s(POD, one) is None
    assert told.due_s(POD, other) == 110.0
    told.failed(POD)
    assert told.due_s(POD, one) == 110.0
    told.keep(())
    assert told.due_s(POD, one) == float("-inf")
