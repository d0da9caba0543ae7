"""What `jobs` needs to know of Slurm: its partitions, and the kinds of its nodes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.model import node_class
from bridge.model.ids import SlurmNodeName
from bridge.model.job import Gres


@dataclass(frozen=True, slots=True)
class PartitionFacts:
    """What `jobs` needs to know of Slurm's partitions."""

    with_memory_default: frozenset[str] = frozenset()
    """The partitions with DefMemPerCPU or DefMemPerNode."""
    known: frozenset[str] = frozenset()
    """All partitions; empty until they were read from Slurm."""
    max_time_min: Mapping[str, int] = field(default_factory=dict)
    """MaxTime in minutes, of the partitions that have one."""
    max_nodes: Mapping[str, int] = field(default_factory=dict)
    """MaxNodes of a job, of the partitions that have one."""
    grace_s: Mapping[str, int] = field(default_factory=dict)
    """GraceTime in seconds, of the partitions that have one: how long a job that is preempted keeps
    its nodes."""
    topologies: Mapping[str, str] = field(default_factory=dict)
    """The topology's name, of the partitions that have a topology of their own."""


@dataclass(frozen=True, slots=True)
class NodeKind:
    """Slurm nodes that make no difference for a job's description."""

    features: frozenset[str]
    devices: frozenset[tuple[str, str]] = frozenset()
    """(GRES name, type) of the nodes' devices; type "" if the nodes give none."""

    def types(self, name: str) -> frozenset[str]:
        """The nodes' types of that GRES."""
        return frozenset(kind for device, kind in self.devices if device == name)


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """The kinds of Slurm's nodes; `kinds` is empty until they were read from Slurm."""

    kinds: tuple[NodeKind, ...] = ()
    gres_names: frozenset[str] | None = None
    """GresTypes; None if Slurm doesn't give them (REST before v0.0.45)."""
    keeps_labels_apart: bool = False
    """Whether jobs of different MCS labels can be kept off each other's nodes (MCSPlugin)."""

    def features_of(self, classes: Sequence[str]) -> tuple[str, ...]:
        """The features by which a job asks for these node classes, on whatever nodes Slurm has."""
        known = {feature for kind in self.kinds for feature in kind.features}
        found = []
        for name in classes:
            of_hybrid = node_class.hybrid(name)
            found += [name] if name in known or of_hybrid not in known else []
            found += [of_hybrid] if of_hybrid in known else []
        return tuple(found)

    def of(self, classes: Collection[str]) -> tuple[NodeKind, ...]:
        """The kinds in any of these node classes."""
        return tuple(kind for kind in self.kinds if not kind.features.isdisjoint(classes))


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """A number of Slurm nodes that are alike in everything that a job asks of a node."""

    features: frozenset[str] = frozenset()
    partitions: frozenset[str] = frozenset()
    cpus: int = 0
    memory_mib: int = 0
    gres: tuple[Gres, ...] = ()
    """The devices of each node; each name and type once."""
    count: int = 1
    has_slurmd: bool = False
    """Whether native jobs run there: the nodes are not external."""
    has_place: bool = True
    """Whether the nodes are in some topology, as far as Slurm shows it."""


@dataclass(frozen=True, slots=True)
class Capacities:
    """What Slurm's nodes have, whether somebody uses it or not; `groups` is empty while Slurm has
    not told yet."""

    groups: tuple[NodeGroup, ...] = ()
    group_of: Mapping[SlurmNodeName, int] = field(default_factory=dict)
    """The position in `groups` of each node's group."""
    out_of_service: frozenset[SlurmNodeName] = frozenset()
    """Nodes that are drained, down or do not answer."""
    busy_cpus: Mapping[SlurmNodeName, int] = field(default_factory=dict)
    """The CPUs that jobs hold of each node, if any."""

    @property
    def without_jobs(self) -> tuple[object, ...]:
        """What does not depend on the jobs that run."""
        return self.groups, self.group_of, self.out_of_service


NOTHING_TOLD: Final = NodeFacts()
"""The value until Slurm's nodes were read."""
