"""Pods that ask for something else than the slot that they find, or than Slurm was told."""

from dataclasses import replace

from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.lifecycle.state import State
from bridge.model.gang import Shortfall
from bridge.model.ids import NodeName, PodUid, SlurmJobId
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from tests.unit.lifecycle.world import TUNING, World

WHY = "its volume is not reached from node n1-1"
LARGER = PodShape(requests=Resources(cpu_milli=9000))


def _performed(world: World) -> World:
    world.perform_all()
    return world


def _queued(*, size: int = 2, single: bool = False) -> World:
    world = World(size=size, single=single)
    world.machine.release()
    world.create()
    return _performed(world)


def _grown(world: World, *, started: bool) -> World:
    """All its pods ask for more than Slurm was told."""
    if started:
        world.start(SlurmJobId(1))
        world.todo.clear()
    for uid, pod in world.pods.items():
        world.pods[uid] = replace(pod, shape=LARGER)
    world.see()
    return world


def test_a_member_that_comes_late_and_does_not_fit_its_slot_queues_on_its_own() -> None:
    """Those that run are not touched, and its owner reads why."""
    world = _queued()
    world.start(SlurmJobId(1))
    _performed(world)
    (first,) = world.pods
    world.misfits = {PodUid("uid-train-2"): WHY}
    late = world.create()
    assert [pod.uid for pod in world.split] == [late.uid]
    assert set(world.pods) == {first}
    assert not world.todo
    assert (world.told[-1].reason, world.told[-1].pod.uid) == ("QueuedAlone", late.uid)
    assert world.told[-1].note == (f"It queues on its own, not as a part of Slurm job 1: {WHY}")
    for restarts in (False, True):
        if restarts:
            world.restart()
        world.pass_time(TUNING.patience.members_s + 1)
        world.pass_time(TUNING.patience.members_s + 1)
        assert not world.todo, "nobody waits for it in the gang"


def test_a_grant_that_suits_none_of_its_pods_is_given_back() -> None:
    """Nobody runs in it: the gang queues anew as one, and no node is to blame."""
    for single in (False, True):
        world = _queued(single=single, size=1 if single else 2)
        world.misfits = dict.fromkeys(world.pods, WHY)
        world.start(SlurmJobId(1))
        assert [type(one) for one in world.todo] == [do.CancelJob]
        assert (world.told[-1].reason, world.avoided) == ("GrantUnusable", [])
        world.misfits.clear()
        _performed(world)
        world.pass_time(60)
        assert [type(one) for one in world.todo] == [do.SubmitJob]
        assert not world.split


def test_a_slot_tells_what_it_was_placed_for() -> None:
    """A pod that asks for just that needs no second look before it is pinned."""
    world = _queued()
    world.start(SlurmJobId(1))
    (pin,) = world.todo
    assert isinstance(pin, do.PinPod)
    assert pin.slot == pin.pod.shape
    _performed(world)
    world.restart()
    late = world.create()
    (pin,) = world.todo
    assert isinstance(pin, do.PinPod)
    assert (pin.pod.uid, pin.slot) == (late.uid, late.shape)


def test_a_slot_tells_whether_it_was_placed_before_its_pod_came() -> None:
    """Others may have come onto the node since: such a pod needs a second look."""
    world = _queued()
    world.start(SlurmJobId(1))
    (pin,) = world.todo
    assert isinstance(pin, do.PinPod)
    assert not pin.late
    _performed(world)
    world.create()
    (pin,) = world.todo
    assert isinstance(pin, do.PinPod)
    assert pin.late


def test_what_pods_ask_for_by_now_is_what_is_placed() -> None:
    """Slurm was told of less; what it gave is used where it is enough."""
    world = _grown(_queued(), started=False)
    world.machine.handle(ev.JobObserved(world.jobs[SlurmJobId(1)]), world.now_s)
    assert world.machine.known.gang is not None
    assert world.machine.known.gang.shape == LARGER
    world = _queued()
    world.busy_nodes = {NodeName("n1-0")}
    _grown(world, started=True)
    assert world.machine.known.gang is not None
    assert world.machine.known.gang.shape != LARGER
    world.busy_nodes = set()
    world.pass_time(60)
    pins = [one for one in world.todo if isinstance(one, do.PinPod)]
    assert [pin.slot for pin in pins] == [LARGER]


def test_nodes_that_are_as_good_as_slurm_was_told_are_not_avoided() -> None:
    """The pods ask for something else by now: they queue anew with that."""
    world = _queued()
    world.busy_nodes = {NodeName("n1-0")}
    _grown(world, started=True)
    asked = world.machine.handle(ev.Tick(), world.now_s + 60)
    (place,) = [one for one in asked if isinstance(one, do.PlaceGang)]
    assert place.gang.shape == LARGER
    short = Shortfall("too small", for_now=False, nodes=(NodeName("n1-0"),))
    world.now_s += 60
    world.tell(ev.NotPlaced(SlurmJobId(1), short))
    assert world.avoided == []
    assert world.machine.known.gang is not None
    assert world.machine.known.gang.shape == LARGER
    assert world.state is State.KNOWN


def test_what_changes_while_a_job_is_being_submitted_is_told_after_it() -> None:
    """The answer is still to come: Slurm is told once it is there."""
    world = World(size=2)
    world.machine.release()
    world.create()
    _grown(world, started=False)
    assert world.machine.known.gang is not None
    assert world.machine.known.gang.shape != LARGER
    world.perform()
    assert world.machine.known.gang.shape == LARGER
    (update,) = world.todo
    assert isinstance(update, do.UpdateJob)
    assert update.old is not None
    assert (update.old.cpus_per_task, update.new.cpus_per_task) == (1, 9)
