"""How the workloads stand that others depend on: their Slurm jobs, and how they ended.

Looked up only for gangs that carry a `dependency` on one, so plain scans do.
"""

from collections.abc import Callable, Collection

from bridge.model.ids import PodUid, SlurmJobId
from bridge.model.owner import BatchJob, Owner
from bridge.model.pod import Pod
from bridge.workloads.dependencies import Standing


def standing(
    namespace: str,
    kind: str,
    name: str,
    *,
    owners: Collection[Owner],
    pods: Collection[Pod],
    job_of: Callable[[PodUid], SlurmJobId | None],
) -> Standing | None:
    """The workload's standing; None where there is none of that name. `kind` in lower case."""
    if kind == "pod":
        for pod in pods:
            if (pod.namespace, pod.name) == (namespace, name):
                over = pod.phase == "Succeeded" if pod.ended else None
                return Standing(_jobs([pod], job_of), over=pod.ended, succeeded=over)
        return None
    for owner in owners:
        if (owner.namespace, owner.kind.lower(), owner.name) == (namespace, kind, name):
            below = _below(owner, owners)
            mine = [
                pod
                for pod in pods
                if pod.namespace == namespace and pod.owner is not None and pod.owner.uid in below
            ]
            if isinstance(owner, BatchJob):  # finished, it may still end pods
                over = owner.succeeded is not None
                return Standing(_jobs(mine, job_of), over=over, succeeded=owner.succeeded)
            return Standing(_jobs(mine, job_of), over=owner.finished)
    return None


def _below(owner: Owner, owners: Collection[Owner]) -> frozenset[str]:
    """uids of the owner and of all that it owns."""
    found = {owner.uid}
    while more := {
        one.uid
        for one in owners
        if one.namespace == owner.namespace
        and one.owner
        and one.owner.uid in found
        and one.uid not in found
    }:
        found |= more
    return frozenset(found)


def _jobs(
    pods: Collection[Pod], job_of: Callable[[PodUid], SlurmJobId | None]
) -> tuple[SlurmJobId, ...]:
    found = {job_id for pod in pods if not pod.ended and (job_id := job_of(pod.uid)) is not None}
    return tuple(sorted(found))
