"""The parts of claims, volumes and storage classes that we read, as the API server sends them.

As `bridge.kube.objects.wire`: typed dictionaries, partial, strict.
"""

from typing import Literal

from typing_extensions import TypedDict

from bridge.kube.objects.wire import Amounts, LabelSelector, Meta, NodeSelector, Requirements

VolumeMode = Literal["Filesystem", "Block"]


class ClaimSpec(TypedDict, total=False):
    """spec of a PersistentVolumeClaim"""

    accessModes: list[str] | None
    resources: Requirements | None
    selector: LabelSelector | None
    storageClassName: str | None
    volumeAttributesClassName: str | None
    volumeMode: VolumeMode | None
    volumeName: str | None


class ClaimStatus(TypedDict, total=False):
    """status of a PersistentVolumeClaim"""

    phase: Literal["Pending", "Bound", "Lost"]


class ClaimWire(TypedDict, total=False):
    """v1 PersistentVolumeClaim"""

    metadata: Meta
    spec: ClaimSpec | None
    status: ClaimStatus | None


class ClaimRef(TypedDict, total=False):
    """spec.claimRef"""

    namespace: str
    name: str
    uid: str


class VolumeAffinity(TypedDict, total=False):
    """spec.nodeAffinity"""

    required: NodeSelector | None


class VolumeSpec(TypedDict, total=False):
    """spec of a PersistentVolume"""

    accessModes: list[str] | None
    capacity: Amounts | None
    claimRef: ClaimRef | None
    nodeAffinity: VolumeAffinity | None
    storageClassName: str | None
    volumeAttributesClassName: str | None
    volumeMode: VolumeMode | None


class VolumeStatus(TypedDict, total=False):
    """status of a PersistentVolume"""

    phase: str


class VolumeWire(TypedDict, total=False):
    """v1 PersistentVolume"""

    metadata: Meta
    spec: VolumeSpec | None
    status: VolumeStatus | None


class TopologyExpression(TypedDict, total=False):
    """allowedTopologies[].matchLabelExpressions[]"""

    key: str
    values: list[str] | None


class TopologyTerm(TypedDict, total=False):
    """allowedTopologies[]"""

    matchLabelExpressions: list[TopologyExpression] | None


class ClassWire(TypedDict, total=False):
    """storage.k8s.io/v1 StorageClass"""

    metadata: Meta
    provisioner: str
    volumeBindingMode: Literal["Immediate", "WaitForFirstConsumer"] | None
    allowedTopologies: list[TopologyTerm] | None
