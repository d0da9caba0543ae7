"""A job: what was asked, what it holds, how it stands."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from bridge.sim.slurm.cores import Cores
from bridge.sim.slurm.features import Group
from bridge.sim.slurm.gres import Ask, Kind
from bridge.sim.slurm.script import Exit, Script

State = Literal[
    "PENDING", "RUNNING", "SUSPENDED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED",
    "COMPLETED", "FAILED", "REQUEUED",
]  # fmt: skip
"""REQUEUED: a run that was ended so that the job runs again; only the accounting shows it."""

STATES: frozenset[str] = frozenset(get_args(State))

YEAR_MIN = 365 * 24 * 60
"""What Slurm plans with for a job without a limit."""


@dataclass(slots=True)
class Request:
    """What a job asks for; changed by updates while it is pending.

    `memory_per_cpu_mib` or `memory_per_node_mib`; neither means the whole node's memory.
    """

    name: str = "allocation"
    partition: str = ""
    tasks: int = 1
    tasks_given: bool = True
    cpus_per_task: int = 1
    min_nodes: int = 1
    max_nodes: int | None = None
    tasks_per_node: int = 0
    """0: any number."""
    memory_per_cpu_mib: int | None = None
    memory_per_node_mib: int | None = None
    tres_per_task: str = ""
    tres_per_node: str = ""
    gres_per_task: tuple[Ask, ...] = ()
    gres_per_node: tuple[Ask, ...] = ()
    exclusive: bool = False
    constraints: str = ""
    expression: Group | None = None
    required: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    required_text: str = ""
    excluded_text: str = ""
    """As shown: sorted and short when submitted, as it was sent after an update."""
    time_limit_min: int | None = None
    """None: no limit of its own."""
    user_id: int = 0
    user_name: str = ""
    group_id: int = 0
    group_name: str = ""
    nice: int = 0
    directory: str = "/tmp"
    cpus_said: int | None = None
    """The CPUs in all, where updates have left another number than the tasks need (resize)."""
    memory_said_mib: int | None = None
    """The memory in all, where an update of `tasks` left the old sum standing."""
    begin_s: float = 0.0
    """Before that it doesn't start."""
    script: Script | None = None
    """Of a batch job; one without is external: it holds its resources and runs nothing."""
    requeue: bool = True
    reservation: str = ""
    licenses: str = ""
    """As it was sent, `matlab:2,ansys`."""
    texts: dict[str, str] = field(default_factory=dict)
    """Fields that are only kept: account, admin_comment, comment, qos, wckey and the like."""

    @property
    def shape(self) -> tuple[object, ...]:
        """What makes two requests fit alike."""
        return (
            self.partition,
            self.tasks,
            self.tasks_given,
            self.cpus_per_task,
            self.cpus_said,
            self.min_nodes,
            self.max_nodes,
            self.tasks_per_node,
            self.memory_per_cpu_mib,
            self.memory_per_node_mib,
            self.gres_per_task,
            self.gres_per_node,
            self.exclusive,
            self.constraints,
            self.required,
            self.excluded,
            self.external,
        )

    @property
    def external(self) -> bool:
        """Whether it may be on nodes without a slurmd."""
        return self.script is None

    @property
    def limit_s(self) -> float:
        """How long its job may run, as planning sees it."""
        return 60.0 * (YEAR_MIN if self.time_limit_min is None else self.time_limit_min)

    @property
    def has_gres(self) -> bool:
        """Whether it asks for any generic resource."""
        return bool(self.gres_per_task or self.gres_per_node)

    @property
    def most_nodes(self) -> int:
        """The limit it set itself, or has because each node must get a task."""
        if self.max_nodes is not None:
            return self.max_nodes
        return max(self.tasks, self.min_nodes) if self.tasks_given else 1 << 30

    @property
    def never(self) -> bool:
        """Whether it counts fewer CPUs than its tasks need, and so waits for ever."""
        return self.cpus_said is not None and self.cpus_said < self.tasks * self.cpus_per_task

    @property
    def cpus(self) -> int:
        """What all tasks need together."""
        if self.cpus_said is not None:
            return self.cpus_said
        return max(self.tasks * self.cpus_per_task, self.min_nodes)


@dataclass(frozen=True, slots=True)
class Share:
    """What one node gives to a job; `gres` maps the kind to the bits of its pieces."""

    slot: int
    node: str
    tasks: int
    cpus: int
    memory_mib: int
    gres: tuple[tuple[Kind, int], ...] = ()
    cores: Cores = Cores()


@dataclass(frozen=True, slots=True)
class Het:
    """Of a component of a het job: the ids of all, and which of them it is."""

    ids: tuple[int, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Charge:
    """To whom a job is charged, and within which limits it runs; 0 and "" for nobody's."""

    account: str = ""
    qos: str = ""
    association_id: int = 0


@dataclass(slots=True, eq=False)
class Job:
    """One job, or one run of a job that was requeued; times in seconds since the epoch, 0 while
    unknown.
    """

    id: int
    request: Request
    priority: int
    submit_s: float
    state: State = "PENDING"
    reason: str = "None"
    description: str = ""
    held: bool = False
    shares: tuple[Share, ...] = ()
    start_s: float = 0.0
    end_s: float = 0.0
    planned: tuple[str, ...] = ()
    """Nodes that backfill keeps for it."""
    preempt_s: float = 0.0
    exit: Exit = Exit()
    """Of its process, or of whatever was killed with it."""
    restarts: int = 0
    """How often it was requeued."""
    het: Het | None = None
    evaluated_s: float = 0.0
    node_order: tuple[str, ...] = ()
    charge: Charge = Charge()
    limit_reason: str = ""
    """The last limit that kept it waiting: the accounting remembers that beyond its start."""

    @property
    def pending(self) -> bool:
        """Waiting for its start."""
        return self.state == "PENDING"

    @property
    def running(self) -> bool:
        """Holding its resources."""
        return self.state == "RUNNING"

    @property
    def over(self) -> bool:
        """Ended, one way or another."""
        return self.state not in ("PENDING", "RUNNING", "SUSPENDED")

    @property
    def label(self) -> str:
        """Its id where all jobs are listed: `24`, of a het job's component `24+0`."""
        return f"{self.id}+{self.het.offset}" if self.het else str(self.id)

    @property
    def limit_s(self) -> float:
        """How long it may run, as planning sees it."""
        return self.request.limit_s

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the nodes it holds or held, in the cluster's order."""
        return tuple(share.node for share in self.shares)
