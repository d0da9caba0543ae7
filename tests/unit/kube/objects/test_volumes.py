"""Claims, volumes and storage classes from the wire."""

from typing import Any

import pytest

from bridge.errors import BadInput
from bridge.kube.objects import volumes
from bridge.model.scheduling import NodeSelectorTerm, Requirement
from bridge.model.volume import Claim, StorageClass, Volume, VolumeName

GI = 1 << 30
ZONE, OLD_ZONE = "topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"


def claim(*, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "team", "name": "data", "uid": "u", "resourceVersion": "7",
            "annotations": annotations or {},
        },
        "spec": {"accessModes": ["ReadWriteOnce"], "volumeMode": "Filesystem", **spec},
        "status": {"phase": "Pending"},
    }  # fmt: skip


def volume(*, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "disk", "resourceVersion": "8", "labels": labels or {}},
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "2Gi"}, **spec},
        "status": {"phase": "Available"},
    }


def test_all_of_a_claim_that_is_kept() -> None:
    """Its size in bytes, its class, and what a volume's labels must be."""
    raw = claim(
        resources={"requests": {"storage": "1500Mi"}},
        storageClassName="fast",
        volumeMode="Block",
        volumeAttributesClassName="gold",
        selector={
            "matchLabels": {"disk": "ssd"},
            "matchExpressions": [{"key": "rack", "operator": "Exists"}],
        },
    )
    assert volumes.parse_claim(raw) == Claim(
        namespace="team", name="data", uid="u", resource_version="7", storage_class="fast",
        size_bytes=1500 << 20, access_modes=("ReadWriteOnce",), block=True,
        attributes_class="gold",
        selector=(Requirement("disk", "In", ("ssd",)), Requirement("rack", "Exists")),
    )  # fmt: skip


def test_a_claim_is_bound_when_both_sides_of_the_binding_are_written() -> None:
    """A volume's name alone is a wish."""
    asked = volumes.parse_claim(claim(volumeName="disk"))
    assert (asked.volume, asked.bound) == ("disk", False)
    done = claim(volumeName="disk", annotations={"pv.kubernetes.io/bind-completed": "yes"})
    assert volumes.parse_claim(done).bound


def test_the_old_annotation_names_the_class_before_the_field_does() -> None:
    """As component-helpers reads it."""
    old = {"volume.beta.kubernetes.io/storage-class": "old"}
    assert volumes.parse_claim(claim(annotations=old, storageClassName="new")).storage_class == (
        "old"
    )


def test_a_claim_of_an_ephemeral_volume_knows_its_pod_and_its_node() -> None:
    """The controlling pod, and the node for which kube-scheduler has asked for a volume."""
    raw = claim(annotations={"volume.kubernetes.io/selected-node": "n1"})
    raw["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "p", "controller": True}
    ]
    row = volumes.parse_claim(raw)
    assert (row.pod, row.selected_node) == ("p", "n1")


def test_all_of_a_volume_that_is_kept() -> None:
    """Whom it is bound to, and which nodes reach it."""
    raw = volume(
        claimRef={"namespace": "team", "name": "data", "uid": "u"},
        storageClassName="fast",
        nodeAffinity={
            "required": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["a"]}]}
                ]
            }
        },
        labels={"disk": "ssd"},
    )
    assert volumes.parse_volume(raw) == Volume(
        name=VolumeName("disk"), resource_version="8", available=True, claim=("team", "data"),
        claim_uid="u", storage_class="fast", size_bytes=2 * GI,
        access_modes=("ReadWriteOnce",), labels={"disk": "ssd"},
        affinity=(NodeSelectorTerm((Requirement(ZONE, "In", ("a",)),)),),
    )  # fmt: skip


def test_zone_labels_of_a_volume_ask_for_a_node_of_that_zone_or_one_without_zones() -> None:
    """Each label on its own; several zones with `__` between; old labels by new ones as well."""
    zones = volumes.parse_volume(volume(labels={OLD_ZONE: "b__a", REGION: "r"})).zones
    assert len(zones) == 2
    nowhere, old, new = zones[0]
    assert {(one.key, one.operator) for one in nowhere.expressions} == {
        (key, "DoesNotExist")
        for key in (ZONE, REGION, OLD_ZONE, "failure-domain.beta.kubernetes.io/region")
    }
    assert old == NodeSelectorTerm((Requirement(OLD_ZONE, "In", ("a", "b")),))
    assert new.expressions == (
        Requirement(OLD_ZONE, "DoesNotExist"), Requirement(ZONE, "In", ("a", "b")),
    )  # fmt: skip
    assert zones[1] == (nowhere, NodeSelectorTerm((Requirement(REGION, "In", ("r",)),)))


def test_a_zone_label_that_kubernetes_ignores_asks_for_nothing() -> None:
    """An empty one, or one with an empty zone between."""
    assert volumes.parse_volume(volume(labels={ZONE: "a____b"})).zones == ()
    assert volumes.parse_volume(volume(labels={ZONE: ""})).zones == ()


def test_a_storage_class_says_when_and_where_it_binds() -> None:
    """Without a provisioner it makes no volumes."""
    raw = {
        "metadata": {"name": "local", "resourceVersion": "9"},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowedTopologies": [{"matchLabelExpressions": [{"key": ZONE, "values": ["a", "b"]}]}],
    }
    assert volumes.parse_class(raw) == StorageClass(
        "local", "9", waits=True, provisions=False,
        topologies=(NodeSelectorTerm((Requirement(ZONE, "In", ("a", "b")),)),),
    )  # fmt: skip
    plain = {"metadata": {"name": "fast"}, "provisioner": "csi.example.com"}
    assert volumes.parse_class(plain) == StorageClass("fast", "")


@pytest.mark.parametrize(
    ("parse", "raw", "field"),
    [
        (
            volumes.parse_claim,
            claim(resources={"requests": {"storage": "much"}}),
            "spec.resources.requests.storage",
        ),
        (volumes.parse_volume, volume(capacity={"storage": "much"}), "spec.capacity.storage"),
        (
            volumes.parse_volume,
            volume(nodeAffinity={"required": {"nodeSelectorTerms": [{"matchExpressions": [{}]}]}}),
            "spec.nodeAffinity.required",
        ),
        (volumes.parse_class, {"volumeBindingMode": "Sometimes"}, "volumeBindingMode"),
    ],
)
def test_nonsense_is_refused_with_its_field(parse: Any, raw: dict[str, Any], field: str) -> None:
    """And costs only itself."""
    with pytest.raises(BadInput) as refused:
        parse(raw)
    assert refused.value.field == field
