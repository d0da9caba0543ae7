"""What the translation needs to know of Slurm: its partitions, and what its nodes are like."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from bridge.model.ids import SlurmNodeName
from bridge.model.job import Gres


@dataclass(frozen=True, slots=True)
class PartitionFacts:
    """What the translation needs to know of Slurm's partitions."""

    with_memory_default: frozenset[str] = frozenset()
    """Those with DefMemPerCPU or DefMemPerNode."""
    known: frozenset[str] = frozenset()
    """Every partition; empty while Slurm has not told yet."""
    max_time_min: Mapping[str, int] = field(default_factory=dict)
    """MaxTime in minutes, of those that have one."""
    max_nodes: Mapping[str, int] = field(default_factory=dict)
    """MaxNodes of a job, of those that have one."""
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


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """So many Slurm nodes that are alike in everything that a job asks of a node."""

    features: frozenset[str] = frozenset()
    partitions: frozenset[str] = frozenset()
    cpus: int = 0
    memory_mib: int = 0
    gres: tuple[Gres, ...] = ()
    """Each name and type once."""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Capacities:
    """What Slurm's nodes have, whether somebody uses it or not; `groups` is empty while Slurm has
    not told yet."""

    groups: tuple[NodeGroup, ...] = ()
    group_of: Mapping[SlurmNodeName, int] = field(default_factory=dict)
    """The position in `groups` of the group that each node belongs to."""
    out_of_service: frozenset[SlurmNodeName] = frozenset()
    """Nodes that are drained, down or do not answer."""


NOTHING_TOLD: Final = NodeFacts()
"""While Slurm has not told."""
