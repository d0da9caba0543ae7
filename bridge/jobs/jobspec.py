"""The translation of a gang into one Slurm job.

The rules and why:
- CPUs are rounded up once per pod, on the sum over its containers: Slurm counts whole cores.
- Memory, devices, features, dependencies: see the modules of these names.
- The user's own numbers may raise what the pods need, never lower it.
- Where pods may run is said by node classes (features), see `bridge.placement.filters.classes`.
- What a pod says goes before what its PriorityClass is mapped to, and that before the default.
- Texts are printable and no longer than Slurm takes, see `jobtexts`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from bridge import names
from bridge.errors import BadInput
from bridge.jobs import constraints, dependencies, gres, jobtexts, memory
from bridge.jobs.identity import Rules as IdentityRules
from bridge.model import slurm_amounts, texts, timelimit
from bridge.model.devices import ResourceMap
from bridge.model.gang import Gang
from bridge.model.ids import SlurmNodeName
from bridge.model.job import JobIdentity, JobSpec
from bridge.slurm import node_names
from bridge.state.slurm_facts import NOTHING_TOLD, NodeFacts, PartitionFacts

_PARTITION_KEY = names.JOB_PREFIX + "partition"


@dataclass(frozen=True, slots=True)
class Precedence:
    """What a PriorityClass of Kubernetes means in Slurm; "" and None mean nothing."""

    partition: str = ""
    qos: str = ""
    nice: int | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """The part of the settings that the translation needs."""

    partition: str
    default_memory_mib: int
    exclusive: bool = False
    mcs_label: str = ""
    shares_hybrid_nodes: bool = False
    """Whether pods and native jobs may be on one hybrid node at the same time."""
    resource_map: ResourceMap = field(default_factory=lambda: ResourceMap({}))
    gpu_type_label: str = ""
    priority_classes: Mapping[str, Precedence] = field(default_factory=dict)
    identity: IdentityRules = IdentityRules()
    """The rules that are applied to the parameters before `build`."""

    def alone(self, gang: Gang) -> bool:
        """Whether each pod of the gang has a node of its own."""
        wished = gang.parameters.exclusive
        return self.exclusive if wished is None else wished


@dataclass(frozen=True, slots=True)
class Where:
    """On which nodes the gang may run."""

    classes: tuple[str, ...] = ()
    """The node classes (Slurm features), any of which may be used."""
    excluded: tuple[SlurmNodeName, ...] = ()
    required: tuple[SlurmNodeName, ...] = ()
    tasks_per_node: int = 0
    """The most tasks that any of these nodes can ever hold; 0: not known."""
    chosen_tasks_per_node: int | None = None
    """If it is set, the required nodes are just those that the job is to have, with at most so many
    tasks each."""
    round_memory_down: bool = False
    """Whether some node would take fewer pods if each pod's memory were rounded up per CPU."""

    def without(self, nodes: Iterable[SlurmNodeName]) -> "Where":
        """The same, but not on these nodes. One whose name means every node to Slurm can't be left
        out."""
        named = {name for name in nodes if not node_names.is_reserved(name)}
        return replace(self, excluded=tuple(sorted({*self.excluded, *named})))

    @property
    def chosen_nodes(self) -> int:
        """How many nodes were chosen; 0: Slurm chooses."""
        return len(self.required) if self.chosen_tasks_per_node else 0


