"""Slurm's side of the truth, beyond the jobs: what its partitions and nodes are called."""

from dataclasses import dataclass

from bridge.workloads.jobspec import PartitionFacts


@dataclass(slots=True)
class SlurmSide:
    """Kept by the node controller, read by whoever builds jobs."""

    partitions: PartitionFacts = PartitionFacts()
    features: frozenset[str] = frozenset()
    """Every feature that some node has: others are refused in a job's constraints."""
