"""Members that come to a gang that runs already, and can't get onto the node of their slot."""

from itertools import pairwise

import pytest

from bridge import names
from bridge.lifecycle import instructions as do
from bridge.model.ids import SlurmJobId
from bridge.model.pod import Pod
from tests.unit.lifecycle.test_machine import released, running
from tests.unit.lifecycle.test_nodes_lost import pod_of
from tests.unit.lifecycle.test_progress import nodes
from tests.unit.lifecycle.world import TUNING, World

WORDS = "0/1 nodes are available: 1 node(s) were unschedulable"
PATIENCE_S = TUNING.patience.stuck_pin_s


def replaced(world: World, rank: int) -> Pod:
    """The rank's pod goes, and its owner makes another, which is pinned as soon as it may be."""
    for pod in [pod for pod in world.pods.values() if pod.completion_index == rank]:
        world.remove(pod.uid)
    world.split = [pod for pod in world.split if pod.completion_index != rank]
    world.create(rank)
    for _ in range(200):
        if world.split:
            return world.split[-1]
        if any(isinstance(one, do.PinPod) for one in world.todo):
            break
        world.pass_time(0.25)
    world.perform_all()
    return pod_of(world, rank)


def stuck(world: World, rank: int) -> Pod:
    """The rank's pod is replaced, and kube-scheduler finds no way for the new one."""
    pod = replaced(world, rank)
    assert pod not in world.split
    world.change(pod.uid, unschedulable=WORDS)
    world.pass_time(PATIENCE_S + 1)
    return world.pods[pod.uid]


def ended(world: World) -> list[Pod]:
    """The pods whose end is asked for, and nothing else is."""
    assert all(isinstance(one, do.EndPods) for one in world.todo)
    return [pod for one in world.todo if isinstance(one, do.EndPods) for pod in one.pods]


def test_a_newcomer_that_is_stuck_ends_alone() -> None:
    """The others run on in their job; its node is left out."""
    world = running(size=3)
    newcomer = stuck(world, 1)
    assert ended(world) == [newcomer]
    (ending,) = world.todo
    assert isinstance(ending, do.EndPods)
    assert ending.reason == "PlaceLost"
    assert WORDS in ending.message
    assert world.avoided == ["n1-1"]
    assert [job.job_id for job in world.live_jobs] == [1]


def test_the_next_pod_in_its_place_queues_on_its_own_where_no_other_node_has_room() -> None:
    """As in place of a pod whose node is lost, and it says why; its slot stays."""
    world = running(size=3)
    stuck(world, 1)
    world.perform_all()
    alone = replaced(world, 1)
    assert world.split == [alone]
    told = world.told[-1]
    assert (told.reason, told.pod.uid) == ("QueuedAlone", alone.uid)
    assert "can't get onto n1-1" in told.note
    assert nodes(world) == {0: "n1-0", 2: "n1-2"}
    world.pass_time(TUNING.patience.members_s * 2)
    assert not world.todo, "nobody waits for it in the gang"


def test_the_next_pod_in_its_place_takes_a_node_that_nobody_needs_any_more() -> None:
    """Rank 2 is done: its node is the job's still."""
    world = running(size=3)
    world.succeed(2)
    stuck(world, 1)
    world.perform_all()
    replaced(world, 1)
    assert not world.split
    assert nodes(world) == {0: "n1-0", 1: "n1-2"}


def test_a_pod_that_comes_beside_it_gets_its_own_slot() -> None:
    """Only the slot on the useless node needs another one."""
    world = running(size=3)
    stuck(world, 1)
    world.perform_all()
    for rank in (1, 2):
        world.remove(pod_of(world, rank).uid)
    for rank in (1, 2):
        world.create(rank)
    world.pass_time(1)
    world.perform_all()
    assert [pod.completion_index for pod in world.split] == [1]
    assert nodes(world) == {0: "n1-0", 2: "n1-2"}


def test_a_bare_newcomer_that_is_stuck_fails_alone() -> None:
    """Of a PodGroup, say: nobody would make it anew."""
    world = running(size=3)
    pod = replaced(world, 1)
    world.change(pod.uid, owner=None, unschedulable=WORDS)
    world.pass_time(PATIENCE_S + 1)
    (fail,) = world.todo
    assert isinstance(fail, do.FailPod)
    assert fail.pod.uid == pod.uid


def test_a_newcomer_that_its_kubelet_refuses_costs_the_others_nothing() -> None:
    """It has failed already; whoever comes in its place is not sent there again."""
    world = running(size=3)
    pod = replaced(world, 1)
    world.change(pod.uid, node_name="n1-1")
    world.change(pod.uid, phase="Failed", status_reason="OutOfcpu")
    assert not world.todo
    assert world.avoided == ["n1-1"]
    assert [replaced(world, 1)] == world.split


