"""A gang as one Slurm job: the translation.

The rules and why:
- CPUs are rounded up once per pod, on the sum over its containers: Slurm counts whole cores.
- Memory is never rounded down, never 0 and never left out where Slurm would then give the whole
  node. One task: per node, exact. Several tasks that may share nodes: per CPU, rounded up, since
  Slurm has no memory per task.
- The user's own numbers may raise what the pods need, never lower it.
- Where pods may run is said by node classes (features), see `bridge.placement.classes`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bridge.errors import BadInput
from bridge.model.gang import Gang
from bridge.model.ids import SlurmNodeName
from bridge.model.job import JobIdentity, JobSpec
from bridge.workloads.identity import Rules as IdentityRules

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Rules:
    """The part of the settings that the translation needs."""

    partition: str
    default_memory_mib: int
    exclusive: bool = False
    mcs_label: str = ""
    resource_map: Mapping[str, str] = field(default_factory=dict)
    """Kubernetes extended resource → Slurm GRES name."""
    identity: IdentityRules = IdentityRules()
    """Applied to the parameters before `build`."""


@dataclass(frozen=True, slots=True)
class PartitionFacts:
    """What the translation needs to know of Slurm's partitions: who has a memory default."""

    with_memory_default: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()
    """Every partition; empty while Slurm has not told yet."""


@dataclass(frozen=True, slots=True)
class Where:
    """On which nodes the gang may run."""

    classes: Sequence[str] = ()
    """Node classes (Slurm features), ORed."""
    excluded: tuple[SlurmNodeName, ...] = ()
    required: tuple[SlurmNodeName, ...] = ()
    tasks_per_node: int = 0
    """The most tasks that any of these nodes can ever hold; 0: not known."""


def build(
    gang: Gang,
    *,
    identity: JobIdentity,
    rules: Rules,
    partitions: PartitionFacts,
    where: Where,
) -> JobSpec:
    """The job that `gang` needs. Raises BadInput when it can't be said to Slurm."""
    wishes = gang.parameters
    partition = wishes.partition or rules.partition
    if partitions.known and partition not in partitions.known:
        raise BadInput(
            f"Slurm has no partition {partition!r}; it has {_some(partitions.known)}. "
            "Name one of them in annotation slurmjob.slinky.slurm.net/partition",
            field="metadata.annotations[slurmjob.slinky.slurm.net/partition]",
        )
    requests = gang.shape.requests
    cpus = max(1, -(-requests.cpu_milli // 1000), wishes.cpu_per_task or 0)
    per_task, per_node = _gres(gang, rules.resource_map)
    exclusive = rules.exclusive if wishes.exclusive is None else wishes.exclusive
    spec = JobSpec(
        identity=identity,
        name=wishes.job_name or f"{gang.namespace}/{gang.owner_name}",
        comment=f"{gang.owner} of Kubernetes",
        tasks=gang.size,
        cpus_per_task=cpus,
        partition=partition,
        gres_per_task=per_task,
        tres_per_node=per_node,
        exclusive=exclusive,
        one_task_per_node=exclusive,
        min_nodes=_min_nodes(gang, where, exclusive=exclusive),
        max_nodes=wishes.max_nodes,
        constraints=_constraints(where.classes, wishes.constraints),
        excluded_nodes=where.excluded,
        required_nodes=where.required,
        account=wishes.account,
        qos=wishes.qos,
        reservation=wishes.reservation,
        licenses=wishes.licenses,
        wckey=wishes.wckey,
        mcs_label=rules.mcs_label,
        priority=wishes.priority,
        time_limit_min=wishes.timelimit_min,
        user=wishes.user_id,
        group=wishes.group_id,
    )
    return _with_memory(spec, gang, rules, partitions)


def _min_nodes(gang: Gang, where: Where, *, exclusive: bool) -> int | None:
    """The fewest nodes that can hold the gang: Slurm chooses switches by it."""
    per_node = 1 if exclusive else where.tasks_per_node
    if gang.size == 1 or not per_node:
        return gang.parameters.min_nodes
    return max(-(-gang.size // per_node), gang.parameters.min_nodes or 1)


def _with_memory(spec: JobSpec, gang: Gang, rules: Rules, partitions: PartitionFacts) -> JobSpec:
    asked_mib = -(-gang.shape.requests.memory_bytes // _MIB)
    asked_mib = max(asked_mib, gang.parameters.mem_per_node_mib or 0)
    if not asked_mib:
        if spec.partition in partitions.with_memory_default:
            return spec
        asked_mib = rules.default_memory_mib
    if spec.tasks == 1 or spec.one_task_per_node:
        return replace(spec, memory_mib_per_node=asked_mib)
    return replace(spec, memory_mib_per_cpu=-(-asked_mib // spec.cpus_per_task))


def _gres(gang: Gang, resource_map: Mapping[str, str]) -> tuple[str, str]:
    """(TRES of one task, TRES per node beyond it).

    What the pods use is said per task; the `gres` annotation may name its type and raise its
    count, and what it names beyond the pods' own devices is asked per node, as the Go bridge did.
    """
    counts: dict[str, int] = {}
    for resource, count in gang.shape.requests.extended:
        name = resource_map.get(resource)
        if name is not None:
            counts[name] = counts.get(name, 0) + count
    types: dict[str, str] = {}
    beyond = []
    for name, kind, count in _items(gang.parameters.gres):
        if name in counts:
            counts[name] = max(counts[name], count)
            types[name] = kind
        else:
            beyond.append(_tres(name, kind, count))
    per_task = [_tres(name, types.get(name, ""), count) for name, count in sorted(counts.items())]
    return ",".join(per_task), ",".join(beyond)


def _items(gres: str) -> list[tuple[str, str, int]]:
    """(name, type, count) of each item of a wish like `gpu:h100:2,efa:4` or `gres/gpu=2`."""
    items = []
    for item in filter(None, (piece.strip() for piece in gres.split(","))):
        parts = item.removeprefix("gres/").replace("=", ":").split(":")
        count = int(parts.pop()) if len(parts) > 1 and parts[-1].isdigit() else 1
        if len(parts) > 2 or not all(parts) or count < 1:
            raise BadInput(
                f"annotation slurmjob.slinky.slurm.net/gres: {item!r} is not name[:type][:count]; "
                "write it like gpu:2 or gpu:h100:2,efa:4",
                field="metadata.annotations[slurmjob.slinky.slurm.net/gres]",
            )
        items.append((parts[0].lower(), parts[1] if len(parts) == 2 else "", count))
    return items


def _tres(name: str, kind: str, count: int) -> str:
    return f"gres/{name}:{kind}:{count}" if kind else f"gres/{name}:{count}"


def _constraints(classes: Sequence[str], wish: str) -> str:
    """OR of the classes, ANDed with the user's expression; Slurm refuses nested parentheses."""
    ours = "|".join(classes)
    if not wish:
        return ours
    if not ours:
        return wish
    if "(" in wish or "*" in wish:
        raise BadInput(
            f"constraints {wish!r}: counts and parentheses can't be combined with the node "
            "classes of the bridge; write features with & and |, or [x|y]",
            field="metadata.annotations[slurmjob.slinky.slurm.net/constraints]",
        )
    theirs = wish if wish.startswith("[") or "|" not in wish else f"({wish})"
    return f"({ours})&{theirs}" if "|" in ours else f"{ours}&{theirs}"


def _some(known: frozenset[str]) -> str:
    shown = ", ".join(sorted(known)[:8])
    return shown + (" …" if len(known) > 8 else "")
