"""Storage, as far as it decides where and when pods may run: claims, volumes and their classes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NewType

from bridge.model.ids import NodeName, PodUid
from bridge.model.scheduling import NodeSelectorTerm, Requirement

VolumeName = NewType("VolumeName", str)
"""metadata.name of a PersistentVolume."""
ClaimKey = tuple[str, str]
"""(namespace, name) of a PersistentVolumeClaim."""
VolumeTerms = tuple[NodeSelectorTerm, ...]
"""ORed terms on nodes' labels: one of them must match."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A PersistentVolumeClaim."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    phase: Literal["Pending", "Bound", "Lost"] = "Pending"
    volume: VolumeName = VolumeName("")
    """spec.volumeName; without `bound` only asked for."""
    bound: bool = False
    """Both sides of the binding are written; kube-scheduler takes nothing else for bound."""
    storage_class: str = ""
    size_bytes: int = 0
    access_modes: tuple[str, ...] = ()
    block: bool = False
    """volumeMode Block, no file system."""
    attributes_class: str = ""
    selector: tuple[Requirement, ...] = ()
    """What a volume's labels must meet to be bound to it."""
    selected_node: NodeName = NodeName("")
    """Where kube-scheduler has asked for a volume to be made."""
    deleting: bool = False
    pod: PodUid = PodUid("")
    """The pod that controls it: the claim of a generic ephemeral volume."""

    @property
    def key(self) -> ClaimKey:
        """What pods name it by."""
        return self.namespace, self.name


@dataclass(frozen=True, slots=True)
class Volume:
    """A PersistentVolume."""

    name: VolumeName
    resource_version: str
    available: bool = False
    """Phase Available: bound to nothing, and may be."""
    claim: ClaimKey | None = None
    """The claim that it is bound to or kept for."""
    claim_uid: str = ""
    """"" where it is kept for whatever claim comes under that name."""
    storage_class: str = ""
    size_bytes: int = 0
    access_modes: tuple[str, ...] = ()
    block: bool = False
    attributes_class: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    affinity: VolumeTerms | None = None
    """spec.nodeAffinity.required; None: every node reaches it."""
    zones: tuple[VolumeTerms, ...] = ()
    """What its zone and region labels ask of nodes, each on its own."""
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class StorageClass:
    """A storage.k8s.io StorageClass."""

    name: str
    resource_version: str
    waits: bool = False
    """WaitForFirstConsumer: its claims are bound when their pod's node is known."""
    provisions: bool = True
    """Whether it makes volumes, or only has those that an admin made."""
    topologies: VolumeTerms = ()
    """allowedTopologies: where it makes volumes; empty: everywhere."""


@dataclass(frozen=True, slots=True)
class VolumeView:
    """What a pod's claims mean for it."""

    waits_for: str = ""
    """The sentence that names the claim that is not ready, and why; "" when none is in the way."""
    terms: tuple[VolumeTerms, ...] = ()
    """For PodShape.volume_terms: a node must meet all of them."""
