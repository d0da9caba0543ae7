"""What the translation needs to know of Slurm: its partitions, and what its nodes are like."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class PartitionFacts:
    """What the translation needs to know of Slurm's partitions."""

    with_memory_default: frozenset[str] = frozenset()
    """Those with DefMemPerCPU or DefMemPerNode."""
    known: frozenset[str] = frozenset()
    """Every partition; empty while Slurm has not told yet."""
    max_time_min: Mapping[str, int] = field(default_factory=dict)
    """MaxTime in minutes, of those that have one."""
    topologies: Mapping[str, str] = field(default_factory=dict)
    """The named topology of those that have one of their own."""


@dataclass(frozen=True, slots=True)
class NodeKind:
    """Slurm nodes that the translation can't tell apart."""

    features: frozenset[str]
    devices: frozenset[tuple[str, str]] = frozenset()
    """(GRES name, type) of what they have; type "" where they say none."""

    def types(self, name: str) -> frozenset[str]:
        """The types of that GRES that they have."""
        return frozenset(kind for device, kind in self.devices if device == name)


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What Slurm's nodes are like; `kinds` is empty while Slurm has not told yet."""

    kinds: tuple[NodeKind, ...] = ()
    gres_names: frozenset[str] | None = None
    """GresTypes; None where Slurm doesn't tell (REST before v0.0.45)."""

    def of(self, classes: Collection[str]) -> tuple[NodeKind, ...]:
        """The kinds in any of these node classes."""
        return tuple(kind for kind in self.kinds if not kind.features.isdisjoint(classes))


NOTHING_TOLD: Final = NodeFacts()
"""While Slurm has not told."""
