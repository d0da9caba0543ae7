"""A job as Slurm has it, and as we ask for it: free of any REST version."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.model.ids import SlurmJobId, SlurmNodeName
from bridge.model.job import NodeGrant

EXTERNAL_JOB = "EXTERNAL_JOB"
"""Flag of a job that holds resources and runs nothing."""

BASE_STATES = (
    "PENDING", "RUNNING", "SUSPENDED", "COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL",
    "PREEMPTED", "BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY", "LAUNCH_FAILED", "REVOKED",
)  # fmt: skip
"""Exactly one of them is in a job's states; all others are flags beside it."""
_ALIVE = frozenset({"PENDING", "RUNNING", "SUSPENDED"})
_OVER = frozenset(BASE_STATES) - _ALIVE


def over(states: Collection[str]) -> bool:
    """Whether a job with these states (as in the list of all jobs' states) has ended for good."""
    return _ALIVE.isdisjoint(states) and not _OVER.isdisjoint(states)


@dataclass(frozen=True, slots=True)
class Job:
    """What Slurm says of a job. Times are epoch seconds, None where Slurm has none."""

    id: SlurmJobId
    name: str
    states: frozenset[str]
    """The base state and Slurm's flags (COMPLETING, CONFIGURING, REQUEUED …)."""
    reason: str = ""
    """Why it waits or how it ended: Resources, Priority, PartitionDown …; "" for None."""
    description: str = ""
    """Slurm's longer words for the reason, if it has any."""
    partition: str = ""
    priority: int | None = None
    user: str = ""
    """Name; the number as text where Slurm's host doesn't know the name."""
    user_id: int = 0
    account: str = ""
    qos: str = ""
    admin_comment: str = ""
    comment: str = ""
    constraints: str = ""
    excluded_nodes: str = ""
    """A host list."""
    required_nodes: str = ""
    submit_s: int | None = None
    start_s: int | None = None
    """When it started; while pending, when Slurm expects that."""
    end_s: int | None = None
    """When it ended, or will at the latest; None without a limit."""
    time_limit_min: int | None = None
    """None: unlimited."""
    preempt_s: int | None = None
    """When it was told to make room (GraceTime runs)."""
    preemptable_s: int | None = None
    """From when on others may push it out: its start and PreemptExemptTime. None while it holds
    nothing, and where the PreemptMode of its partition or QOS is OFF."""
    hold: bool = False
    scheduled_nodes: str = ""
    """Host list that backfill plans for a pending job."""
    nodes: tuple[SlurmNodeName, ...] = ()
    """What it holds or, when ended, held; in Slurm's order."""
    grants: tuple[NodeGrant, ...] = ()
    """What each of `nodes` gives it now; empty before the start and after the end."""
    tasks: int | None = None
    cpus_per_task: int | None = None
    het_job_id: SlurmJobId | None = None
    het_job_ids: tuple[SlurmJobId, ...] = ()
    """Of all components of its het job, the first one's first."""
    flags: frozenset[str] = frozenset()
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """All that Slurm sent; empty in the watcher's copy (20 KB a job)."""

    @property
    def state(self) -> str:
        """The base state."""
        for state in BASE_STATES:
            if state in self.states:
                return state
        return "UNKNOWN"

    @property
    def pending(self) -> bool:
        """In the queue, holding nothing."""
        return self.state == "PENDING"

    @property
    def running(self) -> bool:
        """Holds its nodes. Just after the start the node list can be empty for a moment."""
        return self.state == "RUNNING" and bool(self.nodes)

    @property
    def suspended(self) -> bool:
        """Keeps its nodes, but others may use them."""
        return self.state == "SUSPENDED"

    def preemptable(self, now_s: float) -> bool:
        """Whether others may push it out at that time (epoch seconds), or are doing so."""
        return not self.ended and self.preemptable_s is not None and self.preemptable_s <= now_s

    @property
    def ended(self) -> bool:
        """Over for good."""
        return over(self.states)


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job that Slurm has taken."""

    id: SlurmJobId
    warnings: tuple[str, ...] = ()
    """What Slurm said of it: why it waits ("Requested nodes are busy" …), or what a submit plugin
    has for the user. Empty for a job that was found again after its answer was lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFields:
    """What can be said about a job; None: not said. Sizes in MiB, times in minutes."""

    name: str | None = None
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    tasks: int | None = None
    tasks_per_node: int | None = None
    cpus_per_task: int | None = None
    min_cpus: int | None = None
    """Of the whole job. Slurm computes it from tasks and CPUs a task when a job is submitted, and
    never again: an update of those must say it too, else the job waits for ever."""
    memory_per_cpu_mib: int | None = None
    memory_per_node_mib: int | None = None
    tres_per_task: str | None = None
    """`gres/gpu:h100:2,gres/efa:4`; memory in it is ignored by Slurm."""
    tres_per_node: str | None = None
    tres_per_job: str | None = None
    nodes: str | None = None
    """A count or range: "2", "2-4"."""
    min_nodes: int | None = None
    max_nodes: int | None = None
    constraints: str | None = None
    prefer: str | None = None
    excluded_nodes: tuple[str, ...] | None = None
    """In an update, () clears them."""
    required_nodes: tuple[str, ...] | None = None
    exclusive: bool | None = None
    """True: no other job on its nodes. False says nothing."""
    shared: tuple[str, ...] | None = None
    """Slurm's own values: none (= exclusive), oversubscribe, user, mcs, topo."""
    mcs_label: str | None = None
    """Keeps other labels off the nodes only together with shared=("mcs",)."""
    flags: tuple[str, ...] | None = None
    admin_comment: str | None = None
    comment: str | None = None
    extra: str | None = None
    priority: int | None = None
    nice: int | None = None
    hold: bool | None = None
    time_limit_min: int | None = None
    """timelimit.UNLIMITED for none."""
    time_minimum_min: int | None = None
    begin_s: int | None = None
    """Epoch seconds before which it must not start."""
    deadline_s: int | None = None
    dependency: str | None = None
    reservation: str | None = None
    licenses: str | None = None
    wckey: str | None = None
    requeue: bool | None = None
    user_id: str | None = None
    """Name or number; only operators may name others. Always send `group_id` too: else the job's
    group is the service user's."""
    group_id: str | None = None
    others: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Further fields under Slurm's own names, as JSON values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDescription(JobFields):
    """A job to be submitted: a placeholder, unless flags say otherwise.

    None, "" and () are not sent: Slurm's own default holds. Give a memory size, else the job gets
    all of its nodes' memory where the partition has no default.
    """

    name: str = ""
    flags: tuple[str, ...] = (EXTERNAL_JOB,)
    working_directory: str = "/tmp"
    environment: tuple[str, ...] = ("PATH=/bin:/usr/bin",)
    script: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobChanges(JobFields):
    """What an update sets. None is left alone; "" and () clear."""
