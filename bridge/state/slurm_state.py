"""Slurm's side of the truth, without the jobs: its partitions and nodes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.model.ids import SlurmNodeName
from bridge.state.slurm_facts import Capacities, NodeFacts, PartitionFacts


@dataclass(slots=True)
class SlurmState:
    """Slurm's partitions and nodes; the node controller writes them, the job builder reads them."""

    partitions: PartitionFacts = PartitionFacts()
    nodes: NodeFacts = NodeFacts()
    capacities: Capacities = Capacities()
    features: frozenset[str] = frozenset()
    """Every feature that some node has: a job's constraints with other features are refused."""
    answered: frozenset[SlurmNodeName] = frozenset()
    """External nodes that a sink answers for: Slurm does not lose them when a job gives them back
    while it runs."""
    node_weights: Mapping[SlurmNodeName, int] = field(default_factory=dict)
    """Slurm's Weight of each node: lower ones are taken first."""
    tiers: Mapping[SlurmNodeName, int] = field(default_factory=dict)
    """The highest PriorityTier of each node's partitions."""
