"""Which gang a pod belongs to, and its rank there.

Pods that only work when all of them run are one gang: they get their resources together, in one
Slurm job. All others are gangs of one and never wait for each other. What is written here, kind
by kind, is read from the owner's spec alone, so it is known before its pods exist:

- a PodGroup says it itself (its least count), a LeaderWorkerSet's replica group always is one;
- a JobSet is one, or each of its replicated jobs where some start only after others;
- a training job of several roles (MPIJob, PyTorchJob …) is one, unless it is elastic;
- a Job is one where its pods address each other: Indexed, with a subdomain, all at once.

A gang is a namespace's: its id begins with that of its pods, which the API server vouches for, so
no reference, label or annotation makes a pod a member of another namespace's gang.

Where a controller places pod after pod itself (exclusive topology of a JobSet: followers are only
made when their leader is bound) holding places for all would wait for ever. The topmost owner that
makes a gang decides; the annotation `gang` overrules.
"""

from dataclasses import dataclass
from typing import Final

from bridge import names
from bridge.errors import BadInput
from bridge.gangs import annotations
from bridge.gangs.lineage import Lineage
from bridge.model import bounds
from bridge.model.gang import Rank
from bridge.model.ids import GangId
from bridge.model.owner import (
    BatchJob,
    JobSet,
    LeaderWorkerSet,
    Owner,
    PodGroup,
    ReplicatedJob,
    RoleSet,
)
from bridge.model.pod import Pod

_EXCLUSIVE_JOBSET = "alpha.jobset.sigs.k8s.io/exclusive-topology"
REPLICATED_JOB: Final = "jobset.sigs.k8s.io/replicatedjob-name"
JOB_INDEX: Final = "jobset.sigs.k8s.io/job-index"
_GROUP_INDEX = "leaderworkerset.sigs.k8s.io/group-index"
_WORKER_INDEX = "leaderworkerset.sigs.k8s.io/worker-index"
_POD_INDEX = "apps.kubernetes.io/pod-index"

PLUGIN_GROUP_LABEL = "scheduling.x-k8s.io/pod-group"
"""The label that names a PodGroup of scheduler-plugins."""

_PLAIN_KINDS = frozenset(
    {"Job", "CronJob", "ReplicaSet", "Deployment", "StatefulSet", "Pod", "DaemonSet",
     "ReplicationController", "JobSet", "LeaderWorkerSet", "PodGroup", "TrainJob"}
)  # fmt: skip
"""Kinds whose authors know how their pods queue; authors of other kinds are told once."""


@dataclass(frozen=True, slots=True)
class Membership:
    """The gang's id; `gang_owner` is the object whose end ends the gang (None: the pod itself)."""

    gang: GangId
    gang_owner: Owner | None = None
    rank: Rank = Rank()
    most: int | None = None
    """The most members at a time; a pod that comes later is a gang of its own."""


def of(line: Lineage) -> Membership:
    """The pod's membership. Raises BadInput if the `gang` annotation can't be read."""
    wish = annotations.gang_wish(line.annotations)
    if wish is False:
        return alone(line)
    if line.group is not None:
        return _of_group(line, line.group)
    for owner in reversed(line.owners):
        found = _of_owner(line, owner, wished=bool(wish))
        if found is not None:
            return found
    return _asked_for(line) if wish else alone(line)


def alone(line: Lineage) -> Membership:
    """The membership of a pod in a gang of one."""
    return Membership(GangId(line.pod.uid))


def advice(line: Lineage) -> str:
    """The advice for the author of an object whose kind we don't know; "" for known kinds."""
    top = line.owners[-1] if line.owners else None
    if top is None or top.kind in _PLAIN_KINDS or (isinstance(top, RoleSet) and not top.elastic):
        return ""
    if annotations.gang_wish(line.annotations) is not None:
        return ""
    return (
        f"Each pod of {top.kind} {top.name} is queued in Slurm on its own. If they only work "
        f'together, annotate the {top.kind} with {names.GANG_ANNOTATION}: "true" and '
        f'{names.GANG_SIZE_ANNOTATION}: the number of its pods ("false" ends this advice)'
    )


def _of_group(line: Lineage, group: PodGroup) -> Membership:
    if group.least <= 1:
        return alone(line)
    return Membership(
        _id(line, group), group, Rank(index=_index(line)), most=_group_size(line, group)
    )


def _group_size(line: Lineage, group: PodGroup) -> int:
    return annotations.gang_size(line.annotations) or group.least


def _of_owner(line: Lineage, owner: Owner, *, wished: bool) -> Membership | None:
    match owner:
        case JobSet():
            return _of_job_set(line, owner, wished=wished)
        case LeaderWorkerSet():
            return _of_leader_worker_set(line, owner)
        case RoleSet() if wished or not owner.elastic:
            return _of_roles(line, owner)
        case BatchJob() if owner is line.nearest and (wished or waits_together(line, owner)):
            return Membership(_id(line, owner), owner, Rank(index=line.pod.completion_index))
        case _:
            return None


def waits_together(line: Lineage, job: BatchJob) -> bool:
    """Whether the pods of a Job address each other, all of them at once."""
    covers = job.completions is not None and job.parallelism >= job.completions
    addressed = bool(job.template.subdomain or line.pod.subdomain)
    return job.indexed and covers and addressed


def pods_at_once(job: BatchJob) -> int:
    """How many pods of a Job run at the same time."""
    return min(job.parallelism, job.completions or job.parallelism)


