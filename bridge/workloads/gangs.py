"""What a gang asks for: its slots, their shapes and the user's parameters.

Its size comes from the owner's spec, never from the pods that happen to exist, because controllers
create pods one after another and a gang must not start with half of its members. Pods that exist
count as they are, whatever their template says: other webhooks and LimitRanges change them.
(architecture: "Workloads")
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge import names
from bridge.errors import BadInput
from bridge.model import scheduling
from bridge.model.gang import Gang, JobParameters, Part
from bridge.model.owner import (
    BatchJob,
    JobSet,
    LeaderWorkerSet,
    Owner,
    PodGroup,
    PodTemplate,
    RoleSet,
)
from bridge.model.pod import Pod
from bridge.model.scheduling import NodeSelectorTerm, PodShape, Toleration
from bridge.workloads import annotations, membership
from bridge.workloads.lineage import Lineage
from bridge.workloads.membership import Membership

_SERVERS = frozenset({"Deployment", "ReplicaSet", "StatefulSet", "LeaderWorkerSet"})
Reach = Callable[[tuple[str, ...]], tuple[tuple[NodeSelectorTerm, ...], ...]]
"""What these claims of the gang's namespace ask of nodes, as PodShape.volume_terms."""

_OF_NODE_STATES = "node.kubernetes.io/"
_EXCLUSIVE = "leaderworkerset.sigs.k8s.io/exclusive-topology"


@dataclass(frozen=True, slots=True)
class _Kind:
    """A part before its pods are looked at."""

    name: str
    count: int
    template: PodTemplate | None
    """None where there is none to be read."""


def gang_of(
    line: Lineage,
    member: Membership,
    shapes: Mapping[int, PodShape],
    *,
    toleration: Toleration | None = None,
    reach: Reach = lambda claims: (),
) -> Gang:
    """The gang of which `line` is one pod's lineage and `member` its membership.

    `shapes` are what the pods of each part ask for (of parts without pods: their template's, with
    `toleration`, which our webhook adds to each pod, and with what its claims ask of nodes, which
    `reach` says). Raises BadInput for parameters that can't be read or that contradict the owner's
    counts.
    """
    wishes = line.wishes
    kinds = _kinds(line, member)
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
    staged = _is_staged(member.holder)
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
        waves=isinstance(member.holder, BatchJob) and _comes_in_waves(member.holder),
        whole_first=not staged and _only_pods_tell(kinds, member.holder),
        priority_class=line.pod.priority_class,
        long_lived=any(owner.kind in _SERVERS for owner in line.owners),
    )


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


def _kinds(line: Lineage, member: Membership) -> tuple[_Kind, ...]:
    """The gang's parts by its owner's spec, in rank order."""
    match member.holder:
        case None:
            return (_Kind("", 1, None),)
        case JobSet() as jobs:
            return tuple(
                _Kind(
                    one.name,
                    one.replicas * membership.pods_at_once(one.job),
                    one.job.template,
                )
                for one in membership.held_jobs(jobs, member.gang)
            )
        case LeaderWorkerSet(leader=None) as group:
            return (_Kind("", group.size, group.worker),)
        case LeaderWorkerSet(leader=leader) as group:
            assert leader is not None
            return (
                _Kind("leader", 1, leader),
                _Kind("worker", group.size - 1, group.worker),
            )
        case RoleSet() as owner:
            return tuple(_Kind(r.name, r.replicas, r.template) for r in owner.roles)
        case PodGroup():
            assert member.most is not None
            return (_Kind("", member.most, None),)
        case BatchJob() as job:
            return (_Kind("", _job_size(job, line.wishes), job.template),)
        case owner:
            return (_Kind("", _asked_size(owner, line.wishes), None),)


def _is_staged(holder: Owner | None) -> bool:
    match holder:
        case LeaderWorkerSet():
            return holder.leader_ready
        case JobSet():
            return membership.in_stages(holder)
        case _:
            return holder is not None and holder.one_by_one


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
        together=tuple(sorted({*shape.together, key})),
        node_selector=tuple(item for item in shape.node_selector if item[0] != key),
    )


def _owner(line: Lineage, member: Membership) -> tuple[str, str]:
    """(kind, name) as people read it: the holder's, and which part of it; else the pod's."""
    holder = member.holder
    if holder is not None:
        _, slash, which = member.gang.partition("/")
        return holder.kind, f"{holder.name}/{which}" if slash else holder.name
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
