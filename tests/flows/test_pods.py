"""Bare pods: the shortest way through everything."""

from bridge import names
from tests.arena import manifests
from tests.arena.api import Object, state, wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes, condition, node_of
from tests.arena.fixtures import Begin


def test_a_bare_pod_waits_in_slurm_runs_where_slurm_said_and_its_job_ends_with_it(
    arena: Arena, begin: Begin
) -> None:
    """Gate, job, grant, pin, extender, binding, end: once through."""
    begin(Nodes(count=2))
    created = arena.create(manifests.pod("web", NAMESPACE, gpus=2, cpu="3500m", memory="3Gi"))
    assert created["spec"]["schedulerName"] == names.SCHEDULER_NAME
    assert [gate["name"] for gate in created["spec"]["schedulingGates"]] == [names.ALLOCATION_GATE]
    pod = arena.wait_bound("web")
    job = arena.job_of(pod)
    assert state(job) == "RUNNING"
    assert job["nodes"] == node_of(pod) == pod["metadata"]["annotations"][names.NODE_ANNOTATION]
    assert job["name"] == f"{NAMESPACE}/web"
    (node,) = job["job_resources"]["nodes"]["allocation"]
    assert (node["cpus"]["count"], node["memory"]["allocated"]) == (4, 3072)
    told = arena.wait_pod("web", "is told", lambda pod: allocated(pod) == ("True", "Allocated"))
    assert node_of(pod) in (condition(told) or {})["message"]
    arena.delete_pod("web")
    arena.wait_gone("web")
    wait_for("the job ends", lambda: state(arena.slurm.job(job["job_id"])) == "CANCELLED")


def allocated(pod: Object) -> tuple[str, str]:
    told = condition(pod) or {"status": "", "reason": ""}
    return told["status"], told["reason"]