def wants_none(gang_owner: Owner, gang: GangId) -> bool:
    """Whether the gang's owner wants no pods in it for now: it is scaled to nothing, or to fewer
    groups."""
    match gang_owner:
        case BatchJob():
            return gang_owner.parallelism == 0
        case LeaderWorkerSet():
            number = bounds.number_in(which(gang))
            return number is not None and number >= (gang_owner.replicas or 0)
        case RoleSet() if gang_owner.roles:
            return not any(role.replicas for role in gang_owner.roles)
    return gang_owner.replicas == 0


def in_stages(jobs: JobSet) -> bool:
    """Whether some of its replicated jobs start only after others."""
    return jobs.in_order or any(one.after for one in jobs.replicated_jobs)


def _id(line: Lineage, gang_owner: Owner, which: str = "") -> GangId:
    """namespace/uid, and where an owner holds several gangs, which of them."""
    whole = f"{line.pod.namespace}/{gang_owner.uid}"
    return GangId(f"{whole}/{which}" if which else whole)


def namespace_of(gang: GangId) -> str:
    """The namespace of a gang that an owner holds; "" of a gang of one."""
    return gang.partition("/")[0] if "/" in gang else ""


def which(gang: GangId) -> str:
    """Which of its owner's gangs it is; "" where the owner holds only one."""
    return gang.split("/", 2)[2] if gang.count("/") >= 2 else ""


def proves(line: Lineage, gang: GangId) -> bool:
    """Whether what stands above the pod makes it believable that it is in this gang.

    What is above a pod goes before it: an owner or a group that is named and not known (any more)
    may have been the gang's.
    """
    namespace, _, rest = gang.partition("/")
    if namespace != line.pod.namespace:
        return False
    above = [*line.owners, *filter(None, (line.group, line.workload))]
    gone = any(not one.known for one in above) or (names_group(line.pod) and line.group is None)
    return gone or rest.partition("/")[0] in {one.uid for one in above}


def names_group(pod: Pod) -> str:
    """The PodGroup that the pod says it is in; "" for none."""
    return pod.pod_group or pod.labels.get(PLUGIN_GROUP_LABEL, "")


def held_jobs(jobs: JobSet, gang: GangId) -> tuple[ReplicatedJob, ...]:
    """The replicated jobs whose pods the gang holds, in rank order."""
    name = which(gang)
    if not name:
        return jobs.replicated_jobs
    return tuple(one for one in jobs.replicated_jobs if one.name == name)


def _of_job_set(line: Lineage, jobs: JobSet, *, wished: bool) -> Membership | None:
    labels = line.pod.labels
    own = next((o for o in jobs.replicated_jobs if o.name == labels.get(REPLICATED_JOB)), None)
    if _places_pod_after_pod(line, jobs):
        return alone(line)
    if own is None:
        return None
    each = in_stages(jobs) and not wished
    gang = _id(line, jobs, own.name if each else "")
    held = held_jobs(jobs, gang)
    size = sum(one.replicas * pods_at_once(one.job) for one in held)
    if size <= 1:
        return None
    number, rank = bounds.number_in(labels.get(JOB_INDEX)), line.pod.completion_index
    index = None
    if number is not None and rank is not None:
        index = number * pods_at_once(own.job) + rank
    return Membership(gang, jobs, Rank(held.index(own), index))


def _places_pod_after_pod(line: Lineage, jobs: JobSet) -> bool:
    said = [jobs.annotations, line.pod.annotations]
    for one in jobs.replicated_jobs:
        said += [one.job.annotations, one.job.template.annotations]
    return any(_EXCLUSIVE_JOBSET in annotations for annotations in said)


def _of_leader_worker_set(line: Lineage, group: LeaderWorkerSet) -> Membership | None:
    number = line.pod.labels.get(_GROUP_INDEX)
    if number is None or group.size <= 1:
        return None
    index = bounds.number_in(line.pod.labels.get(_WORKER_INDEX))
    rank = Rank(index=index)
    if group.leader is not None and index is not None:
        rank = Rank(0, 0) if index == 0 else Rank(1, index - 1)
    return Membership(_id(line, group, number), group, rank)


def _of_roles(line: Lineage, owner: RoleSet) -> Membership | None:
    name = line.pod.labels.get(owner.role_label, "").lower()
    role = next((at for at, role in enumerate(owner.roles) if role.name.lower() == name), None)
    if role is None or sum(role.replicas for role in owner.roles) <= 1:
        return None
    index = bounds.number_in(line.pod.labels.get(owner.index_label))
    return Membership(_id(line, owner), owner, Rank(role, index))


def _asked_for(line: Lineage) -> Membership:
    """The annotation says so, on the pod (then its controller holds the gang) or on an owner."""
    if not line.owners:
        raise BadInput(
            f"annotation {names.GANG_ANNOTATION}: this pod has no owner that says which pods it "
            "starts with; put the annotation on a Job, StatefulSet … or name a PodGroup",
            field=f"metadata.annotations[{names.GANG_ANNOTATION}]",
        )
    gang_owner = line.owners[0]
    if annotations.gang_wish(line.pod.annotations) is None:
        gang_owner = next(o for o in line.owners if annotations.gang_wish(o.annotations))
        at = line.owners.index(gang_owner)
        if gang_owner.kind == "Deployment" and at:
            gang_owner = line.owners[at - 1]  # a rollout's new pods are a new gang
    return Membership(_id(line, gang_owner), gang_owner, Rank(index=_index(line)))


def _index(line: Lineage) -> int | None:
    if line.pod.completion_index is not None:
        return line.pod.completion_index
    for label in (_WORKER_INDEX, _POD_INDEX):
        number = bounds.number_in(line.pod.labels.get(label))
        if number is not None:
            return number
    return None
