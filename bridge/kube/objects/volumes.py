"""v1 PersistentVolumeClaim, v1 PersistentVolume, storage.k8s.io/v1 StorageClass → rows.

What is read is what kube-scheduler's plugins VolumeBinding and VolumeZone decide by.
"""

import sys
from collections.abc import Mapping

from bridge import label_selectors
from bridge.errors import BadInput
from bridge.kube.api import decode
from bridge.kube.objects import affinity, metadata, volume_wire, wire
from bridge.model import bounds, quantity, texts
from bridge.model.ids import NodeName, PodUid
from bridge.model.scheduling import NodeSelectorTerm, Requirement
from bridge.model.volume import Claim, StorageClass, Volume, VolumeName, VolumeTerms

CLAIMS_PATH = "/api/v1/persistentvolumeclaims"
VOLUMES_PATH = "/api/v1/persistentvolumes"
CLASSES_PATH = "/apis/storage.k8s.io/v1/storageclasses"
"""List and watch, all namespaces."""

_BOUND = "pv.kubernetes.io/bind-completed"
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
_OLD_CLASS = "volume.beta.kubernetes.io/storage-class"
_NO_PROVISIONER = "kubernetes.io/no-provisioner"
_ZONE_KEYS = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone": "",
    "topology.kubernetes.io/region": "",
}
"""Labels of volumes that bind them to a zone or region; old ones with their new name on nodes."""
_ZONES_BETWEEN = "__"


def _claim(raw: volume_wire.ClaimWire) -> Claim:
    meta: wire.Meta = raw.get("metadata") or {}
    spec: volume_wire.ClaimSpec = raw.get("spec") or {}
    annotations = meta.get("annotations") or {}
    volume = VolumeName(spec.get("volumeName") or "")
    owner = metadata.controller(meta)
    requests = (spec.get("resources") or {}).get("requests") or {}
    return Claim(
        namespace=sys.intern(meta.get("namespace", "")),
        name=meta.get("name", ""),
        uid=meta.get("uid", ""),
        resource_version=meta.get("resourceVersion", ""),
        phase=(raw.get("status") or {}).get("phase", "Pending"),
        volume=volume,
        bound=bool(volume) and _BOUND in annotations,
        storage_class=_class_of(meta, spec.get("storageClassName")),
        size_bytes=_bytes(requests, "spec.resources.requests.storage"),
        access_modes=tuple(dict.fromkeys(map(sys.intern, spec.get("accessModes") or ()))),
        block=spec.get("volumeMode") == "Block",
        attributes_class=sys.intern(spec.get("volumeAttributesClassName") or ""),
        selector=_selector(spec.get("selector")),
        selected_node=NodeName(_name(annotations.get(_SELECTED_NODE, ""))),
        deleting=bool(meta.get("deletionTimestamp")),
        pod=PodUid(owner.uid) if owner is not None and owner.kind == "Pod" else PodUid(""),
    )


parse_claim = decode.Parser(volume_wire.ClaimWire, _claim, kind="PersistentVolumeClaim")
"""The row of a claim. Raises BadInput with the field."""


def _volume(raw: volume_wire.VolumeWire) -> Volume:
    meta: wire.Meta = raw.get("metadata") or {}
    spec: volume_wire.VolumeSpec = raw.get("spec") or {}
    claim = spec.get("claimRef")
    required = (spec.get("nodeAffinity") or {}).get("required")
    return Volume(
        name=VolumeName(meta.get("name", "")),
        resource_version=meta.get("resourceVersion", ""),
        available=(raw.get("status") or {}).get("phase") == "Available",
        claim=None if claim is None else (claim.get("namespace", ""), claim.get("name", "")),
        claim_uid="" if claim is None else claim.get("uid", ""),
        storage_class=_class_of(meta, spec.get("storageClassName")),
        size_bytes=_bytes(spec.get("capacity") or {}, "spec.capacity.storage"),
        access_modes=tuple(map(sys.intern, spec.get("accessModes") or ())),
        block=spec.get("volumeMode") == "Block",
        attributes_class=sys.intern(spec.get("volumeAttributesClassName") or ""),
        labels=metadata.every(meta.get("labels")),
        affinity=None
        if required is None
        else affinity.of_wire(required, at="spec.nodeAffinity.required"),
        zones=_zones(meta.get("labels") or {}),
        deleting=bool(meta.get("deletionTimestamp")),
    )


