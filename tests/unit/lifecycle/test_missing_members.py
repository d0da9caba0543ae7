"""Gangs whose members never come."""

from bridge.lifecycle import instructions as do
from bridge.lifecycle.state import State
from bridge.model.ids import SlurmJobId
from tests.unit.lifecycle.world import TUNING, World


def holding(members: int, *, size: int = 3) -> World:
    """A gang whose job runs while only `members` of its pods exist."""
    world = World(size=size)
    world.machine.release()
    for _ in range(members):
        world.create()
    world.perform_all()
    world.start(SlurmJobId(1))
    world.perform_all()
    return world


def test_nodes_held_for_members_that_never_come_are_given_back() -> None:
    """The pods that did come are ended, and it queues again only after as long a time."""
    world = holding(2)
    world.pass_time(TUNING.patience.members_s - 1)
    assert not world.todo
    world.pass_time(2)
    assert [type(one) for one in world.todo] == [do.EndPods, do.CancelJob]
    assert world.told[-1].reason == "MembersMissing"
    assert "1 of 3 pods of Job/team/train did not come within 600 s" in world.told[-1].note
    world.perform_all()
    for uid in list(world.pods):
        world.remove(uid)
    world.create()
    assert not world.todo
    world.pass_time(TUNING.patience.members_s + 1)
    assert isinstance(world.todo[0], do.SubmitJob)


def test_a_gang_that_was_whole_keeps_its_nodes_while_one_is_replaced() -> None:
    """Its owner's back-off may be long; a slot without a pod is nothing new then."""
    world = holding(3)
    world.pass_time(1)
    world.remove(next(iter(world.pods)))
    world.pass_time(TUNING.patience.members_s * 2)
    assert not world.todo
    assert world.live_jobs


def test_a_pod_that_failed_for_good_has_come_all_the_same() -> None:
    """backoffLimitPerIndex gives an index up and goes on; a restarted bridge sees the same."""
    world = holding(3)
    world.change(next(iter(world.pods)), phase="Failed")
    world.restart()
    world.pass_time(1)
    world.pass_time(TUNING.patience.members_s * 2)
    assert not [one for one in world.todo if isinstance(one, do.EndPods)]
    assert world.live_jobs


def test_a_controller_that_makes_members_one_after_another_is_given_all_the_time() -> None:
    """Workers come when their leader is ready, which may load a model for an hour."""
    world = World(size=4)
    world.staged = True
    world.machine.release()
    world.create()
    world.perform()
    world.start(SlurmJobId(1))
    world.settle()
    world.pass_time(TUNING.patience.members_s * 10)
    assert not world.todo
    assert world.live_jobs


def test_a_group_that_only_its_pods_describe_is_queued_when_all_are_there() -> None:
    """Nothing else tells what it asks for; the pods say how many are missing."""
    world = World(size=3)
    world.machine.release()
    world.whole_first = True
    world.create()
    assert not world.todo
    assert "1 of the 3 pods" in world.conditions[-1].condition.message
    world.create()
    assert not world.todo
    world.create()
    assert isinstance(world.todo[0], do.SubmitJob)
    assert world.state is State.SUBMITTING


def test_pods_beyond_the_slots_of_a_running_gang_are_gangs_of_their_own() -> None:
    """A Job scaled up while it runs: the running ones are not touched, the new ones queue."""
    world = holding(3)
    running = set(world.pods)
    extra = world.create()
    assert [pod.uid for pod in world.split] == [extra.uid]
    assert set(world.pods) == running
    assert world.state is State.RUNNING


def test_a_replacement_waits_for_the_slot_of_the_pod_that_is_ending() -> None:
    """It is not one too many: the slot will be its own."""
    world = holding(3)
    (first, *_) = world.pods
    world.change(first, node_name="n1-0", deleting=True)
    world.create()
    assert not world.split
    assert "is still ending" in world.conditions[-1].condition.message
    world.remove(first)
    assert isinstance(world.todo[-1], do.PinPod)


def test_nodes_are_not_held_long_for_an_owner_that_cant_be_read() -> None:
    """Nothing would tell that it is gone; with one that is known its pods may be replaced."""
    for owner, forgotten in (("unknown", True), ("creates", False)):
        world = holding(2, size=2)
        world.owner = owner  # type: ignore[assignment]
        for uid in list(world.pods):
            world.remove(uid)
        world.pass_time(TUNING.patience.unknown_owner_s + 1)
        world.perform_all()
        assert (not world.live_jobs) is forgotten
        assert world.forgotten is forgotten
