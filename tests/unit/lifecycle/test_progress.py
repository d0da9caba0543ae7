"""What a gang has done already is asked for no more, whatever the bridge has seen of it."""

from dataclasses import replace

from bridge import names
from bridge.lifecycle import instructions as do
from bridge.lifecycle.slots import Slots
from bridge.model.gang import Assignment
from bridge.model.ids import NodeName, SlurmJobId
from bridge.model.scheduling import PodShape
from tests.builders import a_gang, a_pod
from tests.unit.lifecycle.test_machine import running
from tests.unit.lifecycle.world import TUNING, World


def nodes(world: World) -> dict[int | None, str]:
    """Rank → node of the pods that live."""
    return {
        pod.completion_index: pod.annotations[names.NODE_ANNOTATION]
        for pod in world.pods.values()
        if not pod.ended
    }


def size_after_preemption(world: World, *ranks: int) -> int:
    """Slurm preempts the gang's first job, and the owner makes these ranks anew: for how many pods
    the next job is."""
    world.end(SlurmJobId(1), "PREEMPTED")
    world.perform_all()
    world.remove_deleted()
    for rank in ranks:
        world.create(rank)
    world.pass_time(60)
    (submit,) = world.todo
    assert isinstance(submit, do.SubmitJob)
    return submit.gang.size


def test_a_member_that_has_succeeded_is_not_missed_after_a_restart() -> None:
    """Its pod may be removed; the Job's status still says that its index is done."""
    world = running(size=2)
    world.succeed(1)
    (done,) = [uid for uid, pod in world.pods.items() if pod.ended]
    world.remove(done)
    world.restart()
    world.settle()
    world.pass_time(TUNING.patience.members_s * 2)
    assert not world.todo
    assert [job.job_id for job in world.live_jobs] == [1]
    assert nodes(world) == {0: "n1-0"}


def test_a_gang_that_is_preempted_asks_only_for_what_is_left_to_do() -> None:
    """Two of four ranks are done: the next job has two tasks, and their pods find their slots."""
    world = running(size=4)
    world.succeed(0, 2)
    assert size_after_preemption(world, 1, 3) == 2
    world.perform()
    world.start(SlurmJobId(2))
    world.settle()
    assert nodes(world) == {1: "n2-0", 3: "n2-1"}


def test_a_waiting_gang_is_asked_for_less_as_its_members_are_done() -> None:
    """The status may tell of them late, while the job waits already."""
    world = World(size=3)
    world.machine.release()
    world.create(2)
    world.perform()
    world.job = replace(world.job, completed_indexes="0-1")
    world.see()
    (update,) = world.todo
    assert isinstance(update, do.UpdateJob)
    assert update.new.tasks == 1


def scaled(world: World, size: int) -> None:
    """The owner wants so many pods now."""
    world.size = size
    world.job = replace(world.job, parallelism=size, completions=size)
    for uid, pod in list(world.pods.items()):
        if pod.completion_index is not None and pod.completion_index >= size:
            world.remove(uid)
    world.see()


def test_slots_that_the_owner_wants_no_more_are_released_and_taken_back() -> None:
    """A gang of four becomes one of two, and one of four again: its job holds all nodes meanwhile,
    which is told."""
    world = running(size=4)
    scaled(world, 2)
    assert world.run.placement.slots.idle_nodes() == ("n1-2", "n1-3")
    assert world.run.placement.slots.vacant == 0
    world.pass_time(TUNING.patience.members_s * 2)
    assert not world.todo
    (event,) = [event for event in world.told if event.reason == "NodesNotNeeded"]
    assert "n1-2, n1-3" in event.note
    scaled(world, 4)
    world.create(2)
    world.create(3)
    world.settle()
    assert nodes(world) == {rank: f"n1-{rank}" for rank in range(4)}
    assert not world.run.placement.slots.idle_nodes()


def test_pods_without_an_index_release_whatever_slots_they_leave() -> None:
    """A ReplicaSet that is scaled down deletes any of its pods."""
    slots = Slots(a_gang("g", size=4))
    pods = {pod.uid: pod for pod in (a_pod(name).build() for name in "abcd")}
    slots.assign(pods, {}, None)
    slots.place(Assignment(tuple(NodeName(f"n{rank}") for rank in range(4))), [PodShape()] * 4)
    left = {uid: pod for uid, pod in pods.items() if pod.name in "bd"}
    slots.assign(left, {}, None)
    slots.release(a_gang("g", size=2))
    assert (slots.vacant, slots.idle_nodes()) == (0, ("n0", "n2"))
    slots.release(a_gang("g", size=3))
    assert (slots.vacant, slots.idle_nodes()) == (1, ("n2",))


def test_a_pod_beyond_the_slots_that_are_left_queues_on_its_own() -> None:
    """A slot that is done is for nobody: a gang of two, of which one is done, is scaled up to 3.
    (The new pod is not told that the gang is full until it ends.)"""
    world = running(size=2)
    world.succeed(1)
    scaled(world, 3)
    late = world.create(2)
    assert world.split == [late]
    assert not world.todo


