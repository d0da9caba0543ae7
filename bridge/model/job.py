"""What we ask of Slurm for a gang, and what Slurm gives."""

from dataclasses import dataclass, field
from typing import Final

from bridge.model import texts
from bridge.model.ids import SlurmJobId, SlurmNodeName

CLUSTER_CHARACTERS: Final = 64
GANG_CHARACTERS: Final = 320
"""Of a gang's id with the number of a component. Longer ids are not made; see JobIdentity."""
OWNER_CHARACTERS: Final = 320
LAST_GENERATION: Final = 10**15


@dataclass(frozen=True, slots=True)
class JobIdentity:
    """What stands in a job's admin_comment: the only proof that a job is ours.

    Made of any values, it holds those that can be written there: plain texts of the lengths above
    (`texts.plain`) and a generation from 0 to LAST_GENERATION. So what is read back equals what was
    written, and two identities are compared as they are. A gang's id is compared by `is_of`, which
    knows that an id which could not be written stands there cut, with its hash. Raises ValueError
    without a cluster or a gang.
    """

    cluster: str
    """uid of the kube-system namespace."""
    gang: str
    generation: int
    owner: str
    """Kind/namespace/name, for people."""

    def __post_init__(self) -> None:
        if not (self.cluster and self.gang):
            raise ValueError(f"{self!r} names no cluster or no gang, so it identifies nothing")
        keep = object.__setattr__
        keep(self, "cluster", texts.plain(self.cluster, CLUSTER_CHARACTERS))
        keep(self, "gang", texts.plain(self.gang, GANG_CHARACTERS))
        keep(self, "generation", min(max(self.generation, 0), LAST_GENERATION))
        keep(self, "owner", texts.plain(self.owner, OWNER_CHARACTERS))

    def is_of(self, cluster: str, gang: str) -> bool:
        """Whether the job is that gang's, in the cluster of that uid."""
        whose = (texts.plain(cluster, CLUSTER_CHARACTERS), texts.plain(gang, GANG_CHARACTERS))
        return (self.cluster, self.gang) == whose


@dataclass(frozen=True, slots=True)
class Garbled:
    """What stands in a job's admin_comment when it is an identity that can't be understood.

    It has our key and nothing beside it, so a bridge wrote it, this one or another; but the gang
    can't be told. `cluster` is "" where even that can't.
    """

    cluster: str


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One placeholder job, in Slurm's terms and units but free of any REST version.

    None means "not sent": Slurm's or the partition's own default holds. `memory_mib_per_node` is
    used where the gang is one task (exact), `memory_mib_per_cpu` where several tasks share nodes.
    """

    identity: JobIdentity
    name: str
    tasks: int
    cpus_per_task: int
    partition: str
    memory_mib_per_node: int | None = None
    memory_mib_per_cpu: int | None = None
    gres_per_task: str = ""
    """TRES string: "gres/gpu:2" or "gres/gpu:h100:2,gres/efa:4"."""
    tres_per_node: str = ""
    exclusive: bool = False
    whole_nodes: bool = False
    """Whether its nodes are the gang's alone, for any number of its tasks on each."""
    tasks_per_node: int | None = None
    """The most tasks on a node; None: as many as it takes."""
    min_nodes: int | None = None
    max_nodes: int | None = None
    constraints: str = ""
    excluded_nodes: tuple[SlurmNodeName, ...] = ()
    required_nodes: tuple[SlurmNodeName, ...] = ()
    account: str = ""
    qos: str = ""
    reservation: str = ""
    licenses: str = ""
    wckey: str = ""
    mcs_label: str = ""
    comment: str = ""
    working_directory: str = "/tmp"
    dependency: str = ""
    """In Slurm's own form: "afterok:12:13,singleton"."""
    priority: int | None = None
    nice: int | None = None
    time_limit_min: int | None = None
    """timelimit.UNLIMITED for none."""
    user: str = ""
    """Name or number; "" means the token's own user."""
    group: str = ""
    role: str = field(default="", compare=False)
    """Which of the gang's pods a component of a het job is for; Slurm is not told."""
    also: tuple["JobSpec", ...] = ()
    """Further components: with any, it is a het job and this is its first component."""

    @property
    def most_nodes(self) -> int:
        """What Slurm takes for the limit: a task for each node, unless it was told."""
        return self.max_nodes or max(self.tasks, self.min_nodes or 1)

    def can_become(self, wish: "JobSpec") -> bool:
        """Whether Slurm can change a waiting job of this kind into `wish`; else it queues anew.

        Some fields it never changes (or says so without doing it), some it sets but can't give
        back to its own default. More nodes at least than it takes for the limit can only be said
        with a new limit, which then spreads the job over as many as it can get: that is right
        only where every task needs a node. (Seen on 26.05, kept in tests/contract.)
        """
        if len(self.also) != len(wish.also):
            return False
        if not all(one.can_become(its) for one, its in zip(self.also, wish.also, strict=True)):
            return False
        if any(getattr(self, name) != getattr(wish, name) for name in _ONLY_ANEW):
            return False
        if any(
            getattr(self, name) not in ("", None) and getattr(wish, name) in ("", None)
            for name in _NOT_CLEARED
        ):
            return False
        if self._has_memory and not wish._has_memory:
            return False
        rises = wish.max_nodes is None and (wish.min_nodes or 1) > self.most_nodes
        return not rises or wish.min_nodes == wish.tasks

    @property
    def _has_memory(self) -> bool:
        return self.memory_mib_per_node is not None or self.memory_mib_per_cpu is not None


