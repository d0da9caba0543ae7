"""What a gang asks for: its slots, their shapes and the user's parameters.

Its size comes from the owner's spec, never from the pods that happen to exist, because controllers
create pods one after another and a gang must not start with half of its members. Requests of pods
that exist count as they are, whatever their template says: other webhooks and LimitRanges change
them. Parameters are the owner's: what its pods say counts only where no template can be read, and
where all of them say the same.
(architecture: "Workloads")
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge import names
from bridge.errors import BadInput
from bridge.model import scheduling
from bridge.model.gang import Gang, JobParameters, Part
from bridge.model.ids import GangId
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
from bridge.model.pod import Pod
from bridge.model.scheduling import NodeSelectorTerm, PodShape, Toleration
from bridge.workloads import annotations, membership
from bridge.workloads.lineage import Lineage, merged
from bridge.workloads.membership import Membership
from bridge.workloads.progress import Progress, left_of, ranges

_SERVERS = frozenset({"Deployment", "ReplicaSet", "StatefulSet", "LeaderWorkerSet"})
Reach = Callable[[tuple[str, ...]], tuple[tuple[NodeSelectorTerm, ...], ...]]
"""What these claims of the gang's namespace ask of nodes, as PodShape.volume_terms."""

MOST_PODS = 10_000
"""In a gang, unless the settings say otherwise."""
_OF_NODE_STATES = "node.kubernetes.io/"
_EXCLUSIVE = "leaderworkerset.sigs.k8s.io/exclusive-topology"


@dataclass(frozen=True, slots=True)
class _Kind:
    """A part before its pods are looked at."""

    name: str
    count: int
    template: PodTemplate | None
    """None where there is none to be read."""
    indexes: tuple[int, ...] | None = ()
    """As Gang.indexes; () where no pod has succeeded yet."""
    staged: bool = False
    """Its pods are made only when others are ready."""
    succeeded: int = 0
    """How many pods without an index `count` leaves out, as they have succeeded."""

    def without(self, indexes: frozenset[int], others: int) -> "_Kind":
        """The part without the pods that have succeeded: those of these indexes, and as many as
        `others` without an index."""
        if self.indexes is None:
            return self
        if indexes:
            known = self.indexes or range(self.count)
            left = tuple(index for index in known if index not in indexes)
            return replace(self, count=len(left), indexes=left)
        return replace(self, count=max(0, self.count - max(0, others - self.succeeded)))


def gang_of(
    line: Lineage,
    member: Membership,
    shapes: Mapping[int, PodShape],
    *,
    toleration: Toleration | None = None,
    reach: Reach = lambda claims: (),
    said: Sequence[Mapping[str, str]] = (),
    lines: Callable[[], Sequence[Lineage]] = tuple,
    most_pods: int = MOST_PODS,
    done: Progress = Progress(),  # noqa: B008  (it is frozen)
) -> Gang:
    """The gang of which `line` is the lineage of the first pod in rank order, `member` its
    membership.

    `shapes` are what the pods of each part ask for (of parts without pods: their template's, with
    `toleration`, which our webhook adds to each pod, and with what its claims ask of nodes, which
    `reach` says). `said` are the annotations of the pods that wait, `lines` gives their lineages.
    What is `done` needs no slot any more, as long as something is left to do.
    Raises BadInput for parameters that can't be read or that contradict the owner's counts, and for
    more than `most_pods` pods.
    """
    wishes = _wishes(line, member, said, lines)
    kinds = _kinds(member, wishes, Progress())
    _check_size(line, member, kinds, most_pods)
    kinds = _left(member, wishes, kinds, done)
    parts = tuple(
        Part(
            kind.name,
            kind.count,
            _in_one_domain(
                shapes.get(at) or _of_template(kind.template, line, toleration, reach),
                member.holder,
            ),
        )
        for at, kind in enumerate(kinds)
    )
    kind, name = _owner(line, member)
    staged = frozenset(at for at, one in enumerate(kinds) if one.staged)
    return Gang(
        id=member.gang,
        namespace=line.pod.namespace,
        owner_kind=kind,
        owner_name=name,
        size=sum(part.count for part in parts),
        shape=covering([part.shape for part in parts if part.count] or [parts[0].shape]),
        parameters=_parameters(line, wishes),
        parts=parts if len(parts) > 1 else (),
        staged=staged,
        indexes=_indexes(kinds),
        whole_first=not staged and _only_pods_tell(kinds, member.holder),
        priority_class=line.pod.priority_class,
        long_lived=any(owner.kind in _SERVERS for owner in line.owners),
    )


