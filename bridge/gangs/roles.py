"""The roles of a gang by its owner's spec: how many pods of which template, and which are left.

A size comes from the owner's spec, never from the pods that happen to exist. What has succeeded, by
the status of the Jobs that make the pods or by the pods themselves, and pods that are gangs of
their own need no slot.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bridge import names
from bridge.errors import BadInput
from bridge.gangs import annotations, membership
from bridge.gangs.membership import Membership
from bridge.gangs.progress import Progress, left_of, ranges
from bridge.model.owner import (
    BatchJob,
    JobSet,
    LeaderWorkerSet,
    Owner,
    PodGroup,
    PodTemplate,
    ReplicatedJob,
    RoleSet,
)


@dataclass(frozen=True, slots=True)
class RoleDemand:
    """One role, before its pods are considered."""

    name: str
    count: int
    template: PodTemplate | None
    """The role's pod template; None if it can't be read."""
    indexes: tuple[int, ...] | None = ()
    """As Gang.indexes; () if no pod has succeeded yet."""
    staged: bool = False
    """Whether the role's pods are made only when other pods are ready."""
    succeeded: int = 0
    """How many pods without an index `count` leaves out, because they have succeeded."""

    def without(self, done: Progress, role: int) -> "RoleDemand":
        """The role without the pods that have succeeded and those that are elsewhere."""
        away = done.elsewhere.get(role, ())
        if self.indexes is None:
            return replace(self, count=max(0, self.count - len(away)))
        others = max(0, done.pods.get(role, 0) - self.succeeded) + away.count(None)
        named = {*done.indexes.get(role, ()), *(index for index in away if index is not None)}
        if named:
            known = self.indexes or range(self.count)
            left = tuple(index for index in known if index not in named)
            left = left[: max(0, len(left) - others)]
            return replace(self, count=len(left), indexes=left)
        return replace(self, count=max(0, self.count - others))


def left(
    member: Membership,
    gang_annotations: Mapping[str, str],
    kinds: tuple[RoleDemand, ...],
    done: Progress,
) -> tuple[RoleDemand, ...]:
    """The roles without what is done or elsewhere. When nothing is left, the roles as they are:
    there is nothing to ask for, and the gang's last pods are about to be seen as ended."""
    left = tuple(
        kind.without(done, at) for at, kind in enumerate(by_spec(member, gang_annotations, done))
    )
    return left if sum(kind.count for kind in left) else kinds


def indexes(kinds: Sequence[RoleDemand]) -> tuple[tuple[int, ...] | None, ...]:
    """As Gang.indexes."""
    if all(kind.indexes == () for kind in kinds):
        return ()
    return tuple(tuple(range(kind.count)) if kind.indexes == () else kind.indexes for kind in kinds)


def by_spec(
    member: Membership, gang_annotations: Mapping[str, str], done: Progress
) -> tuple[RoleDemand, ...]:
    """The gang's roles by its owner's spec, in rank order, without what the status of the Jobs that
    make its pods calls `done`."""
    match member.gang_owner:
        case None:
            return (RoleDemand("", 1, None),)
        case JobSet() as jobs:
            held = membership.held_jobs(jobs, member.gang)
            return tuple(
                _of_replicated(one, done, staged=bool(one.after) or (jobs.in_order and at > 0))
                for at, one in enumerate(held)
            )
        case LeaderWorkerSet(leader=None) as group:
            return (RoleDemand("", group.size, group.worker, staged=group.leader_ready),)
        case LeaderWorkerSet(leader=leader) as group:
            assert leader is not None
            return (
                RoleDemand("leader", 1, leader),
                RoleDemand("worker", group.size - 1, group.worker, staged=group.leader_ready),
            )
        case RoleSet() as owner if owner.roles:
            return tuple(
                RoleDemand(role.name, role.replicas, role.template, staged=role.late)
                for role in owner.roles
            )
        case PodGroup() if member.most is not None:
            return (RoleDemand("", member.most, None),)
        case BatchJob() as job:
            return (_of_job(job, _job_size(job, gang_annotations), done),)
        case owner:
            size = _asked_size(owner, gang_annotations)
            return (RoleDemand("", size, None, staged=owner.one_by_one),)


def _of_job(job: BatchJob, size: int, done: Progress) -> RoleDemand:
    status = done.job()
    succeeded = status.succeeded_pods if status is not None else 0
    if job.completions is None:  # once a pod has succeeded no more are made
        left = max(0, size - succeeded)
        return RoleDemand("", left, job.template, indexes=None, staged=succeeded > 0)
    if _comes_in_waves(job):
        left = max(0, job.completions - succeeded)
        return RoleDemand("", min(size, left), job.template, indexes=None)
    if not job.indexed:
        return RoleDemand("", max(0, size - succeeded), job.template, succeeded=succeeded)
    if status is None or not status.settled_indexes:
        return RoleDemand("", size, job.template)
    left_indexes = left_of(size, ranges(status.settled_indexes))
    return RoleDemand("", len(left_indexes), job.template, left_indexes)


def _of_replicated(one: ReplicatedJob, done: Progress, *, staged: bool) -> RoleDemand:
    """The pods of a JobSet's Jobs of one template: index = number of the Job × its pods + rank."""
    job, at_once = one.job, membership.pods_at_once(one.job)
    size = one.replicas * at_once
    made = done.jobs_named(one.name, below=one.replicas)
    succeeded = sum(child.succeeded_pods for child in made.values())
    if _comes_in_waves(job):
        if job.completions is not None:
            size -= sum(
                at_once - max(0, min(at_once, job.completions - child.succeeded_pods))
                for child in made.values()
            )
        return RoleDemand(one.name, size, job.template, None, staged)
    if not job.indexed:
        left = max(0, size - succeeded)
        return RoleDemand(one.name, left, job.template, staged=staged, succeeded=succeeded)
    if not size or not any(child.settled_indexes for child in made.values()):
        return RoleDemand(one.name, size, job.template, staged=staged)
    indexes: list[int] = []
    for number in range(one.replicas):
        text = made[number].settled_indexes if number in made else ""
        indexes += (number * at_once + rank for rank in left_of(at_once, ranges(text)))
    return RoleDemand(one.name, len(indexes), job.template, tuple(indexes), staged)


def _comes_in_waves(job: BatchJob) -> bool:
    return job.completions is None or job.completions > job.parallelism


def _job_size(job: BatchJob, gang_annotations: Mapping[str, str]) -> int:
    asked = annotations.gang_size(gang_annotations)
    together = membership.pods_at_once(job)
    if asked is not None and asked < together and job.indexed:
        raise BadInput(
            f"gang-size {asked} is smaller than the {together} pods that Job {job.name} runs at "
            "once; leave the annotation out or make it as large"
        )
    return max(1, asked or together)


def _asked_size(owner: Owner, gang_annotations: Mapping[str, str]) -> int:
    asked = annotations.gang_size(gang_annotations) or owner.replicas
    if asked is None:
        raise BadInput(
            f"annotation {names.GANG_ANNOTATION}: {owner.kind} {owner.name} does not say how many "
            f"pods it has; add annotation {names.GANG_SIZE_ANNOTATION} with their number",
            field=f"metadata.annotations[{names.GANG_SIZE_ANNOTATION}]",
        )
    return max(1, asked)  # scaled to nothing it is about to end
