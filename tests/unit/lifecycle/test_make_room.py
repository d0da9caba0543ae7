"""A job that Slurm preempts with GraceTime: the time is the pods', and no more than that."""

from dataclasses import replace

from bridge.lifecycle import instructions as do
from bridge.model.ids import SlurmJobId
from tests.unit.lifecycle.test_machine import running
from tests.unit.lifecycle.world import TUNING, World

JOB = SlurmJobId(1)


def ends(world: World) -> list[do.EndPods]:
    """The requests to end pods that wait."""
    return [one for one in world.todo if isinstance(one, do.EndPods)]


def cancels(world: World) -> list[do.CancelJob]:
    """The requests to end the job that wait."""
    return [one for one in world.todo if isinstance(one, do.CancelJob)]


def graceful(world: World, grace_s: int) -> World:
    """The pods want so long to end."""
    for uid, pod in list(world.pods.items()):
        world.change(uid, grace_s=pod.grace_s and grace_s)
    return world


def test_the_pods_of_a_job_that_makes_room_end_with_their_own_grace() -> None:
    """They are told in Slurm's words, and the job goes on until the last one is gone; then it ends
    at once, and the gang queues again."""
    world = graceful(running(size=2), 30)
    world.preempt(JOB, left_s=120)
    (end,) = ends(world)
    assert (len(end.pods), end.reason, end.most_s) == (2, "PreemptedInSlurm", None)
    assert end.message == (
        "Slurm job 1 makes room for another job, which gets its nodes at 2001-09-09T01:48:40Z at "
        "the latest."
    )
    world.perform_all()
    first, second = world.pods
    world.remove(first)
    assert not world.todo
    world.create(0)
    assert not world.todo, "the new pod waits for the next job"
    world.remove(second)
    (cancel,) = cancels(world)
    assert cancel.job_id == 1
    world.settle()
    assert [job.job_id for job in world.live_jobs] == [2]


def test_no_pod_gets_more_time_than_slurm_leaves() -> None:
    """Else the other job's pods would wait on the node, or meet them there."""
    world = graceful(running(size=2), 300)
    world.preempt(JOB, left_s=20)
    (end,) = ends(world)
    assert end.most_s == 20 - TUNING.notices.end_margin_s


def test_a_pod_is_never_removed_by_force() -> None:
    """However late the bridge hears of it."""
    world = running(size=2)
    world.preempt(JOB, left_s=-5)
    (end,) = ends(world)
    assert end.most_s == 1


def test_a_time_limit_is_not_told_to_pods_that_make_room() -> None:
    """Slurm moves the job's end to that of its grace."""
    world = running(size=2)
    world.preempt(JOB, left_s=60)
    world.pass_time(3600)
    assert {one.reason for one in ends(world)} == {"PreemptedInSlurm"}
    assert not [event for event in world.told if event.reason == "EndsSoon"]


def test_a_pod_whose_pin_was_under_way_ends_too() -> None:
    """It is told as soon as it has its place."""
    world = World(size=2)
    world.machine.release()
    world.create(0)
    world.create(1)
    world.perform_all()
    world.start(JOB)
    assert [type(one) for one in world.todo] == [do.PinPod, do.PinPod]
    world.perform()
    world.preempt(JOB, left_s=60)
    assert len(ends(world)) == 1
    world.perform_all()
    assert all(pod.deleting for pod in world.pods.values())


def test_a_bare_pod_that_makes_room_ends_and_is_forgotten() -> None:
    """Nobody makes it again."""
    world = World(single=True, size=1)
    world.machine.release()
    world.create()
    world.perform_all()
    world.start(JOB)
    world.perform_all()
    world.preempt(JOB, left_s=60)
    world.perform_all()
    assert all(pod.deleting for pod in world.pods.values())
    world.remove_deleted()
    world.settle()
    assert world.forgotten
    assert not world.live_jobs


def test_a_job_that_need_not_make_room_any_more_runs_on() -> None:
    """Slurm says so; pods that come then get their places."""
    world = running(size=2)
    world.preempt(JOB, left_s=60)
    world.todo.clear()
    world.jobs[JOB] = replace(world.jobs[JOB], makes_room_until_s=None)
    world.poll(JOB)
    world.pass_time(3600)
    assert not cancels(world)
