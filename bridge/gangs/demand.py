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
from types import MappingProxyType

from bridge import names
from bridge.errors import BadInput
from bridge.gangs import annotations, exclusive, membership, refused
from bridge.gangs import roles as roles_of
from bridge.gangs.lineage import Lineage, merged
from bridge.gangs.membership import Membership
from bridge.gangs.progress import Progress
from bridge.gangs.roles import RoleDemand
from bridge.model import bounds, pod_identity, scheduling
from bridge.model.gang import Gang, JobParameters, Role
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
from bridge.model.pod_identity import PodIdentity
from bridge.model.scheduling import NodeSelectorTerm, PodShape, Toleration

_SERVERS = frozenset({"Deployment", "ReplicaSet", "StatefulSet", "LeaderWorkerSet"})
Reach = Callable[[tuple[str, ...]], tuple[tuple[NodeSelectorTerm, ...], ...]]
"""(claims of the gang's namespace) → what they ask of nodes, as PodShape.volume_terms."""

MOST_PODS = 10_000
"""The most pods in a gang, unless the settings say otherwise."""
_OF_NODE_STATES = "node.kubernetes.io/"


def gang_of(
    line: Lineage,
    member: Membership,
    shapes: Mapping[int, PodShape],
    identities: Mapping[int, PodIdentity] = MappingProxyType({}),
    *,
    tolerations: tuple[Toleration, ...] = (),
    reach: Reach = lambda claims: (),
    said: Sequence[Mapping[str, str]] = (),
    lines: Callable[[], Sequence[Lineage]] = tuple,
    most_pods: int = MOST_PODS,
    done: Progress = Progress(),  # noqa: B008  (it is frozen)
) -> Gang:
    """The gang of which `line` is the lineage of the first pod in rank order, `member` its
    membership.

    `shapes` are what the pods of each role ask for (of roles without pods: their template's, with
    `tolerations`, which our webhook adds to each pod, and with what its claims ask of nodes, which
    `reach` says), `identities` who they are (else: as their template labels them). `said` are the
    annotations of the pods that wait, `lines` gives their lineages. What is `done` needs no slot
    any more, as long as something is left to do.
    Raises BadInput for parameters that can't be read or that contradict the owner's counts, and for
    more than `most_pods` pods.
    """
    gang_annotations = _gang_annotations(line, member, said, lines)
    kinds = roles_of.by_spec(member, gang_annotations, Progress())
    _check_size(line, member, kinds, most_pods)
    kinds = roles_of.left(member, gang_annotations, kinds, done)
    _check_templates(line, member, kinds, shapes)
    roles = exclusive.in_one_domain(
        [
            Role(
                kind.name,
                kind.count,
                shapes.get(at) or _of_template(kind.template, line, tolerations, reach),
                identities.get(at) or _identity(kind.template, line),
            )
            for at, kind in enumerate(kinds)
        ],
        member,
        line.pod.namespace,
    )
    kind, name = _owner(line, member)
    _check_terms(roles, f"{kind} {name}")
    staged = frozenset(at for at, one in enumerate(kinds) if one.staged)
    return Gang(
        id=member.gang,
        namespace=line.pod.namespace,
        owner_kind=kind,
        owner_name=name,
        size=sum(role.count for role in roles),
        shape=covering([role.shape for role in roles if role.count] or [roles[0].shape]),
        identity=roles[0].identity,
        parameters=_parameters(line, gang_annotations),
        roles=roles if len(roles) > 1 else (),
        staged=staged,
        indexes=roles_of.indexes(kinds),
        whole_first=not staged and _only_pods_tell(kinds, member.gang_owner),
        priority_class=line.pod.priority_class,
        long_lived=any(owner.kind in _SERVERS for owner in line.owners),
    )


def _check_templates(
    line: Lineage,
    member: Membership,
    kinds: Sequence[RoleDemand],
    shapes: Mapping[int, PodShape],
) -> None:
    """Before nodes are held for pods that will be refused. Pods that exist were not."""
    kind, name = _owner(line, member)
    for at, one in enumerate(kinds):
        if one.template is not None and one.count and at not in shapes:
            refused.check(one.template, owner=f"{kind} {name}", role=one.name)


def _check_size(
    line: Lineage, member: Membership, kinds: Sequence[RoleDemand], most_pods: int
) -> None:
    """Before anything is made for each pod: a size is a number that somebody wrote."""
    kind, name = _owner(line, member)
    if not kinds:
        raise BadInput(f"{kind} {name} has no pods in its spec that could be a gang; correct it")
    size = sum(one.count for one in kinds)
    if size > most_pods:
        raise BadInput(
            f"{kind} {name} is a gang of {size} pods, and this bridge takes gangs of at most "
            f"{most_pods} (setting gangs.maxPods). Make it smaller, or let its pods queue one by "
            f'one with annotation {names.GANG_ANNOTATION}: "false"'
        )


def _check_terms(roles: Sequence[Role], who: str) -> None:
    """Before anybody asks each term of each role about all others."""
    terms = sum(role.shape.pod_terms for role in roles)
    if terms * len(roles) > bounds.MOST_BETWEEN_ROLES:
        raise BadInput(
            f"{who} has {len(roles)} roles with {terms} required terms about other pods (affinity, "
            f"anti-affinity, topology spread); roles times terms may be {bounds.MOST_BETWEEN_ROLES}"
            " at most"
        )


