"""Slurm's side of the truth, beyond the jobs: what its partitions and nodes are."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.model.ids import SlurmNodeName
from bridge.state.slurm_facts import Capacities, NodeFacts, PartitionFacts


@dataclass(slots=True)
class SlurmState:
    """Kept by the node controller, read by whoever builds jobs."""

    partitions: PartitionFacts = PartitionFacts()
    nodes: NodeFacts = NodeFacts()
    capacities: Capacities = Capacities()
    features: frozenset[str] = frozenset()
    """Every feature that some node has: others are refused in a job's constraints."""
    node_weights: Mapping[SlurmNodeName, int] = field(default_factory=dict)
    """Slurm's Weight: lower ones are taken first."""
    tiers: Mapping[SlurmNodeName, int] = field(default_factory=dict)
    """Highest PriorityTier of a node's partitions."""
