"""A partition: which nodes it spans, and how it ranks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Partition:
    """Without `feature` it spans every node (`Nodes=ALL`), with one it is a nodeset.

    slurmctld counts nodesets only when a node is registered: an update of features changes no
    partition until somebody registers any node.

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

    def spans(self, features: tuple[str, ...]) -> bool:
        """Whether a node that was counted with these features belongs to it."""
        return not self.feature or self.feature in features


STANDARD = (
    Partition("slurm-bridge", default=True),
    Partition("high", priority_tier=10),
)
"""What the recordings were made with."""
