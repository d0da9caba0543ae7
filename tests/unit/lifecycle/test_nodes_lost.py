"""What becomes of a gang when a node of one of its pods is lost, taken or in the way."""

from itertools import pairwise

from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.model.gang import Shortfall
from bridge.model.ids import NodeName, SlurmJobId
from bridge.model.pod import Pod
from tests.unit.lifecycle.test_machine import released, running
from tests.unit.lifecycle.world import TUNING, World


def pod_of(world: World, rank: int) -> Pod:
    """The pod of a rank."""
    (pod,) = [pod for pod in world.pods.values() if pod.completion_index == rank]
    return pod


def lose_node(world: World, rank: int) -> Pod:
    """The node of a rank goes silent: Kubernetes deletes the pod there, which can't end, and its
    owner makes another one."""
    pod = pod_of(world, rank)
    world.lost.add(pod.uid)
    world.change(pod.uid, deleting=True)
    return world.create(rank)


def test_a_pod_in_place_of_one_on_a_lost_node_queues_on_its_own() -> None:
    """Waiting for the place would take as long as the node is away; the others go on."""
    world = running(size=3)
    replacement = lose_node(world, 1)
    assert world.split == [replacement]
    assert [event.reason for event in world.told] == ["QueuedAlone"]
    assert "on-node-loss" in world.told[0].note
    assert not world.todo
    assert [job.job_id for job in world.live_jobs] == [1]


def test_a_pod_whose_node_answers_is_waited_for() -> None:
    """It is about to end; then its place is free."""
    world = running(size=3)
    pod = pod_of(world, 1)
    world.change(pod.uid, deleting=True)
    replacement = world.create(1)
    assert not world.split
    assert not world.todo
    world.remove(pod.uid)
    (pin,) = world.todo
    assert isinstance(pin, do.PinPod)
    assert (pin.pod.uid, pin.node) == (replacement.uid, "n1-1")


def lose_node_at_once(world: World, rank: int) -> Pod:
    """Somebody who knows that the node is dead removes its pod by force, and the owner makes
    another one."""
    pod = pod_of(world, rank)
    world.dead_nodes.add(f"n1-{rank}")
    world.remove(pod.uid)
    return world.create(rank)


def test_a_lost_node_is_nobodys_place_though_its_pod_is_gone_already() -> None:
    """The replacement is not sent there, where it would be stuck until the gang is given up."""
    world = running(size=3)
    replacement = lose_node_at_once(world, 1)
    assert world.split == [replacement]
    assert [event.reason for event in world.told] == ["QueuedAlone"]
    assert "on-node-loss" in world.told[0].note
    assert not world.todo
    whole = running(size=3, restarts_whole=True)
    lose_node_at_once(whole, 1)
    assert not whole.split
    assert whole.avoided == ["n1-1"]
    ending, cancel, *_ = whole.todo
    assert isinstance(ending, do.EndPods)
    assert len(ending.pods) == 2
    assert isinstance(cancel, do.CancelJob)


def test_a_gang_that_is_wanted_whole_begins_anew_without_the_lost_node() -> None:
    """All of its pods end, so that their owner makes them again."""
    world = running(size=3, restarts_whole=True)
    lose_node(world, 1)
    assert not world.split
    assert world.avoided == ["n1-1"]
    ending, cancel, *_ = world.todo
    assert isinstance(ending, do.EndPods)
    assert len(ending.pods) == 2, "the third can't hear of it"
    assert "does not answer" in ending.message
    assert isinstance(cancel, do.CancelJob)


def test_a_pod_on_a_node_that_its_job_lost_is_ended() -> None:
    """An admin has shrunk the job under it; the other pods stay, and it is told once."""
    world = running(size=3)
    world.shrink(SlurmJobId(1), "n1-2")
    (ending,) = world.todo
    assert isinstance(ending, do.EndPods)
    assert [pod.node for pod in ending.pods] == ["n1-2"]
    assert ending.reason == "NodeTakenBySlurm"
    world.poll(SlurmJobId(1))
    assert len(world.todo) == 1


