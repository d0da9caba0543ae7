"""Nodes are shared to the unit, or not at all where that is asked."""

from collections import Counter

from bridge import names
from tests.arena import manifests
from tests.arena.api import state, wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes, node_of
from tests.arena.fixtures import Begin


def test_as_many_one_cpu_pods_as_a_node_has_cpus_fill_it(arena: Arena, begin: Begin) -> None:
    """Not one less (threads), not one more (the last waits)."""
    begin(Nodes(count=1, cpus=12, gpus=0))
    arena.create(manifests.job("fill", NAMESPACE, count=13, cpu="1", memory="64Mi"))
    arena.wait_pods(12, "are bound", node_of)
    (waiting,) = [job for job in arena.slurm.live_jobs() if state(job) == "PENDING"]
    assert waiting["state_reason"] in ("Resources", "Priority", "None")
    bound = [pod for pod in arena.kubernetes.pods(NAMESPACE) if node_of(pod)]
    arena.delete_pod(bound[0]["metadata"]["name"])
    wait_for(
        "the last one follows",
        lambda: waiting["job_id"]
        in {int(p["metadata"]["labels"].get(names.JOB_ID_LABEL, 0))
            for p in arena.kubernetes.pods(NAMESPACE)},
    )  # fmt: skip


def test_two_pods_without_requests_share_a_node(arena: Arena, begin: Begin) -> None:
    """One CPU and the configured memory each, not Slurm's default of everything."""
    begin(Nodes(count=1))
    for name in ("one", "two"):
        arena.create(manifests.pod(name, NAMESPACE))
    pods = [arena.wait_bound(name) for name in ("one", "two")]
    for pod in pods:
        (node,) = arena.job_of(pod)["job_resources"]["nodes"]["allocation"]
        assert (node["cpus"]["count"], node["memory"]["allocated"]) == (1, 1024)


def test_a_partition_with_a_memory_default_gives_its_own(arena: Arena, begin: Begin) -> None:
    """What the admin of Slurm has set holds where the pod says nothing."""
    begin(Nodes(count=1))
    arena.create(
        manifests.pod(
            "web", NAMESPACE, cpu="2", annotations={manifests.JOB + "partition": "defmem"}
        )
    )
    (node,) = arena.job_of(arena.wait_bound("web"))["job_resources"]["nodes"]["allocation"]
    assert node["memory"]["allocated"] == 2048


def test_exclusive_gives_each_pod_a_node_that_nobody_else_has(arena: Arena, begin: Begin) -> None:
    """Though each asks for one GPU; and a later pod does not join them."""
    begin(Nodes(count=3))
    alone = {manifests.JOB + "exclusive": "true"}
    arena.create(
        manifests.job("alone", NAMESPACE, count=2, gang=True, gpus=1, cpu="1", annotations=alone)
    )
    pods = arena.wait_pods(2, "are bound", node_of, of_job="alone")
    assert len({node_of(pod) for pod in pods}) == 2
    arena.create(manifests.pod("guest", NAMESPACE, gpus=1))
    assert node_of(arena.wait_bound("guest")) not in {node_of(pod) for pod in pods}


def test_independent_pods_of_a_job_have_a_slurm_job_each(arena: Arena, begin: Begin) -> None:
    """Waves of completions > parallelism: nobody waits for the others, nothing is left."""
    begin(Nodes(count=2))
    arena.create(manifests.job("sweep", NAMESPACE, count=12, parallelism=4, gpus=4, run_s=0.5))
    wait_for(
        "the Job is complete",
        lambda: arena.kubernetes.get(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/sweep")[
            "status"
        ].get("succeeded") == 12,
        seconds=60,
    )  # fmt: skip
    pods = arena.kubernetes.pods(NAMESPACE)
    ids = Counter(pod["metadata"]["labels"][names.JOB_ID_LABEL] for pod in pods)
    assert len(ids) == 12
    assert set(ids.values()) == {1}
    arena.wait_idle()
