"""A partition as Slurm has it: free of any REST version."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Partition:
    """What Slurm says of a partition. None: Slurm sets no value (memory: the whole node's)."""

    name: str
    state: str = "UP"
    """UP, DOWN, DRAIN, INACTIVE."""
    default: bool | None = None
    """Whether jobs that name none go here; None where the REST version doesn't tell (v0.0.44)."""
    tier: int = 1
    """PriorityTier: higher ones are served first, and preempt under preempt/partition_prio."""
    def_mem_per_cpu_mib: int | None = None
    def_mem_per_node_mib: int | None = None
    max_mem_per_cpu_mib: int | None = None
    max_mem_per_node_mib: int | None = None
    default_time_min: int | None = None
    max_time_min: int | None = None
    max_nodes: int | None = None
    grace_s: int = 0
    preempt_modes: frozenset[str] | None = None
    """DISABLED, SUSPEND, REQUEUE, CANCEL, CLUSTER_GLOBAL …; None in v0.0.44."""
    over_subscribe: str | None = None
    """NO, YES:n, FORCE:n, EXCLUSIVE; None where the version doesn't tell."""
    exclusive: str | None = None
    topology: str = ""
    """The named topology that its jobs are placed by; "" for the cluster's."""
    nodes: str = ""
    """Host list of its nodes now."""
    node_sets: str = ""
    total_nodes: int = 0
    total_cpus: int = 0
    allow_accounts: str = ""
    deny_accounts: str = ""
    allow_qos: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def up(self) -> bool:
        """Takes and starts jobs."""
        return self.state == "UP"