def test_a_gang_that_is_wanted_whole_ends_with_a_stuck_newcomer() -> None:
    """Annotation on-node-loss: "restart": it begins anew without that node."""
    world = running(size=3, restarts_whole=True)
    stuck(world, 1)
    ending, cancel = world.todo
    assert isinstance(ending, do.EndPods)
    assert len(ending.pods) == 3
    assert isinstance(cancel, do.CancelJob)
    assert world.avoided == ["n1-1"]


@pytest.mark.parametrize("others", ["deleting", "failed", "succeeded"])
def test_a_stuck_newcomer_beside_which_nobody_runs_is_the_gang_itself(others: str) -> None:
    """It queues anew as a gang, where the members that are left may run together."""
    world = running(size=2)
    newcomer, other = replaced(world, 1), pod_of(world, 0)
    if others == "succeeded":
        world.succeed(0)
    else:
        gone = {"deleting": True} if others == "deleting" else {"phase": "Failed"}
        world.change(other.uid, **gone)
    world.change(newcomer.uid, unschedulable=WORDS)
    world.pass_time(PATIENCE_S + 1)
    ending, cancel = world.todo
    assert isinstance(ending, do.EndPods)
    assert [pod.uid for pod in ending.pods] == [newcomer.uid]
    assert isinstance(cancel, do.CancelJob)


def test_members_that_are_bound_and_do_not_run_yet_are_not_ended_for_a_newcomer() -> None:
    """An image takes its time; neither the stuck pod nor the one in its place costs them."""
    world = running(size=3)
    for rank in (0, 2):
        world.change(pod_of(world, rank).uid, phase="Pending")
    newcomer = stuck(world, 1)
    assert ended(world) == [newcomer]
    world.perform_all()
    assert [replaced(world, 1)] == world.split
    assert [job.job_id for job in world.live_jobs] == [1]


def test_a_restart_of_the_bridge_makes_no_difference() -> None:
    """What is decided follows from what the pods say; the node is tried once more."""
    world = running(size=3)
    pod = replaced(world, 1)
    world.change(pod.uid, unschedulable=WORDS)
    world.pass_time(PATIENCE_S - 1)
    world.restart()
    world.pass_time(PATIENCE_S - 1)
    assert not world.todo
    world.pass_time(2)
    assert ended(world) == [world.pods[pod.uid]]
    world.perform_all()
    world.restart()
    replaced(world, 1)
    assert nodes(world)[1] == "n1-1"


def test_each_stuck_newcomer_in_a_row_is_followed_after_a_longer_time() -> None:
    """Though the others run all the while: none of its owner's retries is used up in vain."""
    world = running(size=10)
    world.succeed(*range(2, 10))
    waits = []
    for _ in range(8):
        stuck(world, 1)
        ended_s = world.now_s - 1
        world.perform_all()
        replaced(world, 1)
        waits.append(world.now_s - ended_s)
        world.perform_all()
        assert not world.split
    assert waits == sorted(waits)
    assert waits[-1] >= 0.8 * TUNING.retries.most_s
    assert all(later >= 1.5 * earlier for earlier, later in pairwise(waits[1:5]))
    assert [job.job_id for job in world.live_jobs] == [1]


def test_a_node_that_was_left_out_is_tried_again_after_a_while() -> None:
    """Whatever was in the way there may be gone; until then nobody is sent there."""
    world = running(size=3)
    stuck(world, 1)
    world.perform_all()
    assert [replaced(world, 1)] == world.split
    world.pass_time(TUNING.patience.avoid_s - 60)
    assert [replaced(world, 1)] == world.split
    world.pass_time(60)
    replaced(world, 1)
    assert nodes(world)[1] == "n1-1"


def test_a_gang_of_which_nobody_is_bound_yet_queues_anew_as_a_whole() -> None:
    """Its owner makes the pods again; at first it may only be a matter of time."""
    world = released(size=3)
    for _ in range(3):
        world.create()
    world.perform_all()
    world.start(SlurmJobId(1))
    world.perform_all()
    assert all(names.NODE_ANNOTATION in pod.annotations for pod in world.pods.values())
    world.change(next(iter(world.pods)), unschedulable=WORDS)
    world.pass_time(PATIENCE_S - 1)
    assert not world.todo
    world.pass_time(2)
    ending, cancel = world.todo
    assert isinstance(ending, do.EndPods)
    assert len(ending.pods) == 3, "the others have not begun, and are of no use without it"
    assert WORDS in ending.message
    assert isinstance(cancel, do.CancelJob)
    assert world.avoided == ["n1-0"]
