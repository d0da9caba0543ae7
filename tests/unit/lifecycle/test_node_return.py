"""With a sink a running gang gives back the nodes that it needs no more."""

from dataclasses import replace

from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.model.ids import NodeName, SlurmJobId
from bridge.model.job import Allocation
from tests.unit.lifecycle.test_machine import running
from tests.unit.lifecycle.test_progress import nodes, scaled
from tests.unit.lifecycle.world import TUNING, World

JOB = SlurmJobId(1)
SETTLED_S = TUNING.retries.settled_s + 1


def shrinks(world: World) -> list[set[str]]:
    """The nodes of each request to take nodes back that waits."""
    return [set(map(str, one.nodes)) for one in world.todo if isinstance(one, do.ShrinkJob)]


def held(world: World) -> set[str]:
    """The nodes that the job holds."""
    allocation = world.jobs[JOB].allocation
    assert allocation is not None
    return {str(grant.node) for grant in allocation.nodes}


def told(world: World, reason: str) -> list[str]:
    """The notes of all events with this reason."""
    return [event.note for event in world.told if event.reason == reason]


def with_sink(size: int) -> World:
    """A gang that runs, in a Slurm that has a sink."""
    world = running(size=size)
    world.set_sink(answers=True)
    return world


def test_nodes_of_pods_that_are_done_go_back_together() -> None:
    """Ranks that end one after the other cost one request, some seconds after the last of them; an
    event says so, and nobody is told that the nodes are held in vain."""
    world = with_sink(4)
    world.succeed(0)
    world.pass_time(TUNING.retries.settled_s - 1)
    world.succeed(2)
    world.pass_time(TUNING.retries.settled_s - 1)
    assert not world.todo
    world.pass_time(2)
    assert shrinks(world) == [{"n1-0", "n1-2"}]
    world.perform_all()
    assert held(world) == {"n1-1", "n1-3"}
    (note,) = told(world, "NodesGivenBack")
    assert note == ("Slurm job 1 gave back n1-0, n1-2, which no pod of the gang needs any more")
    world.pass_time(3600)
    assert not world.todo
    assert not told(world, "NodesNotNeeded")


def test_pods_that_end_all_the_time_do_not_keep_nodes_for_ever() -> None:
    """A rank ends every four seconds: half a minute after the first one their nodes go back."""
    world = with_sink(12)
    for rank in range(8):
        world.succeed(rank)
        world.pass_time(4)
    assert shrinks(world)
    assert {"n1-0", "n1-1", "n1-2"} <= shrinks(world)[0]


def test_a_gang_that_is_scaled_up_again_does_not_wait_for_nodes_that_went_back() -> None:
    """Its new pods queue on their own; the others run on."""
    world = with_sink(4)
    scaled(world, 2)
    world.pass_time(SETTLED_S)
    world.perform_all()
    assert held(world) == {"n1-0", "n1-1"}
    scaled(world, 4)
    late = [world.create(2), world.create(3)]
    assert world.split == late
    assert nodes(world) == {0: "n1-0", 1: "n1-1"}


def test_a_gang_that_is_scaled_up_in_time_keeps_its_nodes() -> None:
    """Its new pods come before anything was asked of Slurm."""
    world = with_sink(3)
    scaled(world, 2)
    world.pass_time(1)
    scaled(world, 3)
    world.create(2)
    world.settle()
    assert nodes(world) == {rank: f"n1-{rank}" for rank in range(3)}


def test_a_node_goes_back_only_when_its_last_pod_has_ended() -> None:
    """A pod that was deleted by scaling down may take long to end."""
    world = with_sink(3)
    world.scale(2)
    world.pass_time(3600)
    assert not shrinks(world)
    world.remove_deleted()
    world.pass_time(SETTLED_S)
    assert shrinks(world) == [{"n1-2"}]


def test_what_slurm_refuses_is_told_once_and_tried_less_and_less_often() -> None:
    """The slots stay usable: a pod that comes meanwhile gets its node."""
    world = with_sink(3)
    scaled(world, 2)
    tries = 0
    for _ in range(600):
        world.pass_time(6)
        if shrinks(world):
            tries += 1
            world.perform(fail=True)
    assert 5 < tries < 20
    (note,) = told(world, "NodesNotNeeded")
    assert note.endswith("which no pod of the gang needs any more: Slurm says no")
    scaled(world, 3)
    world.create(2)
    world.settle()
    assert nodes(world) == {rank: f"n1-{rank}" for rank in range(3)}


def test_a_sink_that_comes_or_goes_is_heeded_at_once() -> None:
    """Without it the gang is told what it holds in vain; with it the nodes go back."""
    world = running(size=3)
    scaled(world, 2)
    world.pass_time(3600)
    assert not world.todo
    assert len(told(world, "NodesNotNeeded")) == 1
    world.set_sink(answers=True)
    world.pass_time(SETTLED_S)
    assert shrinks(world) == [{"n1-2"}]
    world.perform_all()
    assert held(world) == {"n1-0", "n1-1"}
    world.set_sink(answers=False)
    world.succeed(0)
    world.pass_time(3600)
    assert not world.todo
    assert len(told(world, "NodesNotNeeded")) == 2


def test_a_request_without_an_answer_is_made_again() -> None:
    """The bridge may have lost it; Slurm takes the same request twice."""
    world = with_sink(2)
    world.succeed(0)
    world.pass_time(SETTLED_S)
    assert len(shrinks(world)) == 1
    world.todo.clear()
    world.pass_time(TUNING.retries.end_again_s + SETTLED_S)
    assert shrinks(world) == [{"n1-0"}]


def test_the_bridge_begins_anew_and_gives_back_what_is_too_much() -> None:
    """Whatever went back before is not missed."""
    world = with_sink(4)
    scaled(world, 2)
    world.restart()
    world.pass_time(SETTLED_S)
    assert shrinks(world) == [{"n1-2", "n1-3"}]
    world.perform_all()
    world.restart()
    world.pass_time(3600)
    assert not world.todo
    assert nodes(world) == {0: "n1-0", 1: "n1-1"}


def test_each_component_of_a_het_job_is_told_what_it_holds() -> None:
    """Slurm shrinks one component at a time, so the request names the nodes of each."""
    world = with_sink(3)
    seen = world.jobs[JOB]
    assert seen.allocation is not None
    second = Allocation(SlurmJobId(2), seen.allocation.nodes[1:])
    other = replace(seen, job_id=SlurmJobId(2), allocation=second)
    world.jobs[JOB] = replace(seen, components=(JOB, SlurmJobId(2)), also=(other,))
    world.poll(JOB)
    world.succeed(2)
    world.pass_time(SETTLED_S)
    (request,) = [one for one in world.todo if isinstance(one, do.ShrinkJob)]
    assert [one.job_id for one in request.allocations] == [1, 2]
    assert [[grant.node for grant in one.nodes] for one in request.allocations] == [
        ["n1-0"], ["n1-1", "n1-2"],
    ]  # fmt: skip


def test_a_last_node_of_a_component_that_stays_is_told() -> None:
    """Slurm has done what it was asked for, but for that node: it is not asked again."""
    world = with_sink(3)
    world.succeed(2)
    world.pass_time(SETTLED_S)
    world.todo.clear()
    world.tell(ev.JobShrunk(JOB))
    world.pass_time(3600)
    assert not world.todo
    (note,) = told(world, "NodesNotNeeded")
    assert NodeName("n1-2") in note
