"""The status of workloads that other workloads depend on: their Slurm jobs and their results.

One annotation names many of them, so each is looked up, never searched for.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from bridge.model.ids import PodUid, SlurmJobId
from bridge.model.owner import BatchJob
from bridge.model.pod import Pod
from bridge.state.kube_state import KubeState


@dataclass(frozen=True, slots=True)
class WorkloadStatus:
    """The Slurm jobs of a workload's pods that have not ended; once the workload is over, whether
    it succeeded (None: it is not over, or its kind doesn't tell)."""

    jobs: tuple[SlurmJobId, ...] = ()
    over: bool = False
    succeeded: bool | None = None


def workload_status(
    namespace: str,
    kind: str,
    name: str,
    *,
    cluster: KubeState,
    job_of: Callable[[PodUid], SlurmJobId | None],
) -> WorkloadStatus | None:
    """The workload's status; None if it does not exist. `kind` in lower case."""
    if kind == "pod":
        pod = cluster.pod_named(namespace, name)
        if pod is None:
            return None
        over = pod.phase == "Succeeded" if pod.ended else None
        return WorkloadStatus(_jobs([pod], job_of), over=pod.ended, succeeded=over)
    owner = cluster.owner_named(namespace, kind, name)
    if owner is None:
        return None
    jobs = _jobs(cluster.pods_below(owner.uid), job_of)
    if isinstance(owner, BatchJob):  # finished, it may still end pods
        return WorkloadStatus(jobs, over=owner.succeeded is not None, succeeded=owner.succeeded)
    return WorkloadStatus(jobs, over=owner.finished)


def _jobs(
    pods: Collection[Pod], job_of: Callable[[PodUid], SlurmJobId | None]
) -> tuple[SlurmJobId, ...]:
    found = {job_id for pod in pods if not pod.ended and (job_id := job_of(pod.uid)) is not None}
    return tuple(sorted(found))
