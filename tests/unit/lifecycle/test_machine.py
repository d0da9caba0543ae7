"""The gang's life, decision by decision."""

from dataclasses import replace
from itertools import pairwise

import pytest

from bridge import names
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.lifecycle.state import State
from bridge.model.gang import Shortfall
from bridge.model.ids import NodeName, SlurmJobId
from bridge.model.job import JobIdentity, JobSpec
from bridge.model.owner import OwnerWill
from tests.builders import facts
from tests.unit.lifecycle.world import World


def released(**fields: object) -> World:
    world = World(**fields)  # type: ignore[arg-type]
    world.machine.release()
    return world


def running(**fields: object) -> World:
    """A gang whose pods run on the nodes of job 1."""
    world = released(**fields)
    for _ in range(1 if world.single else world.size):
        world.create()
    world.perform_all()
    world.start(SlurmJobId(1))
    world.perform_all()
    for uid, pod in list(world.pods.items()):
        world.change(uid, node_name=pod.annotations[names.NODE_ANNOTATION], phase="Running")
    return world


def test_a_pod_goes_from_gated_to_pinned_and_its_job_ends_with_it() -> None:
    """The main road of a bare pod."""
    world = running(single=True)
    (pod,) = world.pods.values()
    assert (pod.job_id, pod.node_name) == (1, "n1-0")
    assert world.state is State.RUNNING
    world.change(pod.uid, phase="Succeeded")
    assert world.todo == [do.CancelJob(SlurmJobId(1), "its pods have ended")]
    world.perform()
    assert world.forgotten
    assert not world.live_jobs


def test_one_pod_is_enough_to_queue_the_whole_gang_and_ranks_keep_their_order() -> None:
    """The job is as large as the owner's spec says; rank i sits on the i-th node."""
    world = released(size=3)
    world.create(2)
    (submit,) = world.todo
    assert isinstance(submit, do.SubmitJob)
    assert submit.gang.size == 3
    world.perform()
    world.start(SlurmJobId(1))
    world.create(0)
    world.create(1)
    world.settle()
    ranks = {pod.completion_index: pod.annotations[names.NODE_ANNOTATION]
             for pod in world.pods.values()}  # fmt: skip
    assert ranks == {0: "n1-0", 1: "n1-1", 2: "n1-2"}


def test_the_extender_lets_a_pod_through_whose_patch_is_not_answered_yet() -> None:
    """kube-scheduler may hear of it first; a pod that no patch is under way for still waits."""
    world = released(single=True)
    pod = world.create()
    world.perform()
    assert world.machine.placement_of(pod.uid)[0] is None
    world.start(SlurmJobId(1))
    (pin,) = [one for one in world.todo if isinstance(one, do.PinPod)]
    assert world.machine.placement_of(pod.uid) == (pin.node, "")
    world.change(pod.uid, gates=())
    assert world.machine.placement_of(pod.uid)[0] is None


def test_nothing_is_decided_before_recovery_has_told_what_there_is() -> None:
    """A held machine submits nothing: the gang's job may be in Slurm already."""
    world = World(single=True)
    world.create()
    assert not world.todo
    world.tell(ev.Adopted(SlurmJobId(7), 2))
    world.machine.release()
    world.pass_time(1)
    assert not world.todo
    assert world.machine.known.submission.generation == 2


def test_foreign_gates_keep_a_pod_out_of_the_queue() -> None:
    """It could not run, so it holds no place; it says what it waits for."""
    world = released(single=True)
    pod = world.create()
    world.todo.clear()
    world = released(single=True)
    world.pods[pod.uid] = replace(pod, gates=(*pod.gates, "example.com/quota"))
    world.see()
    assert not world.todo
    assert "example.com/quota" in world.conditions[-1].condition.message


def test_a_waiting_pod_shows_slurms_reason_once_in_ten_seconds() -> None:
    """At most one write in the interval; a job that starts at once has none."""
    world = released(single=True)
    world.create()
    world.perform()
    assert not world.conditions
    world.pass_time(1)
    (first,) = world.conditions
    assert first.condition.reason == "Priority"
    assert first.condition.message.startswith("Slurm job 1 waits in partition slurm-bridge")
    for count in range(30):
        seen = replace(world.jobs[SlurmJobId(1)], reason=f"Other{count}")
        world.tell(ev.JobObserved(seen))
        world.now_s += 0.25
    assert len(world.conditions) == 1
    world.pass_time(3)
    assert [told.condition.reason for told in world.conditions] == ["Priority", "Other29"]


