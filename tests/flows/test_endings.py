"""How it ends: whoever ends it, the next one starts on those very nodes, and nothing leaks."""

from bridge import names
from tests.arena import manifests
from tests.arena.api import Object, state, wait_for
from tests.arena.arena import (
    NAMESPACE,
    PLAIN_NAMESPACE,
    Arena,
    Nodes,
    condition,
    node_of,
    phase,
)
from tests.arena.fixtures import Begin


def start_and_queue(arena: Arena, *, first: Object, gpus: int = 8) -> tuple[Object, int]:
    """`first` runs on the only node, a pod `next` waits for it; (first's pod, its job)."""
    arena.create(first)
    pod = arena.wait_bound(first["metadata"]["name"])
    arena.create(manifests.pod("next", NAMESPACE, gpus=gpus))
    arena.wait_pod("next", "is queued", lambda pod: condition(pod) is not None)
    return pod, int(pod["metadata"]["labels"][names.JOB_ID_LABEL])


def test_scancel_deletes_the_pod_with_its_grace_and_the_next_waits_until_it_is_gone(
    arena: Arena, begin: Begin
) -> None:
    """Slurm hands the node on at once, the pod takes two seconds to die: nobody overlaps."""
    begin(Nodes(count=1))
    dies = {manifests.DIE_SECONDS: "2"}
    first = manifests.pod("first", NAMESPACE, gpus=8, grace_s=30, annotations=dies)
    pod, job_id = start_and_queue(arena, first=first)
    arena.slurm.cancel(job_id)
    ending = arena.wait_pod("first", "is told", lambda p: condition(p, names.DISRUPTION_TARGET))
    told = condition(ending, names.DISRUPTION_TARGET)
    assert told is not None
    assert told["reason"] == "CancelledInSlurm"
    assert f"Slurm job {job_id} " in told["message"]
    while arena.kubernetes.pod(NAMESPACE, "first") is not None:
        other = arena.kubernetes.pod(NAMESPACE, "next")
        gone = arena.kubernetes.pod(NAMESPACE, "first") is None
        assert gone or (other is not None and not node_of(other))
    assert node_of(arena.wait_bound("next")) == node_of(pod)


def test_a_pod_knows_its_time_limit_and_is_ended_in_time_for_its_grace(
    arena: Arena, begin: Begin
) -> None:
    """One minute, forty seconds of grace: told at half of it, and Slurm's own end is a TIMEOUT."""
    begin(Nodes(count=1))
    limit = {manifests.JOB + "timelimit": "1", manifests.DIE_SECONDS: "1"}
    first = manifests.pod("first", NAMESPACE, gpus=8, grace_s=40, annotations=limit)
    pod, job_id = start_and_queue(arena, first=first)
    until = arena.wait_pod("first", "knows until when", lambda p: "time limit" in told(p))
    assert f"Slurm job {job_id} gives it node {node_of(pod)} until 20" in told(until)
    ending = arena.wait_pod(
        "first", "is told", lambda p: condition(p, names.DISRUPTION_TARGET), seconds=45
    )
    assert (condition(ending, names.DISRUPTION_TARGET) or {})["reason"] == "TimeLimit"
    assert state(arena.slurm.job(job_id)) == "RUNNING"
    arena.wait_gone("first")
    assert node_of(arena.wait_bound("next", seconds=70)) == node_of(pod)
    assert state(arena.slurm.job(job_id)) == "TIMEOUT"


def told(pod: Object) -> str:
    return str((condition(pod) or {}).get("message", ""))


def test_deleting_a_pod_frees_its_node_for_the_next(arena: Arena, begin: Begin) -> None:
    """kubectl delete pod ends its Slurm job, after its containers have ended."""
    begin(Nodes(count=1))
    dies = {manifests.DIE_SECONDS: "1"}
    first = manifests.pod("first", NAMESPACE, gpus=8, grace_s=30, annotations=dies)
    pod, job_id = start_and_queue(arena, first=first)
    arena.delete_pod("first")
    arena.wait_pod("first", "is ending", lambda p: "deletionTimestamp" in p["metadata"])
    assert state(arena.slurm.job(job_id)) == "RUNNING", "its containers still use the GPUs"
    assert node_of(arena.wait_bound("next")) == node_of(pod)
    assert state(arena.slurm.job(job_id)) == "CANCELLED"


