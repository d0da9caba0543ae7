"""What we ask of Slurm for a gang, and what Slurm gives."""

from dataclasses import dataclass, field

from bridge.model.ids import SlurmJobId, SlurmNodeName


@dataclass(frozen=True, slots=True)
class JobIdentity:
    """What stands in a job's admin_comment: the only proof that a job is ours."""

    cluster: str
    """uid of the kube-system namespace."""
    gang: str
    generation: int
    owner: str
    """Kind/namespace/name, for people."""


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
    one_task_per_node: bool = False
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
    priority: int | None = None
    time_limit_min: int | None = None
    """timelimit.UNLIMITED for none."""
    user: str = ""
    """Name or number; "" means the token's own user."""
    group: str = ""


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
    constraints: str = ""
    """The feature expression that Slurm holds it to."""
    excluded: bool = False
    """Whether it may not run on some nodes by name."""
    expected_start_s: float | None = None
    """Epoch seconds, when backfill has looked at the job."""
    allocation: Allocation | None = None

    @property
    def waits(self) -> bool:
        """In the queue, holding nothing."""
        return self.state == "PENDING"

    @property
    def stranded(self) -> bool:
        """Set aside by Slurm, as no node can take it: it waits for a change, not for nodes."""
        return self.waits and self.reason == "BadConstraints"

    def matches(self, spec: JobSpec) -> bool:
        """Whether Slurm holds the waiting job to the nodes that `spec` asks for."""
        return self.constraints == spec.constraints and self.excluded == bool(spec.excluded_nodes)

    @property
    def suspended(self) -> bool:
        """Held in memory by Slurm while others may use its resources."""
        return self.state == "SUSPENDED"

    @property
    def ended(self) -> bool:
        """Over for good."""
        return self.state not in ("PENDING", "RUNNING", "SUSPENDED", "CONFIGURING", "RESIZING")