def test_even_good_news_keep_to_the_interval() -> None:
    """A pod that was told that it waits is told of its place when the interval is over."""
    world = released(single=True)
    world.create()
    world.perform()
    world.pass_time(1)
    assert [told.condition.status for told in world.conditions] == ["False"]
    world.start(SlurmJobId(1))
    world.perform()
    world.pass_time(5)
    assert len(world.conditions) == 1
    world.pass_time(5)
    assert [told.condition.status for told in world.conditions] == ["False", "True"]


@pytest.mark.parametrize("state", ["CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "SUSPENDED"])
def test_when_slurm_takes_the_resources_the_pods_are_told_and_deleted(state: str) -> None:
    """Whatever the way Slurm ended it, and once only."""
    world = running(size=2)
    world.end(SlurmJobId(1), state)
    ended = [step for step in world.todo if isinstance(step, do.EndPods)]
    assert len(ended) == 1
    assert {pod.uid for pod in ended[0].pods} == world.pods.keys()
    assert "Slurm job 1" in ended[0].message


def test_scancel_of_a_waiting_job_deletes_its_gated_pods() -> None:
    """An admin's scancel is obeyed, not undone by a new job."""
    world = released(single=True)
    world.create()
    world.perform()
    world.end(SlurmJobId(1), "CANCELLED")
    assert [type(step) for step in world.todo] == [do.EndPods]


@pytest.mark.parametrize("state", ["NODE_FAIL", "PREEMPTED"])
def test_a_job_lost_before_its_pods_were_pinned_is_queued_again(state: str) -> None:
    """Gated pods have lost nothing but time."""
    world = released(single=True)
    world.create()
    world.perform()
    world.end(SlurmJobId(1), state)
    world.settle()
    assert [job.job_id for job in world.live_jobs] == [2]
    assert world.machine.known.submission.generation == 1


def test_the_new_owner_of_a_node_waits_until_the_old_pod_is_gone() -> None:
    """Slurm hands nodes on at once; pods take their grace."""
    world = released(single=True)
    world.busy_nodes = {"n1-0"}
    world.create()
    world.perform()
    world.start(SlurmJobId(1))
    world.pass_time(5)
    assert not world.todo
    assert world.conditions[-1].condition.reason == "WaitingForRoom"
    world.make_room()
    assert [type(step) for step in world.todo] == [do.PinPod]


def test_a_grant_that_can_never_be_used_is_given_back_and_its_node_excluded() -> None:
    """The user is told which predicate failed; the next job avoids the node for a while."""
    world = released(single=True)
    world.create()
    world.perform()
    shortfall = Shortfall("taint x=y:NoSchedule", False, (NodeName("bad"),))
    world.tell(ev.NotPlaced(SlurmJobId(1), shortfall))
    assert world.avoided == ["bad"]
    assert "taint x=y:NoSchedule" in world.told[-1].note
    world.pass_time(5)
    assert [type(step) for step in world.todo] == [do.CancelJob, do.SubmitJob]
    world.todo.clear()


def stuck(world: World, words: str = "0/1 nodes are available") -> None:
    """kube-scheduler finds no way for rank 0, which is pinned and not bound."""
    uid = next(iter(world.pods))
    world.change(uid, node_name="", phase="Pending", unschedulable=words)


def test_kube_schedulers_doubts_that_pass_in_time_cost_nothing() -> None:
    """A volume had to be made, a pod had to end there."""
    world = running(size=3)
    stuck(world)
    world.pass_time(29)
    first = next(iter(world.pods))
    world.change(first, unschedulable="")
    world.pass_time(60)
    assert not world.todo


def test_a_bare_pod_that_lost_its_place_fails_and_says_why() -> None:
    """Nobody would make it anew: it must not silently vanish."""
    world = running(single=True)
    stuck(world)
    world.pass_time(31)
    (fail,) = world.todo
    assert isinstance(fail, do.FailPod)
    assert "0/1 nodes are available" in fail.message
    world.settle()
    assert world.forgotten
    assert not world.live_jobs


@pytest.mark.parametrize("single", [False, True])
def test_a_node_whose_kubelet_refuses_a_pod_is_avoided(single: bool) -> None:
    """Told once; the rest of a gang goes on."""
    world = running(size=2, single=single)
    uid, pod = next(iter(world.pods.items()))
    world.change(uid, phase="Failed", status_reason="OutOfcpu")
    assert world.avoided == [pod.node_name]
    kinds = [type(step) for step in world.todo]
    assert kinds == ([do.CancelJob] if single else [])
    world.change(uid, resource_version="9")
    assert len(world.avoided) == 1


def test_news_of_nodes_change_a_waiting_job_only_where_it_differs() -> None:
    """Slurm is told nothing that it knows; after a restart neither."""
    world = released(single=True)
    world.constraints = "class-a"
    world.create()
    world.perform()
    world.tell(ev.NodesChanged())
    assert not world.todo
    world.constraints = "class-a|class-b"
    world.tell(ev.NodesChanged())
    (update,) = world.todo
    assert isinstance(update, do.UpdateJob)
    assert update.new.constraints == "class-a|class-b"
    world.tell(ev.NodesChanged())
    assert len(world.todo) == 1


def test_a_job_that_slurm_has_set_aside_is_changed_until_slurm_looks_at_it() -> None:
    """Though nothing differs; not at each look at it, and no more once it waits as others do."""
    world = released(single=True)
    world.create()
    world.perform()
    waits = world.jobs[SlurmJobId(1)]
    aside = replace(waits, reason="BadConstraints")
    for _ in range(5):
        world.tell(ev.JobObserved(aside))
    (update,) = world.todo
    assert isinstance(update, do.UpdateJob)
    assert update.old == update.new
    world.pass_time(16)
    assert len(world.todo) == 2
    world.tell(ev.JobObserved(waits))
    world.pass_time(60)
    assert len(world.todo) == 2


@pytest.mark.parametrize("reason", ["PartitionNodeLimit", "PartitionConfig", "BadConstraints"])
def test_a_job_that_slurm_says_cant_start_tells_what_is_short(reason: str) -> None:
    """Asked for when Slurm's reason is another one, and again when nodes have changed; a job that
    waits as others do is not asked about."""
    world = released()
    world.shortage = "it needs 3 nodes, and partition p has 2"
    world.create()
    world.perform()
    world.pass_time(20)
    assert world.shortage not in world.conditions[-1].condition.message
    waits = world.jobs[SlurmJobId(1)]
    cannot = world.jobs[SlurmJobId(1)] = replace(waits, reason=reason)
    world.tell(ev.JobObserved(cannot))
    world.pass_time(20)
    told = world.conditions[-1].condition
    assert told.reason == reason
    assert told.message.startswith(f"Slurm job 1 waits in partition slurm-bridge: {reason}: it ")
    assert world.shortage in told.message
    world.shortage = "it needs 3 nodes, and partition p has 1"
    world.tell(ev.NodesChanged())
    world.pass_time(20)
    assert world.shortage in world.conditions[-1].condition.message
    world.tell(ev.JobObserved(waits))
    world.pass_time(20)
    assert world.shortage not in world.conditions[-1].condition.message


def test_a_job_that_was_found_after_a_start_tells_what_is_short_too() -> None:
    """The sentence stands nowhere but in the process that was ended."""
    world = released()
    world.shortage = "it needs 3 nodes, and partition p has 2"
    world.create()
    world.perform()
    world.jobs[SlurmJobId(1)] = replace(world.jobs[SlurmJobId(1)], reason="PartitionNodeLimit")
    world.restart()
    world.pass_time(20)
    assert world.shortage in world.conditions[-1].condition.message


def test_a_failed_member_is_replaced_in_its_slot_and_on_its_node() -> None:
    """The running job keeps its nodes; the other members are not touched."""
    world = running(size=3)
    victim = next(pod for pod in world.pods.values() if pod.completion_index == 1)
    world.change(victim.uid, phase="Failed")
    assert not world.todo
    world.create(1)
    (pin,) = world.todo
    assert isinstance(pin, do.PinPod)
    assert pin.node == victim.node_name
    assert len(world.jobs) == 1


def test_a_gang_ends_with_its_last_slot() -> None:
    """All ranks succeeded: nobody will sit there again."""
    world = running(size=2)
    first, second = world.pods
    world.change(first, phase="Succeeded")
    assert not world.todo
    world.change(second, phase="Succeeded")
    assert [type(step) for step in world.todo] == [do.CancelJob]


def test_nodes_are_not_kept_for_ever_for_a_replacement_that_never_comes() -> None:
    """After the configured time the job is given back."""
    world = running(size=2)
    for uid in list(world.pods):
        world.change(uid, phase="Failed")
    world.pass_time(299)
    assert not world.todo
    world.pass_time(2)
    assert [type(step) for step in world.todo] == [do.CancelJob]


@pytest.mark.parametrize("owner", ["over", "suspended"])
def test_a_gang_whose_owner_makes_no_more_pods_leaves_the_queue(owner: OwnerWill) -> None:
    """Deleted, finished or suspended: the waiting job is cancelled."""
    world = released(size=2)
    pod = world.create()
    world.perform()
    world.owner = owner
    world.remove(pod.uid)
    assert [type(step) for step in world.todo] == [do.CancelJob]


def test_pods_deleted_while_the_submit_is_under_way_leave_no_job() -> None:
    """The answer comes for nobody: it is cancelled."""
    world = released(single=True)
    pod = world.create()
    world.remove(pod.uid)
    assert not world.forgotten
    world.settle()
    assert world.forgotten
    assert not world.live_jobs


def test_a_resized_gang_keeps_its_place_in_the_queue() -> None:
    """While it waits its job is changed; a running one keeps what it has."""
    world = released(size=2)
    world.create()
    world.perform()
    world.size = 4
    world.job = replace(world.job, parallelism=4, completions=4)
    world.create()
    (update,) = world.todo
    assert isinstance(update, do.UpdateJob)
    assert update.new.tasks == 4
    world.perform()
    world.start(SlurmJobId(1))
    world.settle()
    assert [job.job_id for job in world.live_jobs] == [1]
    assert len(world.run.placement.slots) == 4


def test_a_job_unknown_to_a_healthy_slurm_is_over() -> None:
    """Pods that run under it are ended: what they use may be given to others."""
    world = running(size=2)
    world.vanish(SlurmJobId(1))
    (ending,) = world.todo
    assert isinstance(ending, do.EndPods)


def test_a_refused_job_is_tried_again_and_the_pod_says_why() -> None:
    """The cause may go away without anyone touching the pod."""
    world = released(single=True)
    world.create()
    world.todo.clear()
    world.tell(ev.SubmitFailed("Slurm has no partition 'x'", lasting=True))
    world.pass_time(1)
    assert "no partition" in world.conditions[-1].condition.message
    assert not world.todo
    world.pass_time(16)
    assert [type(step) for step in world.todo] == [do.SubmitJob]


def test_news_of_nodes_do_not_make_a_refused_job_a_loop() -> None:
    """Where nodes change all the time, Slurm is asked once a minute in the end. What changes after
    the first refusal is acted on at once."""
    world = released(single=True)
    world.create()
    times = []
    for _ in range(4 * 600):
        if any(isinstance(one, do.SubmitJob) for one in world.todo):
            times.append(world.now_s)
            world.todo.clear()
            world.tell(ev.SubmitFailed("no node has so many GPUs", lasting=True))
        world.pass_time(0.25)
        world.tell(ev.NodesChanged())
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits[0] <= 1.0
    assert waits[-1] == pytest.approx(60.0, abs=1.0)
    assert len(times) <= 20


def test_a_change_that_slurm_did_not_take_is_made_again() -> None:
    """It may have the job as it was; with nothing new from the nodes, too."""
    world = released(single=True)
    world.create()
    world.perform()
    world.constraints = "class-b"
    world.tell(ev.NodesChanged())
    world.todo.clear()
    world.tell(ev.UpdateFailed(SlurmJobId(1)))
    world.pass_time(14)
    assert not world.todo
    world.pass_time(2)
    (update,) = world.todo
    assert isinstance(update, do.UpdateJob)
    assert update.new.constraints == "class-b"


def test_a_gang_that_asks_for_something_else_all_the_time_is_changed_less_and_less() -> None:
    """The first change is made at once, the newest one at last; so many changes in so many seconds
    are neither so many updates nor so many jobs."""
    for key, most in (("constraints", 10), ("user", 10)):
        world = released(single=True)
        setattr(world, key, "first")
        world.create()
        world.perform()
        asked = 0
        for second in range(100):
            for change in range(10):
                setattr(world, key, f"other-{second}-{change}")
                world.tell(ev.NodesChanged())
                asked += sum(not isinstance(one, do.CancelJob) for one in world.todo)
                if not second and not change:
                    assert asked == 1
                world.perform_all()
                world.pass_time(0.1)
        assert asked <= most
        world.pass_time(31)
        world.perform_all()
        assert world.run.spec is not None
        assert getattr(world.run.spec, key) == "other-99-9"


def test_a_condition_that_could_not_be_written_is_written_later() -> None:
    """Not sooner than any other write to that pod."""
    world = released(single=True)
    world.create()
    world.perform()
    world.pass_time(1)
    (told,) = world.conditions
    world.tell(ev.NotTold(told.pod.uid))
    world.pass_time(9)
    assert len(world.conditions) == 1
    world.pass_time(2)
    assert world.conditions == [told, told]


def test_a_waiting_job_whose_user_has_changed_while_the_bridge_was_away_queues_anew() -> None:
    """Slurm never gives a job to somebody else. Named or by number, the user stays the same."""
    world = World(size=2)
    world.user = "alice"
    world.machine.release()
    world.create()
    world.perform()
    world.restart()
    assert not world.todo
    world.user = "bob"
    world.restart()
    assert [type(one) for one in world.todo] == [do.CancelJob, do.SubmitJob]
    for _ in range(2):
        world.perform()
    assert [job.users[0] for job in world.live_jobs] == ["bob"]
    world.user = "1000"
    world.restart()
    assert not world.todo


def test_a_waiting_job_in_another_partition_is_moved_after_a_restart() -> None:
    """Slurm says in which it waits; what the gang leaves to Slurm is no difference."""
    known = facts(7, "PENDING", gang="g")
    spec = JobSpec(JobIdentity("cluster", "g", 0, "o"), "x", 1, 1, known.partition)
    assert known.matches(spec)
    for other in ({"partition": "high"}, {"account": "chem"}, {"qos": "long"}):
        assert not known.matches(replace(spec, **other))  # type: ignore[arg-type]


def test_a_waiting_job_of_which_a_later_component_differs_after_a_restart_is_told() -> None:
    """While it has as many components; else it queues anew. Where none differs Slurm is told
    nothing."""
    world = World(size=2, constraints="cpu", second="gpu")
    world.machine.release()
    world.create()
    world.perform()
    world.restart()
    assert not world.todo
    world.second = "gpu|fast"
    world.restart()
    (update,) = world.todo
    assert isinstance(update, do.UpdateJob)
    assert [one.constraints for one in update.new.also] == ["gpu|fast"]
    world.perform()
    world.second = ""
    world.restart()
    assert [type(one) for one in world.todo] == [do.CancelJob, do.SubmitJob]


def test_a_job_that_is_not_recognised_is_not_submitted_again_and_again() -> None:
    """Slurm takes it and then doesn't know it as the gang's: each time the next one waits longer,
    until Slurm grants nodes once."""
    world = released(single=True)
    world.create()
    times = []
    for number in range(1, 12):
        while not any(isinstance(one, do.SubmitJob) for one in world.todo):
            world.pass_time(0.5)
        times.append(world.now_s)
        world.perform_all()
        world.vanish(SlurmJobId(number))
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits == sorted(waits)
    assert waits[0] <= 2.0
    assert waits[-1] == 60.0
