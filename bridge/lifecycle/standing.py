"""How the workloads stand that others depend on: their Slurm jobs, and how they ended.

One annotation names many of them, so each is looked up, never searched for.
"""

from collections.abc import Callable, Collection

from bridge.model.ids import PodUid, SlurmJobId
from bridge.model.owner import BatchJob
from bridge.model.pod import Pod
from bridge.state.cluster import Cluster
from bridge.workloads.dependencies import Standing


def standing(
    namespace: str,
    kind: str,
    name: str,
    *,
    cluster: Cluster,
    job_of: Callable[[PodUid], SlurmJobId | None],
) -> Standing | None:
    """The workload's standing; None where there is none of that name. `kind` in lower case."""
    if kind == "pod":
        pod = cluster.pod_named(namespace, name)
        if pod is None:
            return None
        over = pod.phase == "Succeeded" if pod.ended else None
        return Standing(_jobs([pod], job_of), over=pod.ended, succeeded=over)
    owner = cluster.owner_named(namespace, kind, name)
    if owner is None:
        return None
    jobs = _jobs(cluster.pods_below(owner.uid), job_of)
    if isinstance(owner, BatchJob):  # finished, it may still end pods
        return Standing(jobs, over=owner.succeeded is not None, succeeded=owner.succeeded)
    return Standing(jobs, over=owner.finished)


def _jobs(
    pods: Collection[Pod], job_of: Callable[[PodUid], SlurmJobId | None]
) -> tuple[SlurmJobId, ...]:
    found = {job_id for pod in pods if not pod.ended and (job_id := job_of(pod.uid)) is not None}
    return tuple(sorted(found))
