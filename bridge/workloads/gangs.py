"""What a gang asks for: its slots, their shapes and the user's parameters.

Its size comes from the owner's spec, never from the pods that happen to exist, because controllers
create pods one after another and a gang must not start with half of its members. Requests of pods
that exist count as they are, whatever their template says: other webhooks and LimitRanges change
them. Parameters are the owner's: what its pods say counts only where no template can be read, and
where all of them say the same.
(architecture: "Workloads")
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

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
    RoleSet,
)
from bridge.model.pod import Pod
from bridge.model.scheduling import NodeSelectorTerm, PodShape, Toleration
from bridge.workloads import annotations, membership
from bridge.workloads import parts as parts_of
from bridge.workloads.lineage import Lineage, merged
from bridge.workloads.membership import Membership
from bridge.workloads.parts import PartDemand
from bridge.workloads.progress import Progress

_SERVERS = frozenset({"Deployment", "ReplicaSet", "StatefulSet", "LeaderWorkerSet"})
Reach = Callable[[tuple[str, ...]], tuple[tuple[NodeSelectorTerm, ...], ...]]
"""What these claims of the gang's namespace ask of nodes, as PodShape.volume_terms."""

MOST_PODS = 10_000
"""In a gang, unless the settings say otherwise."""
_OF_NODE_STATES = "node.kubernetes.io/"
_EXCLUSIVE = "leaderworkerset.sigs.k8s.io/exclusive-topology"


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
    kinds = parts_of.by_spec(member, wishes, Progress())
    _check_size(line, member, kinds, most_pods)
    kinds = parts_of.left(member, wishes, kinds, done)
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
        indexes=parts_of.indexes(kinds),
        whole_first=not staged and _only_pods_tell(kinds, member.holder),
        priority_class=line.pod.priority_class,
        long_lived=any(owner.kind in _SERVERS for owner in line.owners),
    )


def _check_size(
    line: Lineage, member: Membership, kinds: Sequence[PartDemand], most_pods: int
) -> None:
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
    """One shape that covers every pod: the most of each resource, the first pod's conditions; a pin
    that was written into it is none."""
    distinct = dict.fromkeys(pod.unpinned_shape for pod in pods)
    return covering(list(distinct))


def covering(shapes: Sequence[PodShape]) -> PodShape:
    """The most of each resource, the first one's conditions."""
    requests = shapes[0].requests
    for shape in shapes[1:]:
        requests = requests.at_least(shape.requests)
    return shapes[0] if requests == shapes[0].requests else replace(shapes[0], requests=requests)


def _only_pods_tell(kinds: Sequence[PartDemand], holder: Owner | None) -> bool:
    """Whether its owner does not say all that it asks for: a PodGroup says nothing of its pods,
    and where each pod gets a claim of its own, the nodes that the volume reaches are its own too.
    """
    claims = any(kind.template is not None and kind.template.own_claims for kind in kinds)
    return claims or isinstance(holder, PodGroup)


def _of_template(
    template: PodTemplate | None, line: Lineage, toleration: Toleration | None, reach: Reach
) -> PodShape:
    """As its pods will be: the API server and our webhook add tolerations to each pod."""
    if template is None:
        return line.pod.unpinned_shape
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
