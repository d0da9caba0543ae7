"""The time limit, as pods are told of it."""

from bridge.lifecycle import instructions as do
from bridge.lifecycle.waits.deadline import Deadline
from bridge.model.ids import SlurmJobId
from tests.unit.lifecycle.world import World


def a_deadline(left_s: float | None) -> Deadline:
    deadline = Deadline(warn_s=600, margin_s=2)
    deadline.seen(left_s, 0.0)
    return deadline


def test_a_job_without_a_limit_has_nothing_to_tell() -> None:
    """Nor one whose limit was lifted."""
    deadline = a_deadline(None)
    assert deadline.check(30, 1e9) == ""
    assert deadline.due_s is None
    lifted = a_deadline(3600)
    lifted.seen(None, 10.0)
    assert lifted.check(30, 1e9) == ""


def test_pods_are_warned_once_and_ended_in_time_for_their_grace() -> None:
    """An hour: a warning ten minutes before, the end by grace and a margin before."""
    deadline = a_deadline(3600)
    assert deadline.check(30, 0.0) == ""
    assert deadline.due_s == 3000
    assert deadline.check(30, 3000) == "warn"
    assert deadline.check(30, 3001) == ""
    assert deadline.due_s == 3568
    assert deadline.check(30, 3568) == "end"


def test_a_longer_limit_is_taken_in() -> None:
    """`scontrol update` while it runs."""
    deadline = a_deadline(3600)
    deadline.seen(7200 - 3560, 3560)
    assert deadline.check(30, 3570) == ""


def test_a_short_limit_is_at_least_half_used() -> None:
    """One minute with a grace of five: thirty seconds of work."""
    deadline = a_deadline(60)
    assert deadline.check(300, 29) == ""
    assert deadline.check(300, 30) == "end"


def test_a_gangs_pods_are_told_before_slurm_ends_their_job() -> None:
    """Slurm's own end follows (accounts say TIMEOUT); who comes now waits for the next job."""
    world = World(size=2)
    world.machine.release()
    for _ in range(2):
        world.create()
    world.perform_all()
    world.start(SlurmJobId(1), left_s=3600)
    world.perform_all()
    world.pass_time(3001)
    assert [event.reason for event in world.told] == ["EndsSoon"]
    world.pass_time(570)
    (end,) = world.todo
    assert isinstance(end, do.EndPods)
    assert (end.reason, len(end.pods)) == ("TimeLimit", 2)
    world.perform()
    for uid in list(world.pods):
        world.remove(uid)
    world.create()
    world.pass_time(1)
    assert not world.todo
    world.end(SlurmJobId(1), "TIMEOUT")
    world.pass_time(31)
    assert [type(one) for one in world.todo] == [do.SubmitJob]