parse_volume = decode.Parser(volume_wire.VolumeWire, _volume, kind="PersistentVolume")
"""The row of a volume. Raises BadInput with the field."""


def _storage_class(raw: volume_wire.ClassWire) -> StorageClass:
    meta: wire.Meta = raw.get("metadata") or {}
    return StorageClass(
        name=meta.get("name", ""),
        resource_version=meta.get("resourceVersion", ""),
        waits=raw.get("volumeBindingMode") == "WaitForFirstConsumer",
        provisions=raw.get("provisioner", "") not in ("", _NO_PROVISIONER),
        topologies=tuple(_topology(term) for term in raw.get("allowedTopologies") or ()),
    )


parse_class = decode.Parser(volume_wire.ClassWire, _storage_class, kind="StorageClass")
"""The row of a storage class. Raises BadInput with the field."""


def _class_of(meta: wire.Meta, named: str | None) -> str:
    """The annotation of old wins (component-helpers, `GetPersistentVolumeClaimClass`)."""
    return sys.intern(_name((meta.get("annotations") or {}).get(_OLD_CLASS, named or "")))


def _name(text: str) -> str:
    """Of another object, as an annotation says it: anybody who may make a claim writes it."""
    return texts.printable(text, bounds.LONGEST_OBJECT_NAME)


def _bytes(amounts: wire.Amounts, at: str) -> int:
    try:
        return quantity.whole(amounts.get("storage", 0))
    except BadInput as error:
        raise BadInput(f"{at}: {error}", field=at) from None


def _selector(selector: wire.LabelSelector | None) -> tuple[Requirement, ...]:
    if selector is None:
        return ()
    labels, expressions = selector.get("matchLabels"), selector.get("matchExpressions") or ()
    values = sum(len(one.get("values") or ()) for one in expressions)
    for count, most, what in (
        (len(labels or ()) + len(expressions), bounds.MOST_CLAIM_REQUIREMENTS, "requirements"),
        (values, bounds.MOST_CLAIM_WORDS, "values"),
    ):
        bounds.check_count(count, most, what, field="spec.selector")
    return label_selectors.parse(selector, at="spec.selector")


def _zones(labels: Mapping[str, str]) -> tuple[VolumeTerms, ...]:
    """VolumeZone's rule: the node has the volume's zone, or knows of no zones and regions at all.

    A volume in several zones names them with `__` between; an old label of a volume is met by the
    new one of a node that lacks the old.
    """
    nowhere = NodeSelectorTerm(tuple(Requirement(key, "DoesNotExist") for key in _ZONE_KEYS))
    found = []
    for key, newer in _ZONE_KEYS.items():
        values = tuple(sorted(set(labels.get(key, "").split(_ZONES_BETWEEN))))
        if not all(values):
            continue  # no such label, or one that VolumeZone ignores as well
        terms = [nowhere, NodeSelectorTerm((Requirement(key, "In", values),))]
        if newer:
            absent = Requirement(key, "DoesNotExist")
            terms.append(NodeSelectorTerm((absent, Requirement(newer, "In", values))))
        found.append(tuple(terms))
    return tuple(found)


def _topology(term: volume_wire.TopologyTerm) -> NodeSelectorTerm:
    return NodeSelectorTerm(
        tuple(
            Requirement(one.get("key", ""), "In", tuple(one.get("values") or ()))
            for one in term.get("matchLabelExpressions") or ()
        )
    )