def build(
    gang: Gang,
    *,
    identity: JobIdentity,
    rules: Rules,
    partitions: PartitionFacts,
    where: Where,
    nodes: NodeFacts = NOTHING_TOLD,
    resolve: dependencies.Resolve = dependencies.nobody,
) -> JobSpec:
    """The job that `gang` needs.

    Raises BadInput when it can't be said to Slurm, and its subclass dependencies.Waits when it is
    not to be said yet.
    """
    parameters = gang.parameters
    rank = rules.priority_classes.get(gang.priority_class, Precedence())
    partition = _partition(parameters.partition or rank.partition or rules.partition, partitions)
    exclusive = rules.alone(gang)
    cpus = max(slurm_amounts.whole_cpus(gang.shape.requests), parameters.cpu_per_task or 0)
    fewest = _fewest_nodes(gang, where, alone=exclusive)
    most_nodes = where.chosen_nodes or parameters.max_nodes
    constraint = constraints.build(
        nodes.features_of(where.classes),
        parameters.constraints,
        facts=nodes,
        nodes=gang.size,
    )
    devices = gres.build(
        gang.shape,
        parameters.gres,
        resource_map=rules.resource_map.within(nodes.gres_names),
        type_label=rules.gpu_type_label,
        kinds=[
            kind for kind in nodes.of(constraint.classes) if constraint.wish.fits(kind.features)
        ],
    )
    size = memory.build(
        gang,
        cpus_per_task=cpus,
        alone=exclusive,
        partition_default=partition in partitions.with_memory_default,
        default_mib=rules.default_memory_mib,
        round_down=where.round_memory_down,
    )
    spec = JobSpec(
        identity=identity,
        name=jobtexts.name(gang),
        comment=jobtexts.comment(gang),
        working_directory=jobtexts.working_directory(gang),
        tasks=gang.size,
        cpus_per_task=cpus,
        partition=partition,
        memory_mib_per_node=size.mib_per_node,
        memory_mib_per_cpu=size.mib_per_cpu,
        gres_per_task=devices.per_task,
        tres_per_node=devices.per_node,
        exclusive=exclusive,
        tasks_per_node=1 if exclusive else where.chosen_tasks_per_node,
        min_nodes=fewest,
        max_nodes=max(most_nodes, fewest or 1) if most_nodes else None,
        constraints=constraint.text,
        excluded_nodes=where.excluded,
        required_nodes=where.required,
        account=parameters.account,
        qos=parameters.qos or rank.qos,
        reservation=parameters.reservation,
        licenses=parameters.licenses,
        wckey=parameters.wckey,
        mcs_label=rules.mcs_label,
        dependency=dependencies.build(
            parameters.dependency, namespace=gang.namespace, resolve=resolve
        ),
        priority=parameters.priority,
        nice=rank.nice if parameters.priority is None else None,
        time_limit_min=_time_limit(gang, partitions.max_time_min.get(partition), partition),
        user=parameters.user_id,
        group=parameters.group_id,
    )
    jobtexts.check(spec)
    return spec


def _partition(name: str, partitions: PartitionFacts) -> str:
    if name and partitions.known and name not in partitions.known:
        raise BadInput(
            f"Slurm has no partition {texts.printable(name, 60)!r}; it has "
            f"{_some(partitions.known)}. Name one of them in annotation {_PARTITION_KEY}",
            field=f"metadata.annotations[{_PARTITION_KEY}]",
        )
    return name


def _fewest_nodes(gang: Gang, where: Where, *, alone: bool) -> int | None:
    """The fewest nodes that can hold the gang: Slurm chooses switches by it.

    The user may ask for more, up to one a pod: a node beyond that would hold nothing.
    """
    per_node = 1 if alone else where.tasks_per_node
    wished = min(gang.parameters.min_nodes or 0, gang.size)
    needed = -(-gang.size // per_node) if per_node and gang.size > 1 else 0
    return max(needed, wished, where.chosen_nodes) or None


def _time_limit(gang: Gang, most_min: int | None, partition: str) -> int | None:
    """What the user said; else for servers all that the partition allows, not its DefaultTime."""
    wished = gang.parameters.timelimit_min
    if wished is None and gang.long_lived and partition:
        return timelimit.UNLIMITED if most_min is None else most_min
    return wished


def _some(known: frozenset[str]) -> str:
    shown = ", ".join(sorted(known)[:8])
    return shown + (" …" if len(known) > 8 else "")