def _left(
    member: Membership, wishes: Mapping[str, str], kinds: tuple[_Kind, ...], done: Progress
) -> tuple[_Kind, ...]:
    """The parts without what is done. When nothing is left, the parts as they are: there is
    nothing to ask for, and the gang's last pods are about to be seen as ended."""
    left = tuple(
        kind.without(done.indexes.get(at, frozenset()), done.pods.get(at, 0))
        for at, kind in enumerate(_kinds(member, wishes, done))
    )
    return left if sum(kind.count for kind in left) else kinds


def _indexes(kinds: Sequence[_Kind]) -> tuple[tuple[int, ...] | None, ...]:
    if all(kind.indexes == () for kind in kinds):
        return ()
    return tuple(tuple(range(kind.count)) if kind.indexes == () else kind.indexes for kind in kinds)


def _check_size(line: Lineage, member: Membership, kinds: Sequence[_Kind], most_pods: int) -> None:
    """Before anything is made for each pod: a size is a number that somebody wrote."""
    kind, name = _owner(line, member)
    if not kinds:
        raise BadInput(f"{kind} {name} names no pods that could be a gang; correct its spec")
    size = sum(one.count for one in kinds)
    if size > most_pods:
        raise BadInput(
            f"{kind} {name} is a gang of {size} pods, and this bridge takes gangs of at most "
            f"{most_pods} (setting gangs.maxPods). Make it smaller, or let its pods queue one by "
            f'one with annotation {names.GANG_ANNOTATION}: "false"'
        )


def _wishes(
    line: Lineage,
    member: Membership,
    said: Sequence[Mapping[str, str]],
    lines: Callable[[], Sequence[Lineage]],
) -> Mapping[str, str]:
    """The annotations that count for the gang.

    Those of a gang of several are its owner's and of what is above that. Before them go those of
    its templates, the first part's first; and what no template says and its pods carry all the same
    (a policy of the cluster may have set it), if all of them say the same. A pod alone speaks for
    itself only.
    """
    holder = member.holder
    if holder is None:
        return line.wishes
    at = next((at for at, one in enumerate(line.owners) if one.uid == holder.uid), 0)
    of_owners = merged(one.annotations for one in line.owners[at:])
    if isinstance(holder, PodGroup):
        owners = [merged(one.annotations for one in other.owners) for other in lines()]
        of_owners = _agreed(owners, holder, {})
    groups = [one.annotations for one in (line.workload, line.group) if one is not None]
    templates = merged(_of_templates(holder, member.gang))
    pods = _agreed(said, holder, templates)
    return merged([templates, pods, *groups, of_owners])


def _of_templates(holder: Owner, gang: GangId) -> list[Mapping[str, str]]:
    """The annotations that the holder's templates give its pods, in rank order."""
    match holder:
        case BatchJob():
            return [holder.template.annotations]
        case JobSet():
            return [
                said
                for one in membership.held_jobs(holder, gang)
                for said in (one.job.template.annotations, one.job.annotations)
            ]
        case LeaderWorkerSet():
            return [one.annotations for one in (holder.leader, holder.worker) if one is not None]
        case RoleSet():
            return [role.template.annotations for role in holder.roles]
    return []


