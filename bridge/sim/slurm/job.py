"""A job: what was asked, what it holds, how it stands."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from bridge.sim.slurm.features import Group
from bridge.sim.slurm.gres import Ask, Kind

State = Literal["PENDING", "RUNNING", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "COMPLETED"]

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
    cpus_said: int | None = None
    """What an update of `tasks` makes of the CPUs in all: one each, whatever a task needs."""
    memory_said_mib: int | None = None
    """The memory in all, where an update of `tasks` left the old sum standing."""
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
        )

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


@dataclass(frozen=True, slots=True)
class Charge:
    """To whom a job is charged, and within which limits it runs; 0 and "" for nobody's."""

    account: str = ""
    qos: str = ""
    association_id: int = 0


@dataclass(slots=True, eq=False)
class Job:
    """One job; times in seconds since the epoch, 0 while unknown."""

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
    killed_by: int = 0
    """Signal that ended it, 0 for none."""
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
    def limit_s(self) -> float:
        """How long it may run, as planning sees it."""
        minutes = self.request.time_limit_min
        return 60.0 * (YEAR_MIN if minutes is None else minutes)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the nodes it holds or held, in the cluster's order."""
        return tuple(share.node for share in self.shares)
