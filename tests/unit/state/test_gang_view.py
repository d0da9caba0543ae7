"""All that is known of one gang, in one look."""

from dataclasses import replace

from bridge.model.owner import BatchJob, JobSet, ReplicatedJob
from bridge.model.pod import OwnerReference
from bridge.state import gang_view
from bridge.state.kube_state import KubeState
from tests.builders import SCHEDULER, a_gang_job, a_job, a_pod

OF_SET = OwnerReference("jobset.x-k8s.io/v1alpha2", "JobSet", "set", "uid-set")


def of_set(name: str, *, judges: bool) -> BatchJob:
    return replace(a_job(name, owner=OF_SET), uid=f"uid-{name}", judges_disruptions=judges)


def test_pods_are_judged_whose_job_says_what_a_disruption_means() -> None:
    """In a gang of several Jobs, of which others say nothing."""
    cluster = KubeState(scheduler_name=SCHEDULER)
    for api_version, kind in (("batch/v1", "Job"), ("jobset.x-k8s.io/v1alpha2", "JobSet")):
        cluster.settle_kind((api_version, kind), "watched")
    jobs = {name: of_set(name, judges=name == "driver") for name in ("driver", "workers")}
    replicated = tuple(ReplicatedJob(name, 1, job) for name, job in jobs.items())
    cluster.upsert_owner(
        JobSet("uid-set", "team", "set", "1", OF_SET.api_version, replicated_jobs=replicated)
    )
    pods = {}
    for name, job in jobs.items():
        cluster.upsert_owner(job)
        labels = {
            "jobset.sigs.k8s.io/replicatedjob-name": name,
            "jobset.sigs.k8s.io/job-index": "0",
        }
        pods[name] = replace(a_pod(name).of(job, 0).build(), labels=labels)
        cluster.upsert_pod(pods[name])
    (gang_id,) = cluster.gangs
    assert gang_view.of(cluster, gang_id).judged == {pods["driver"].uid}
    cluster.upsert_owner(replace(jobs["workers"], judges_disruptions=True, resource_version="2"))
    assert gang_view.of(cluster, gang_id).judged == frozenset()


def test_the_pods_of_one_job_are_judged_alike() -> None:
    """Nobody is spared: there is no other Job."""
    cluster = KubeState(scheduler_name=SCHEDULER)
    cluster.settle_kind(("batch/v1", "Job"), "watched")
    job = replace(a_gang_job(size=2), judges_disruptions=True)
    cluster.upsert_owner(job)
    cluster.upsert_pod(a_pod("train-0").of(job, 0).build())
    (gang_id,) = cluster.gangs
    assert gang_view.of(cluster, gang_id).judged == frozenset()