def _agreed(
    said: Sequence[Mapping[str, str]], holder: Owner, known: Mapping[str, str]
) -> Mapping[str, str]:
    """The parameters that are not `known` and in which all agree. Raises BadInput for one in which
    they don't."""
    distinct = {id(one): one for one in said}.values()
    wishes = [
        {
            key: text
            for key, text in one.items()
            if key.startswith(names.JOB_PREFIX) and key not in known
        }
        for one in distinct
    ]
    for other in wishes[1:]:
        if other != wishes[0]:
            key = min(key for key in {*other, *wishes[0]} if other.get(key) != wishes[0].get(key))
            raise BadInput(
                f"annotation {key}: the pods of {holder.kind} {holder.name} say different things. "
                f"Set it on {holder.kind} {holder.name}, where it counts for all of them, and take "
                "it off the pods",
                field=f"metadata.annotations[{key}]",
            )
    return wishes[0] if wishes else {}


def largest(pods: Sequence[Pod]) -> PodShape:
    """One shape that covers every pod: the most of each resource, the first pod's conditions."""
    distinct = dict.fromkeys(pod.shape for pod in pods)
    return covering(list(distinct))


def covering(shapes: Sequence[PodShape]) -> PodShape:
    """The most of each resource, the first one's conditions."""
    requests = shapes[0].requests
    for shape in shapes[1:]:
        requests = requests.at_least(shape.requests)
    return shapes[0] if requests == shapes[0].requests else replace(shapes[0], requests=requests)


def _kinds(member: Membership, wishes: Mapping[str, str], done: Progress) -> tuple[_Kind, ...]:
    """The gang's parts by its owner's spec, in rank order, without what the status of the Jobs that
    make its pods calls `done`."""
    match member.holder:
        case None:
            return (_Kind("", 1, None),)
        case JobSet() as jobs:
            held = membership.held_jobs(jobs, member.gang)
            return tuple(
                _of_replicated(one, done, staged=bool(one.after) or (jobs.in_order and at > 0))
                for at, one in enumerate(held)
            )
        case LeaderWorkerSet(leader=None) as group:
            return (_Kind("", group.size, group.worker, staged=group.leader_ready),)
        case LeaderWorkerSet(leader=leader) as group:
            assert leader is not None
            return (
                _Kind("leader", 1, leader),
                _Kind("worker", group.size - 1, group.worker, staged=group.leader_ready),
            )
        case RoleSet() as owner if owner.roles:
            return tuple(
                _Kind(role.name, role.replicas, role.template, staged=role.late)
                for role in owner.roles
            )
        case PodGroup() if member.most is not None:
            return (_Kind("", member.most, None),)
        case BatchJob() as job:
            return (_of_job(job, _job_size(job, wishes), done),)
        case owner:
            size = _asked_size(owner, wishes)
            return (_Kind("", size, None, staged=owner.one_by_one),)


def _of_job(job: BatchJob, size: int, done: Progress) -> _Kind:
    status = done.job_named("", 0)
    succeeded = status.succeeded_pods if status is not None else 0
    if _comes_in_waves(job):
        left = size if job.completions is None else max(0, job.completions - succeeded)
        return _Kind("", min(size, left), job.template, indexes=None)
    if not job.indexed:
        return _Kind("", max(0, size - succeeded), job.template, succeeded=succeeded)
    if status is None or not status.completed_indexes:
        return _Kind("", size, job.template)
    left_indexes = left_of(size, ranges(status.completed_indexes))
    return _Kind("", len(left_indexes), job.template, left_indexes)


def _of_replicated(one: ReplicatedJob, done: Progress, *, staged: bool) -> _Kind:
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
        return _Kind(one.name, size, job.template, None, staged)
    if not job.indexed:
        left = max(0, size - succeeded)
        return _Kind(one.name, left, job.template, staged=staged, succeeded=succeeded)
    if not succeeded or not size:
        return _Kind(one.name, size, job.template, staged=staged)
    indexes: list[int] = []
    for number in range(one.replicas):
        text = made[number].completed_indexes if number in made else ""
        indexes += (number * at_once + rank for rank in left_of(at_once, ranges(text)))
    return _Kind(one.name, len(indexes), job.template, tuple(indexes), staged)