QUEUE_FIELDS: Final = ("partition", "account", "qos")
"""In which queue a job waits, and at whose cost; "" leaves it to Slurm."""
_ONLY_ANEW: Final = ("user", "group", "mcs_label", "exclusive", "whole_nodes",
                     "tasks_per_node")  # fmt: skip
_NOT_CLEARED: Final = (
    "partition", "account", "qos", "reservation", "time_limit_min", "max_nodes"
)  # fmt: skip


_CANNOT_START: Final = frozenset({"BadConstraints", "PartitionConfig", "PartitionNodeLimit"})
"""Reasons of Slurm that no job's end changes."""


@dataclass(frozen=True, slots=True)
class Gres:
    """So many of one generic resource; `type` "" means any."""

    name: str
    type: str
    count: int


@dataclass(frozen=True, slots=True)
class NodeGrant:
    """What one node gives to a job."""

    node: SlurmNodeName
    cpus: int
    memory_mib: int
    gres: tuple[Gres, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Allocation:
    """What a running job holds, node by node."""

    job_id: SlurmJobId
    nodes: tuple[NodeGrant, ...]


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What Slurm says of one of our jobs, as far as the gang's life depends on it.

    `state` is Slurm's base state (PENDING, RUNNING, SUSPENDED, CANCELLED, TIMEOUT …).
    `allocation` is there when the job runs and its nodes are known.
    """

    job_id: SlurmJobId
    state: str
    identity: JobIdentity | None
    reason: str = ""
    """Slurm's state_reason: Priority, Resources, PartitionDown …"""
    description: str = ""
    partition: str = ""
    account: str = ""
    qos: str = ""
    users: tuple[str, ...] = ()
    """Whose it is: the name and the number. Empty: not known."""
    constraints: str = ""
    """The feature expression that Slurm holds it to."""
    excluded: bool = False
    """Whether it may not run on some nodes by name."""
    expected_start_s: float | None = None
    """Epoch seconds, when backfill has looked at the job."""
    end_s: float | None = None
    """Epoch seconds of its time limit, while it runs under one."""
    makes_room_until_s: float | None = None
    """Epoch seconds at which Slurm takes its nodes for another job (GraceTime runs); else None."""
    tasks: int | None = None
    """Of a het job, those of its first component."""
    components: tuple[SlurmJobId, ...] = ()
    """Ids of all components of a het job, the first (its leader) included."""
    also: tuple["JobFacts", ...] = ()
    """What Slurm says of the further components of a het job, in the order of JobSpec.also."""
    allocation: Allocation | None = None
    garbled: Garbled | None = None
    """Instead of `identity`, where there is one that can't be understood."""

    @property
    def allocations(self) -> tuple[Allocation, ...]:
        """What each component of a running het job holds; of any other job, what it holds."""
        if self.allocation is None:
            return ()
        others = tuple(one.allocation for one in self.also if one.allocation is not None)
        theirs = {grant.node for other in others for grant in other.nodes}
        own = tuple(grant for grant in self.allocation.nodes if grant.node not in theirs)
        return (Allocation(self.job_id, own), *others)

    @property
    def waits(self) -> bool:
        """In the queue, holding nothing."""
        return self.state == "PENDING"

    @property
    def cannot_start(self) -> bool:
        """Whether Slurm says that the job asks for more nodes than there are, or for other ones."""
        return self.waits and self.reason in _CANNOT_START

    @property
    def stranded(self) -> bool:
        """Set aside by Slurm, as no node can take it: it waits for a change, not for nodes."""
        return self.waits and self.reason == "BadConstraints"

    def matches(self, spec: JobSpec) -> bool:
        """Whether the waiting job is what `spec` asks for, in each of its components, as far as
        Slurm says what it is: how large, on which nodes it may run, and for whom."""
        if not self.can_become(spec):
            return False
        return self._asks_for(spec) and all(map(JobFacts._asks_for, self.also, spec.also))

    def _asks_for(self, spec: JobSpec) -> bool:
        where = self.constraints == spec.constraints and self.excluded == bool(spec.excluded_nodes)
        queue = all(getattr(spec, name) in ("", getattr(self, name)) for name in QUEUE_FIELDS)
        return where and queue and self.tasks in (None, spec.tasks)

    def can_become(self, spec: JobSpec) -> bool:
        """Whether the waiting job can be changed into `spec`, as far as Slurm says what it is.

        The number of components stays, and so does the user of each.
        """
        if len(self.also) != len(spec.also):
            return False
        is_theirs = not (spec.user and self.users) or spec.user in self.users
        return is_theirs and all(map(JobFacts.can_become, self.also, spec.also))

    @property
    def suspended(self) -> bool:
        """Held in memory by Slurm while others may use its resources."""
        return self.state == "SUSPENDED"

    @property
    def ended(self) -> bool:
        """Over for good."""
        return self.state not in ("PENDING", "RUNNING", "SUSPENDED", "CONFIGURING", "RESIZING")