def test_a_pod_that_is_being_pinned_to_a_node_that_its_job_loses_is_ended() -> None:
    """The patch was on its way when an admin shrank the job."""
    world = World(size=2)
    world.machine.release()
    for _ in range(2):
        world.create()
    world.perform()
    world.start(SlurmJobId(1))
    world.shrink(SlurmJobId(1), "n1-1")
    world.perform()
    world.perform()
    (ending,) = world.todo
    assert isinstance(ending, do.EndPods)
    assert [pod.node for pod in ending.pods] == ["n1-1"]


def test_a_pod_that_comes_to_a_job_without_a_node_for_it_queues_on_its_own() -> None:
    """In place of the pod that was ended; the others go on, and the machine comes to rest."""
    world = running(size=3)
    world.shrink(SlurmJobId(1), "n1-2")
    world.perform()
    (ended,) = [uid for uid, pod in world.pods.items() if pod.deleting]
    world.remove(ended)
    replacement = world.create(2)
    assert world.split == [replacement]
    assert [event.reason for event in world.told] == ["QueuedAlone"]
    assert not world.todo
    assert world.run.placement.shortfall is None


def test_a_node_that_has_another_name_for_the_moment_ends_nobody() -> None:
    """While Kubernetes does not know a node of the job, nothing tells which pods are outside."""
    world = running(size=3)
    world.unknown_nodes = True
    world.shrink(SlurmJobId(1), "n1-2")
    assert not world.todo


def test_room_that_does_not_come_in_time_is_not_waited_for_any_longer() -> None:
    """The nodes go back, those at fault are left out; the pods say why."""
    world = released(single=True)
    world.busy_nodes = {"n1-0"}
    world.create()
    world.perform()
    world.start(SlurmJobId(1))
    world.pass_time(TUNING.patience.room_s - 1)
    assert not world.todo
    world.pass_time(2)
    assert isinstance(world.todo[0], do.CancelJob)
    assert "a pod is still ending there" in world.told[-1].note


def test_a_grant_that_is_of_no_use_again_and_again_is_asked_for_less_and_less() -> None:
    """Each new job is granted, so only a pod that runs shows that all is well."""
    world = released(single=True)
    world.create()
    submits = []
    for number in range(1, 9):
        while not any(isinstance(one, do.SubmitJob) for one in world.todo):
            world.pass_time(0.25)
        submits.append(world.now_s)
        world.perform_all()
        useless = Shortfall("0 of 8 nvidia.com/gpu free", False, (NodeName("x"),))
        world.busy_nodes = {f"n{number}-0"}
        world.start(SlurmJobId(number))
        world.tell(ev.NotPlaced(SlurmJobId(number), useless))
    waits = [later - earlier for earlier, later in pairwise(submits)]
    assert waits == sorted(waits)
    assert waits[-1] >= 30.0


def test_a_grant_on_a_node_that_does_not_answer_goes_back_at_once() -> None:
    """Also one whose node goes silent just before the pin. The owner's next job, which is asked for
    soon, leaves the node out; the pod says why."""
    for is_placed in (False, True):
        world = released(single=True)
        pod = world.create()
        world.perform()
        if not is_placed:
            world.dead_nodes.add("n1-0")
        world.start(SlurmJobId(1))
        if is_placed:
            world.todo.clear()
            why = "node n1-0 is gone or does not answer"
            world.tell(ev.Misfit(pod.uid, why, lost_node=NodeName("n1-0")))
        assert [type(one) for one in world.todo] == [do.CancelJob]
        assert (world.told[-1].reason, world.avoided) == ("GrantUnusable", ["n1-0"])
        assert world.avoids[0].until_usable
        world.perform()
        world.pass_time(TUNING.retries.first_s + 0.1)
        assert [type(one) for one in world.todo] == [do.SubmitJob]


def test_a_node_that_is_lost_under_a_gang_is_left_out_by_what_queues_on_its_own() -> None:
    """Else Slurm, if it has not heard yet, gives the replacement that node again."""
    world = running(size=3)
    lose_node_at_once(world, 1)
    assert world.avoided == ["n1-1"]
