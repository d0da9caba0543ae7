"""A Kubernetes node, as far as the bridge cares."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge import names
from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.pod import Condition
from bridge.model.resources import Resources
from bridge.model.scheduling import Taint


@dataclass(frozen=True, slots=True)
class Cause:
    """A condition or a taint of a node that says: nothing new here."""

    text: str
    """`KernelDeadlock=True (DockerHung)`, or `taint karpenter.sh/disrupted`; plain ASCII."""
    message: str = field(default="", compare=False)
    """The condition's words. They may count seconds: another message is no other cause."""
    taint: str = ""
    """The taint's key; "" for a condition."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node; `allocatable` is what pods may use in all, `max_pods` their count."""

    name: NodeName
    uid: str
    resource_version: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Only keys of our domain that the bridge reads."""
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
    causes: tuple[Cause, ...] = ()
    """What closes the node by the settings, the conditions first, each in the settings' order."""
    drained: Condition | None = None
    """Our own condition: whether an admin has drained it in Slurm."""
    end_s: float | None = None
    """When it ceases to exist, in seconds since the epoch; None where nobody says so."""
    unreadable_end: str = ""
    """The label or annotation whose end time can't be read."""

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
        return self.ready and not (self.unschedulable or self.deleting or self.causes)

    @property
    def cordoned_for_slurm(self) -> bool:
        """Whether the bridge has cordoned it, because of an admin's drain in Slurm."""
        return self.annotations.get(names.CORDONED_ANNOTATION) == names.CORDON_IS_OURS

    @property
    def kind_taints(self) -> tuple[Taint, ...]:
        """Its taints without those that close it: while these are there, it takes no pods anyway,
        and they do not say what the node is."""
        if not self.causes:
            return self.taints
        closing = {cause.taint for cause in self.causes}
        return tuple(taint for taint in self.taints if taint.key not in closing)

    @property
    def external_partitions(self) -> tuple[str, ...]:
        """Partitions (as node features) that its admin named."""
        text = self.annotations.get(names.EXTERNAL_NODE_PARTITIONS_ANNOTATION, "")
        return tuple(part for part in (piece.strip() for piece in text.split(",")) if part)
