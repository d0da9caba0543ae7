"""A gang of several Jobs ends: those Jobs decide first that say what it means."""

from collections.abc import Callable

import pytest

from bridge import names
from bridge.lifecycle import instructions as do
from bridge.lifecycle.waits.spared_pods import SparedPods
from bridge.model.ids import PodUid, SlurmJobId
from tests.builders import a_pod
from tests.unit.lifecycle.world import TUNING, World

MOMENT_S = TUNING.retries.judged_s
UNSCHEDULED_S = TUNING.patience.unscheduled_s
JUDGED, OTHER = PodUid("uid-train-1"), PodUid("uid-train-2")


def pinned(*, size: int = 2, left_s: float | None = None, whole: bool = False) -> World:
    """Two pods that have their places; only the first one's Job has a rule."""
    world = World(size=size, restarts_whole=whole)
    world.machine.release()
    world.judged = frozenset({JUDGED})
    for index in range(2):
        world.create(index)
    world.perform_all()
    world.start(SlurmJobId(1), left_s=left_s)
    world.perform_all()
    return world


def running(*, size: int = 2, left_s: float | None = None, whole: bool = False) -> World:
    """The same, and they are on their nodes."""
    world = pinned(size=size, left_s=left_s, whole=whole)
    for uid, pod in list(world.pods.items()):
        world.change(uid, node_name=pod.annotations[names.NODE_ANNOTATION])
    return world


def ended(world: World) -> list[PodUid]:
    """The pods that are told to end, by all that is to be done now."""
    return [pod.uid for one in world.todo if isinstance(one, do.EndPods) for pod in one.pods]


def test_the_pods_of_other_jobs_end_when_the_first_have_been_judged() -> None:
    """With the same reason; and only once."""
    world = running()
    assert set(world.pods) == {JUDGED, OTHER}
    world.end(SlurmJobId(1), "PREEMPTED")
    assert ended(world) == [JUDGED]
    world.perform_all()
    world.remove(JUDGED)
    assert ended(world) == []
    world.pass_time(MOMENT_S + 0.1)
    assert ended(world) == [OTHER]
    world.perform_all()
    world.pass_time(MOMENT_S + 0.1)
    assert ended(world) == []


def test_they_end_at_the_latest_when_the_first_had_their_grace() -> None:
    """A pod that does not end keeps nobody waiting for ever."""
    world = running()
    grace_s = world.pods[JUDGED].grace_s
    world.end(SlurmJobId(1), "PREEMPTED")
    world.todo.clear()
    world.pass_time(grace_s)
    assert OTHER not in ended(world)
    world.pass_time(2 * MOMENT_S + 0.1)
    assert OTHER in ended(world)


def test_a_gang_whose_pods_are_all_alike_ends_at_once() -> None:
    """All of its Jobs have a rule, or none has."""
    for judged in (frozenset[PodUid](), frozenset({JUDGED, OTHER})):
        world = running()
        world.judged = judged
        world.see()
        world.end(SlurmJobId(1), "PREEMPTED")
        assert set(ended(world)) == {JUDGED, OTHER}


def preempted() -> World:
    """Slurm takes the job's nodes."""
    world = running()
    world.end(SlurmJobId(1), "PREEMPTED")
    return world


def out_of_time() -> World:
    """The time limit is near."""
    world = running(left_s=3600)
    world.pass_time(3600 - 2 * world.pods[OTHER].grace_s)
    return world


def without_a_member() -> World:
    """The third pod has not come."""
    world = running(size=3)
    world.pass_time(TUNING.patience.members_s + 1)
    return world


def stuck() -> World:
    """A pinned pod can't get onto its node, and the others are not on theirs."""
    world = pinned()
    world.change(OTHER, unschedulable="0/1 nodes are available")
    world.pass_time(TUNING.patience.stuck_pin_s + 1)
    return world


def node_lost() -> World:
    """A node is gone, and the gang's owner wants it whole."""
    world = running(size=3, whole=True)
    lost = world.create(2)
    world.perform_all()
    world.lost.add(lost.uid)
    world.change(lost.uid, deleting=True)
    return world


@pytest.mark.parametrize("end", [preempted, out_of_time, without_a_member, stuck, node_lost])
def test_however_a_gang_ends_as_a_whole_its_pods_end_in_this_order(
    end: Callable[[], World],
) -> None:
    """It makes no difference who ends it, and nobody is told twice."""
    world = end()
    assert ended(world) == [JUDGED]
    world.perform_all()
    world.pass_time(1.0)
    world.see()
    assert ended(world) == []
    world.remove(JUDGED)
    world.pass_time(MOMENT_S + 0.1)
    assert ended(world) == [OTHER]
    world.perform_all()
    world.pass_time(MOMENT_S + 0.1)
    assert ended(world) == []


def test_the_time_limit_leaves_both_their_grace() -> None:
    """The first begin to end so early that the others can finish before the limit."""
    world = running(left_s=3600)
    grace_s = world.pods[JUDGED].grace_s
    needed_s = grace_s + 2 * MOMENT_S + world.pods[OTHER].grace_s + TUNING.notices.end_margin_s
    world.pass_time(3600 - needed_s - 1)
    assert ended(world) == []
    world.pass_time(1.1)
    assert ended(world) == [JUDGED]
    world.todo.clear()
    world.pass_time(grace_s + 2 * MOMENT_S)
    assert OTHER in ended(world)


def test_pods_without_a_node_are_waited_for_as_long_as_their_collector_needs() -> None:
    """No kubelet ends them: they have failed when the garbage collector has found them. Meanwhile
    no job is made for those that are spared."""
    world = World(size=2)
    world.machine.release()
    world.judged = frozenset({JUDGED})
    for index in range(2):
        world.create(index)
    for uid in (JUDGED, OTHER):
        world.change(uid, grace_s=1)
    world.perform_all()
    world.end(SlurmJobId(1), "CANCELLED")
    assert ended(world) == [JUDGED]
    world.perform_all()
    world.pass_time(UNSCHEDULED_S)
    assert ended(world) == []
    world.perform_all()
    assert not world.live_jobs
    world.pass_time(2 * MOMENT_S + 0.1)
    assert ended(world) == [OTHER]


def test_whoever_is_spared_already_stays_so_when_more_pods_are() -> None:
    """A second end of the gang, before the first is through, forgets nobody."""
    spared = SparedPods(moment_s=MOMENT_S, unscheduled_s=UNSCHEDULED_S)
    pods = [a_pod(name).build() for name in ("a", "b", "c", "d")]
    for first, rest in (pods[:2], pods[2:]):
        spared.spare([rest], first=[first], reason="r", message="m", now_s=0.0)
    assert [pod.uid in spared for pod in pods] == [False, True, False, True]
    rows = {pod.uid: pod for pod in pods[2:]}
    assert spared.check(rows, 1.0) == UNSCHEDULED_S + 2 * MOMENT_S, "one is still to be judged"