def test_a_preempted_gang_leaves_out_its_pods_that_are_elsewhere() -> None:
    """Two pods that came while it ran queue on their own. Its next job is for the two that are its
    members: it waits for no nodes that nobody would use."""
    world = running(size=2)
    scaled(world, 4)
    for rank in (2, 3):
        world.create(rank)
    assert len(world.split) == 2
    assert size_after_preemption(world, 0, 1) == 2


def test_a_gang_that_has_changed_its_size_while_nobody_looked_is_asked_for_as_it_is() -> None:
    """The bridge was down: its job waits in Slurm as it was submitted."""
    world = World(size=2)
    world.machine.release()
    world.create()
    world.perform()
    world.size = 4
    world.job = replace(world.job, parallelism=4, completions=4)
    world.restart()
    (update,) = world.todo
    assert isinstance(update, do.UpdateJob)
    assert update.new.tasks == 4
    world.perform()
    world.restart()
    assert not world.todo, "Slurm has it already"


def test_pods_that_come_while_their_job_is_being_ended_wait_for_the_next() -> None:
    """A Job is suspended and resumed at once, and Slurm is slow: who was put into the job that is
    about to end would end with it."""
    world = running(size=2)
    world.owner = "suspended"
    for uid in list(world.pods):
        world.remove(uid)
    (cancel,) = world.todo
    assert isinstance(cancel, do.CancelJob)
    world.owner = "creates"
    for rank in range(2):
        world.create(rank)
    assert world.todo == [cancel]
    world.pass_time(TUNING.retries.end_again_s + 1)
    assert world.todo == [cancel, cancel], "it is asked for again until it is done"
    world.todo.pop()
    world.perform()
    world.pass_time(1)
    (submit,) = world.todo
    assert isinstance(submit, do.SubmitJob)
    assert not any(pod.deleting for pod in world.pods.values())


def test_what_was_done_is_to_be_done_again_when_the_owner_begins_anew() -> None:
    """A JobSet makes all of its Jobs again when one has failed: the ranks that were done find their
    slots in the job that the gang still holds."""
    world = running(size=4)
    world.succeed(0, 1)
    world.job = replace(world.job, completed_indexes="")
    for uid in list(world.pods):
        world.remove(uid)
    for rank in range(4):
        world.create(rank)
    world.settle()
    assert nodes(world) == {rank: f"n1-{rank}" for rank in range(4)}
    assert not world.split


def test_a_slot_of_another_part_is_no_slot_for_a_pod() -> None:
    """A launcher is to come when all workers are ready. A third worker does not wait for it, or the
    launcher would never come."""
    world = World(size=3, roles=(1, 2))
    world.machine.release()
    for rank in (100, 101):
        world.create(rank)
    world.perform_all()
    world.start(SlurmJobId(1))
    world.settle()
    world.roles = (1, 3)
    late = world.create(102)
    assert world.split == [late]
    launcher = world.create(0)
    world.settle()
    assert nodes(world) == {0: "n1-0", 100: "n1-1", 101: "n1-2"}
    assert launcher not in world.split


def test_after_a_restart_nodes_that_are_too_many_are_told_and_taken_into_use() -> None:
    """The bridge begins anew while a gang that was scaled down holds what it was submitted for."""
    world = running(size=4)
    scaled(world, 2)
    world.restart()
    world.pass_time(TUNING.notices.idle_nodes_s + 15)
    (event,) = [event for event in world.told if event.reason == "NodesNotNeeded"]
    assert "n1-2, n1-3" in event.note
    scaled(world, 4)
    world.create(2)
    world.create(3)
    world.settle()
    assert set(nodes(world).values()) == {f"n1-{rank}" for rank in range(4)}
    assert not world.split
    assert [job.job_id for job in world.live_jobs] == [1]


def test_members_that_a_job_was_not_submitted_for_are_not_missed() -> None:
    """While the bridge was down the gang was scaled up, and a quota keeps the new pods away: those
    that run go on; where they do come they queue on their own."""
    world = running(size=2)
    world.size = 4
    world.job = replace(world.job, parallelism=4, completions=4)
    world.restart()
    world.pass_time(TUNING.patience.members_s * 2)
    assert not world.todo
    late = world.create(2)
    assert world.split == [late]
    assert nodes(world) == {0: "n1-0", 1: "n1-1"}


def test_the_last_wave_leaves_slots_that_nobody_waits_for() -> None:
    """Five completions, four at once: the fifth pod takes a slot that is free again, and a job that
    begins anew is as large as what is left."""
    world = World(size=4)
    world.job = replace(world.job, completions=5, annotations={names.GANG_ANNOTATION: "true"})
    world.machine.release()
    for rank in range(4):
        world.create(rank)
    world.perform_all()
    world.start(SlurmJobId(1))
    world.settle()
    world.job = replace(world.job, succeeded_pods=1)
    world.succeed(0)
    world.create(4)
    world.settle()
    assert nodes(world)[4] == "n1-0"
    assert not world.split
    world.job = replace(world.job, succeeded_pods=4)
    world.succeed(1, 2, 3)
    assert world.run.placement.slots.vacant == 0
    assert size_after_preemption(world, 4) == 1
