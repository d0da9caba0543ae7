"""Ids that must not be mixed up, each its own type."""

from typing import NewType

PodUid = NewType("PodUid", str)
GangId = NewType("GangId", str)
"""namespace/uid of the object that holds the gang together, and where that holds several
namespace/uid/which; of a gang of one the pod's uid."""
SlurmJobId = NewType("SlurmJobId", int)
NodeName = NewType("NodeName", str)
"""Name of a Kubernetes node."""
SlurmNodeName = NewType("SlurmNodeName", str)
"""NodeName in Slurm; may differ (label slinky.slurm.net/slurm-nodename)."""
