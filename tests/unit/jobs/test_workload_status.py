"""How the workloads stand that others depend on."""

from dataclasses import replace

import pytest

from bridge.jobs.workload_status import WorkloadStatus, workload_status
from bridge.model.ids import PodUid, SlurmJobId
from bridge.model.owner import BatchJob, Owner
from bridge.model.pod import OwnerReference
from bridge.state.kube_state import KubeState
from tests.builders import SCHEDULER, a_job, a_pod
from tests.hostile.measured import cost

JOBS = {
    PodUid("uid-p0"): SlurmJobId(12),
    PodUid("uid-p1"): SlurmJobId(12),
    PodUid("uid-other"): SlurmJobId(13),
    PodUid("uid-web"): SlurmJobId(14),
}
SET = Owner(
    uid="uid-set", namespace="team", name="all", resource_version="1",
    api_version="jobset.x-k8s.io/v1", kind="JobSet",
)  # fmt: skip
JOB = a_job("train", owner=OwnerReference("jobset.x-k8s.io/v1", "JobSet", "all", "uid-set"))
PODS = [
    a_pod("p0").of(JOB).build(),
    a_pod("p1").of(JOB).build(),
    a_pod("ended").of(JOB).in_phase("Succeeded").build(),
    a_pod("other").build(),
    a_pod("web").build(),
]


def found(kind: str, name: str, job: BatchJob = JOB) -> WorkloadStatus | None:
    return workload_status("team", kind, name, cluster=a_cluster(job), job_of=JOBS.get)


def a_cluster(job: BatchJob = JOB) -> KubeState:
    cluster = KubeState(scheduler_name=SCHEDULER)
    for key in (("batch", "Job"), ("jobset.x-k8s.io", "JobSet")):
        cluster.settle_kind(key, "watched")
    cluster.upsert_owner(SET)
    cluster.upsert_owner(job)
    cluster.replace_pods(PODS)
    return cluster


def test_a_workloads_jobs_are_those_of_all_pods_below_it() -> None:
    """Each once, also through owners between."""
    assert found("job", "train") == WorkloadStatus((SlurmJobId(12),))
    assert found("jobset", "all") == WorkloadStatus((SlurmJobId(12),))
    assert found("pod", "web") == WorkloadStatus((SlurmJobId(14),))


@pytest.mark.parametrize(
    ("kind", "name"), [("job", "none"), ("pod", "none"), ("deployment", "train")]
)
def test_what_is_not_there_has_no_standing(kind: str, name: str) -> None:
    """Nor has one of another kind."""
    assert found(kind, name) is None


def test_another_namespace_is_not_looked_into() -> None:
    """Names there are nobody's business."""
    cluster = a_cluster()
    assert workload_status("b", "job", "train", cluster=cluster, job_of=JOBS.get) is None
    assert workload_status("b", "pod", "web", cluster=cluster, job_of=JOBS.get) is None


def test_what_is_gone_has_no_standing() -> None:
    """Nor has a pod that has another's name by now anything of the other's."""
    cluster = a_cluster()
    cluster.remove_owner(JOB.uid)
    cluster.remove_pod(PodUid("uid-web"))
    assert workload_status("team", "job", "train", cluster=cluster, job_of=JOBS.get) is None
    assert workload_status("team", "pod", "web", cluster=cluster, job_of=JOBS.get) is None


def test_a_look_costs_no_more_among_many() -> None:
    """One annotation names 256 workloads: none of them is searched for among all pods."""

    def look(cluster: KubeState) -> int:
        return cost(
            lambda: [
                workload_status("team", kind, name, cluster=cluster, job_of=JOBS.get)
                for kind, name in (("job", "train"), ("pod", "web"), ("pod", "none"))
            ]
        )

    few, many = a_cluster(), a_cluster()
    for at in range(500):
        many.upsert_owner(a_job(f"job-{at}"))
        many.upsert_pod(a_pod(f"many-{at}").of(a_job(f"job-{at}")).build())
    assert look(many) <= look(few) + 20


@pytest.mark.parametrize("succeeded", [True, False])
def test_a_job_is_over_once_it_is_told_how(*, succeeded: bool) -> None:
    """Not while its controller only ends its pods."""
    over = found("job", "train", replace(JOB, finished=True, succeeded=succeeded))
    assert over == WorkloadStatus((SlurmJobId(12),), over=True, succeeded=succeeded)
    ending = found("job", "train", replace(JOB, finished=True))
    assert ending == WorkloadStatus((SlurmJobId(12),))


def test_a_pod_is_over_with_its_phase() -> None:
    """Its job is let go then."""
    assert found("pod", "ended") == WorkloadStatus((), over=True, succeeded=True)