def _only_pods_tell(kinds: Sequence[_Kind], holder: Owner | None) -> bool:
    """Whether its owner does not say all that it asks for: a PodGroup says nothing of its pods,
    and where each pod gets a claim of its own, the nodes that the volume reaches are its own too.
    """
    claims = any(kind.template is not None and kind.template.own_claims for kind in kinds)
    return claims or isinstance(holder, PodGroup)


def _comes_in_waves(job: BatchJob) -> bool:
    return job.completions is None or job.completions > job.parallelism


def _job_size(job: BatchJob, wishes: Mapping[str, str]) -> int:
    asked = annotations.gang_size(wishes)
    together = membership.pods_at_once(job)
    if asked is not None and asked < together and job.indexed:
        raise BadInput(
            f"gang-size {asked} is smaller than the {together} pods that Job {job.name} runs at "
            "once; leave the annotation out or make it as large"
        )
    return max(1, asked or together)


def _asked_size(owner: Owner, wishes: Mapping[str, str]) -> int:
    asked = annotations.gang_size(wishes) or owner.replicas
    if not asked:
        raise BadInput(
            f"annotation {names.GANG_ANNOTATION}: {owner.kind} {owner.name} does not say how many "
            f"pods it has; add annotation {names.GANG_SIZE_ANNOTATION} with their number",
            field=f"metadata.annotations[{names.GANG_SIZE_ANNOTATION}]",
        )
    return asked


def _of_template(
    template: PodTemplate | None, line: Lineage, toleration: Toleration | None, reach: Reach
) -> PodShape:
    """As its pods will be: the API server and our webhook add tolerations to each pod."""
    if template is None:
        return line.pod.shape
    added = [one for one in line.pod.shape.tolerations if one.key.startswith(_OF_NODE_STATES)]
    if toleration is not None:
        added.append(toleration)
    tolerations = scheduling.in_order((*template.shape.tolerations, *added))
    shape = replace(template.shape, tolerations=tolerations)
    if not template.volume_claims:
        return shape
    return replace(shape, volume_terms=reach(template.volume_claims))


def _in_one_domain(shape: PodShape, holder: Owner | None) -> PodShape:
    """With exclusive topology a LeaderWorkerSet's group shares a domain: its controller writes an
    affinity into the leader, and a selector of the leader's domain into workers once that is bound.
    For the gang it is one condition, known from the start.
    """
    key = holder.annotations.get(_EXCLUSIVE) if isinstance(holder, LeaderWorkerSet) else None
    if key is None:
        return shape
    return replace(
        shape,
        affinity_keys=tuple(sorted({*shape.affinity_keys, key})),
        node_selector=tuple(item for item in shape.node_selector if item[0] != key),
    )


def _owner(line: Lineage, member: Membership) -> tuple[str, str]:
    """(kind, name) as people read it: the holder's, and which part of it; else the pod's."""
    holder = member.holder
    if holder is not None:
        which = membership.which(member.gang)
        return holder.kind, f"{holder.name}/{which}" if which else holder.name
    nearest = line.nearest
    if nearest is None:
        return "Pod", line.pod.name
    return nearest.kind, f"{nearest.name}/{line.pod.name}"


def _parameters(line: Lineage, wishes: Mapping[str, str]) -> JobParameters:
    parameters = annotations.parse(wishes)
    if parameters.timelimit_min is not None:
        return parameters
    job = line.job
    deadline_s = job.active_deadline_s if job is not None else line.pod.active_deadline_s
    if not deadline_s:
        return parameters
    return replace(parameters, timelimit_min=max(1, -(-deadline_s // 60)))
