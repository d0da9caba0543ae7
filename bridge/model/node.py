"""A Kubernetes node, as far as the bridge cares."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge import names
from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.resources import Resources
from bridge.model.scheduling import Taint


@dataclass(frozen=True, slots=True)
class Node:
    """One node; `allocatable` is what pods may use in all, `max_pods` their count."""

    name: NodeName
    uid: str
    resource_version: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Only keys of our domain."""
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False
    ready: bool = True
    unready: str = ""
    """The one word that Kubernetes has for why it is not ready: NodeStatusUnknown."""
    allocatable: Resources = Resources()
    max_pods: int = 110
    internal_ip: str = ""
    deleting: bool = False
    created_s: float = 0.0
    """metadata.creationTimestamp, seconds since the epoch."""

    @property
    def slurm_name(self) -> SlurmNodeName:
        """Its NodeName in Slurm."""
        return SlurmNodeName(self.labels.get(names.SLURM_NODE_NAME_LABEL) or self.name)

    @property
    def external(self) -> bool:
        """Whether its admin wants it registered in Slurm by us."""
        return names.EXTERNAL_NODE_LABEL in self.labels

    @property
    def takes_pods(self) -> bool:
        """Whether new pods may start there: it answers, and nobody has closed it."""
        return self.ready and not self.unschedulable and not self.deleting

    @property
    def external_partitions(self) -> tuple[str, ...]:
        """Partitions (as node features) that its admin named."""
        text = self.annotations.get(names.EXTERNAL_NODE_PARTITIONS_ANNOTATION, "")
        return tuple(part for part in (piece.strip() for piece in text.split(",")) if part)
