"""The order is Slurm's alone, and waiting pods say what they wait for."""

from bridge import names
from tests.arena import manifests
from tests.arena.api import Object, state, wait_for
from tests.arena.arena import NAMESPACE, PLAIN_NAMESPACE, Arena, Nodes, condition, gated, node_of
from tests.arena.fixtures import Begin


def queued(arena: Arena, count: int) -> None:
    wait_for(
        f"{count} jobs wait in Slurm",
        lambda: len([j for j in arena.slurm.live_jobs() if state(j) == "PENDING"]) == count,
    )


def test_a_later_job_starts_first_by_priority(arena: Arena, begin: Begin) -> None:
    """`priority` is Slurm's, and Slurm's order is the pods'."""
    begin(Nodes(count=1), identity={"podsSetPriority": True})
    arena.create(manifests.pod("holder", NAMESPACE, gpus=8))
    arena.wait_bound("holder")
    for name, priority in (("early", "100"), ("late", "900")):
        wish = {manifests.JOB + "priority": priority}
        arena.create(manifests.job(name, NAMESPACE, gpus=8, annotations=wish))
        queued(arena, 1 if name == "early" else 2)
    arena.delete_pod("holder")
    arena.wait_pods(1, "is bound", node_of, of_job="late")
    assert not any(node_of(pod) for pod in arena.kubernetes.pods(NAMESPACE, of_job="early"))


def test_a_later_job_starts_first_by_partition_tier(arena: Arena, begin: Begin) -> None:
    """The partition with the higher tier is served first (nothing to preempt: it waits, too)."""
    begin(Nodes(count=1))
    high = {manifests.JOB + "partition": "high"}
    arena.create(manifests.pod("holder", NAMESPACE, gpus=8, annotations=high))
    arena.wait_bound("holder")
    arena.create(manifests.job("early", NAMESPACE, gpus=8))
    queued(arena, 1)
    arena.create(manifests.job("late", NAMESPACE, gpus=8, annotations=high))
    queued(arena, 2)
    arena.delete_pod("holder")
    arena.wait_pods(1, "is bound", node_of, of_job="late")
    assert not any(node_of(pod) for pod in arena.kubernetes.pods(NAMESPACE, of_job="early"))


def test_a_waiting_pod_shows_slurms_reason(arena: Arena, begin: Begin) -> None:
    """In its `Allocated` condition, with the job's id; Kubernetes says SchedulingGated."""
    begin(Nodes(count=1))
    arena.create(manifests.pod("holder", NAMESPACE, gpus=8))
    arena.wait_bound("holder")
    arena.create(manifests.pod("next", NAMESPACE, gpus=8))
    pod = arena.wait_pod("next", "says why it waits", lambda pod: condition(pod) is not None)
    told = condition(pod)
    assert told is not None
    assert told["status"] == "False"
    assert told["reason"] in ("Resources", "Priority", "Queued")
    (job,) = [job for job in arena.slurm.live_jobs() if state(job) == "PENDING"]
    assert told["message"].startswith(f"Slurm job {job['job_id']} waits in partition slurm-bridge")
    assert gated(pod)
    scheduled = condition(pod, "PodScheduled")
    assert scheduled is not None
    assert scheduled["reason"] == "SchedulingGated"


def test_a_pod_that_names_us_where_no_webhook_is_runs_too(arena: Arena, begin: Begin) -> None:
    """The controller adds the toleration; the extender lets it through when Slurm has decided."""
    begin(Nodes(count=1))
    spec = manifests.pod_spec(gpus=1, schedulerName=names.SCHEDULER_NAME, restartPolicy="Never")
    arena.without_webhooks()
    created = arena.create(manifests.pod("plain", PLAIN_NAMESPACE, spec=spec))
    assert not gated(created)
    pod = arena.wait_bound("plain", namespace=PLAIN_NAMESPACE, seconds=40)
    assert state(arena.job_of(pod)) == "RUNNING"
    assert names.MANAGED_NODE_TAINT in [one.get("key") for one in pod["spec"]["tolerations"]]


def test_with_the_bridge_stopped_nothing_binds(arena: Arena, begin: Begin) -> None:
    """Fails closed: pods wait, those that run stay."""
    begin(Nodes(count=1))
    arena.create(manifests.pod("runs", NAMESPACE, gpus=1))
    before = arena.wait_bound("runs")
    arena.create(manifests.pod("waits", NAMESPACE, gpus=8))
    arena.wait_pod("waits", "is queued", lambda pod: condition(pod) is not None)
    arena.bridge.kill()
    arena.delete_pod("runs")
    arena.wait_gone("runs")
    answer = arena.kubernetes.try_create(manifests.pod("new", NAMESPACE, gpus=1))
    assert answer.status_code == 500, "the webhook's failurePolicy is Fail"
    arena.hold_for(
        3.0, lambda: not node_of(arena.kubernetes.pod(NAMESPACE, "waits") or {"spec": {}})
    )
    arena.bridge.start()
    after = arena.wait_bound("waits")
    assert node_of(after) == node_of(before)


def test_pods_of_other_schedulers_are_left_alone(arena: Arena, begin: Begin) -> None:
    """Neither gated nor given a job, and kept off the nodes that Slurm places."""
    begin(Nodes(count=1))
    arena.create(manifests.pod("stock", PLAIN_NAMESPACE, cpu="1"))
    pod = arena.wait_pod(
        "stock", "is refused by the taint", lambda pod: condition(pod, "PodScheduled"),
        namespace=PLAIN_NAMESPACE,
    )  # fmt: skip
    assert not gated(pod)
    told: Object = condition(pod, "PodScheduled") or {}
    assert told["status"] == "False"
    assert not arena.slurm.live_jobs()
