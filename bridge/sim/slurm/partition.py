"""A partition: which nodes it spans, and how it ranks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Partition:
    """`nodes` None means every node (`Nodes=ALL`); a feature makes it a nodeset.

    Memory in MiB; `max_time_min` None is UNLIMITED.
    """

    name: str
    priority_tier: int = 1
    default: bool = False
    feature: str = ""
    default_memory_per_cpu_mib: int | None = None
    default_memory_per_node_mib: int | None = None
    max_time_min: int | None = None
    default_time_min: int | None = None
    grace_time_s: int = 0
    up: bool = True


STANDARD = (
    Partition("slurm-bridge", default=True),
    Partition("high", priority_tier=10),
)
"""What the recordings were made with."""