def test_a_completed_pod_frees_its_node_for_the_next(arena: Arena, begin: Begin) -> None:
    """The job ends with the pod, and the Job is complete."""
    begin(Nodes(count=1))
    first = manifests.pod("first", NAMESPACE, gpus=8, run_s=2)
    pod, _ = start_and_queue(arena, first=first)
    assert node_of(arena.wait_bound("next")) == node_of(pod)
    assert phase(arena.kubernetes.pod(NAMESPACE, "first") or {"status": {}}) == "Succeeded"


def test_preemption_by_partition_tier_ends_the_pods_and_gives_their_node(
    arena: Arena, begin: Begin
) -> None:
    """Slurm preempts; the pods are told, deleted, and only then the new one starts there."""
    begin(Nodes(count=1))
    dies = {manifests.DIE_SECONDS: "2"}
    arena.create(manifests.job("low", NAMESPACE, gpus=8, pod_annotations=dies, grace_s=30))
    (low,) = arena.wait_pods(1, "is bound", node_of, of_job="low")
    high = {manifests.JOB + "partition": "high"}
    arena.create(manifests.pod("high", NAMESPACE, gpus=8, annotations=high))
    name = low["metadata"]["name"]
    told = arena.wait_pod(name, "is told", lambda p: condition(p, names.DISRUPTION_TARGET))
    assert (condition(told, names.DISRUPTION_TARGET) or {})["reason"] == "PreemptedInSlurm"
    pod = arena.wait_bound("high", seconds=30)
    assert node_of(pod) == node_of(low)
    arena.delete_pod("high")
    arena.wait_pods(1, "comes back", lambda p: node_of(p) and p["metadata"]["name"] != name,
                    of_job="low")  # fmt: skip


def test_a_queued_pod_or_job_that_is_deleted_leaves_the_queue(arena: Arena, begin: Begin) -> None:
    """No job waits for nobody."""
    begin(Nodes(count=1))
    start_and_queue(arena, first=manifests.pod("first", NAMESPACE, gpus=8))
    arena.create(manifests.job("train", NAMESPACE, count=2, gang=True, gpus=4))
    wait_for("three jobs", lambda: len(arena.slurm.live_jobs()) == 3)
    arena.delete_pod("next")
    wait_for("one has left", lambda: len(arena.slurm.live_jobs()) == 2)
    arena.delete_job("train")
    wait_for("the other has left", lambda: len(arena.slurm.live_jobs()) == 1)


def test_scancel_of_a_queued_job_deletes_its_pod(arena: Arena, begin: Begin) -> None:
    """The admin's word: a bare pod is gone for good."""
    begin(Nodes(count=1))
    start_and_queue(arena, first=manifests.pod("first", NAMESPACE, gpus=8))
    (waiting,) = [job for job in arena.slurm.live_jobs() if state(job) == "PENDING"]
    arena.slurm.cancel(waiting["job_id"])
    arena.wait_gone("next")
    assert len(arena.slurm.live_jobs()) == 1


def test_a_pinned_pod_of_a_high_priority_class_evicts_nobody(arena: Arena, begin: Begin) -> None:
    """Preemption is Slurm's; kube-scheduler's own is off in our profile."""
    begin(Nodes(count=1))
    arena.create(
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": f"urgent-{arena.kind}", "namespace": ""},
            "value": 1000000,
        }
    )
    arena.create(manifests.pod("calm", NAMESPACE, gpus=8))
    node = node_of(arena.wait_bound("calm"))
    arena.without_webhooks()
    spec = manifests.pod_spec(
        gpus=8,
        schedulerName=names.SCHEDULER_NAME,
        priorityClassName=f"urgent-{arena.kind}",
        nodeSelector={"kubernetes.io/hostname": node},
        tolerations=[{"operator": "Exists"}],
    )
    arena.create(manifests.pod("urgent", PLAIN_NAMESPACE, spec=spec))
    arena.wait_pod(
        "urgent",
        "was looked at by kube-scheduler",
        lambda pod: condition(pod, "PodScheduled"),
        namespace=PLAIN_NAMESPACE,
    )

    def unharmed() -> bool:
        calm = arena.kubernetes.pod(NAMESPACE, "calm")
        return calm is not None and "deletionTimestamp" not in calm["metadata"]

    arena.hold_for(4.0, unharmed)