def _gang_annotations(
    line: Lineage,
    member: Membership,
    said: Sequence[Mapping[str, str]],
    lines: Callable[[], Sequence[Lineage]],
) -> Mapping[str, str]:
    """The annotations that count for the gang.

    Those of a gang of several are its owner's and of what is above that. Before them go those of
    its templates, the first role's first; and what no template says and its pods carry all the same
    (a policy of the cluster may have set it), if all of them say the same. A pod alone speaks for
    itself only.
    """
    gang_owner = member.gang_owner
    if gang_owner is None:
        return line.annotations
    at = next((at for at, one in enumerate(line.owners) if one.uid == gang_owner.uid), 0)
    of_owners = merged(one.annotations for one in line.owners[at:])
    if isinstance(gang_owner, PodGroup):
        owners = [merged(one.annotations for one in other.owners) for other in lines()]
        of_owners = _agreed(owners, gang_owner, {})
    groups = [one.annotations for one in (line.workload, line.group) if one is not None]
    templates = merged(_of_templates(gang_owner, member.gang))
    pods = _agreed(said, gang_owner, templates)
    return merged([templates, pods, *groups, of_owners])


def _of_templates(gang_owner: Owner, gang: GangId) -> list[Mapping[str, str]]:
    """The annotations that the gang owner's templates give its pods, in rank order."""
    match gang_owner:
        case BatchJob():
            return [gang_owner.template.annotations]
        case JobSet():
            return [
                said
                for one in membership.held_jobs(gang_owner, gang)
                for said in (one.job.template.annotations, one.job.annotations)
            ]
        case LeaderWorkerSet():
            return [
                one.annotations for one in (gang_owner.leader, gang_owner.worker) if one is not None
            ]
        case RoleSet():
            return [role.template.annotations for role in gang_owner.roles]
    return []


def _agreed(
    said: Sequence[Mapping[str, str]], gang_owner: Owner, known: Mapping[str, str]
) -> Mapping[str, str]:
    """The parameters that are not `known` and in which all agree. Raises BadInput for one in which
    they don't."""
    distinct = {id(one): one for one in said}.values()
    parameters = [
        {
            key: text
            for key, text in one.items()
            if key.startswith(names.JOB_PREFIX) and key not in known
        }
        for one in distinct
    ]
    who = f"{gang_owner.kind} {gang_owner.name}"
    for other in parameters[1:]:
        if other != parameters[0]:
            key = min(
                key for key in {*other, *parameters[0]} if other.get(key) != parameters[0].get(key)
            )
            raise BadInput(
                f"annotation {key}: the pods of {who} have different values. Set it on {who}, "
                "where it counts for all of them, and remove it from the pods",
                field=f"metadata.annotations[{key}]",
            )
    return parameters[0] if parameters else {}


def largest(pods: Sequence[Pod]) -> PodShape:
    """One shape that covers every pod: the most of each resource, the first pod's conditions; a pin
    that was written into it is none."""
    distinct = dict.fromkeys(pod.unpinned_shape for pod in pods)
    return covering(list(distinct))


def covering(shapes: Sequence[PodShape]) -> PodShape:
    """One shape with the most of each resource, and the conditions of the first shape."""
    requests = shapes[0].requests
    for shape in shapes[1:]:
        requests = requests.at_least(shape.requests)
    return shapes[0] if requests == shapes[0].requests else replace(shapes[0], requests=requests)


def _only_pods_tell(kinds: Sequence[RoleDemand], gang_owner: Owner | None) -> bool:
    """Whether its owner does not say all that it asks for: a PodGroup says nothing of its pods,
    and where each pod gets a claim of its own, the nodes that the volume reaches are its own too.
    """
    claims = any(kind.template is not None and kind.template.own_claims for kind in kinds)
    return claims or isinstance(gang_owner, PodGroup)


def _of_template(
    template: PodTemplate | None, line: Lineage, ours: tuple[Toleration, ...], reach: Reach
) -> PodShape:
    """As its pods will be: the API server and our webhook add tolerations to each pod."""
    if template is None:
        return line.pod.unpinned_shape
    added = [one for one in line.pod.shape.tolerations if one.key.startswith(_OF_NODE_STATES)]
    tolerations = scheduling.in_order((*template.shape.tolerations, *added, *ours))
    shape = replace(template.shape, tolerations=tolerations)
    if not template.volume_claims:
        return shape
    return replace(shape, volume_terms=reach(template.volume_claims))


def _identity(template: PodTemplate | None, line: Lineage) -> PodIdentity | None:
    """Who the pods of a role will be; what its controller adds is known once one of them exists."""
    if template is not None:
        return PodIdentity.of(line.pod.namespace, dict(template.labels))
    return None if line.pod.identity is None else pod_identity.common([line.pod.identity])


def _owner(line: Lineage, member: Membership) -> tuple[str, str]:
    """(kind, name) as people read it: the gang owner's, and which role of it; else the pod's."""
    gang_owner = member.gang_owner
    if gang_owner is not None:
        which = membership.which(member.gang)
        return gang_owner.kind, f"{gang_owner.name}/{which}" if which else gang_owner.name
    nearest = line.nearest
    if nearest is None:
        return "Pod", line.pod.name
    return nearest.kind, f"{nearest.name}/{line.pod.name}"


def _parameters(line: Lineage, gang_annotations: Mapping[str, str]) -> JobParameters:
    parameters = annotations.parse(gang_annotations)
    if parameters.timelimit_min is not None:
        return parameters
    job = line.job
    deadline_s = job.active_deadline_s if job is not None else line.pod.active_deadline_s
    if not deadline_s:
        return parameters
    return replace(parameters, timelimit_min=max(1, -(-deadline_s // 60)))
