"""Which volume a claim may have, and which nodes reach it (pure).

Rules of the PV controller and of kube-scheduler's VolumeBinding, for what is written in stories:
sizes, classes, access modes, node affinity. No selectors, no modes, no capacity of drivers.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from bridge.model import quantity
from bridge.sim.kube.apiserver.objects import Object, key_of
from bridge.sim.kube.apiserver.selectors import Requirement

BOUND: Final = "pv.kubernetes.io/bind-completed"
SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
_NO_PROVISIONER: Final = "kubernetes.io/no-provisioner"


def claims_of(pod: Object) -> Iterator[tuple[str, bool]]:
    """(name, whether of an ephemeral volume) of each claim that a pod mounts."""
    for volume in pod["spec"].get("volumes") or ():
        if volume.get("persistentVolumeClaim"):
            yield volume["persistentVolumeClaim"]["claimName"], False
        elif volume.get("ephemeral"):
            yield f"{pod['metadata']['name']}-{volume['name']}", True


def is_bound(claim: Object) -> bool:
    """Both sides of the binding are written."""
    return bool(claim["spec"].get("volumeName")) and BOUND in (
        claim["metadata"].get("annotations") or {}
    )


def waits(kind: Object | None) -> bool:
    """Whether claims of the StorageClass are bound when their pod has its node."""
    return kind is not None and kind.get("volumeBindingMode") == "WaitForFirstConsumer"


def provisions(kind: Object | None) -> bool:
    """Whether the StorageClass makes volumes."""
    return kind is not None and kind.get("provisioner", "") not in ("", _NO_PROVISIONER)


def names(volume: Object, claim: Object) -> bool:
    """Whether the volume is bound to the claim or kept for it."""
    reference = volume["spec"].get("claimRef")
    return (
        reference is not None
        and (reference.get("namespace"), reference.get("name")) == key_of(claim)
        and reference.get("uid", "") in ("", claim["metadata"]["uid"])
    )


def smallest_free(claim: Object, volumes: Iterable[Object]) -> Object | None:
    """Of the volumes that nobody has and that fit; None when there is none."""
    fitting = [one for one in volumes if not one["spec"].get("claimRef") and _fits(claim, one)]
    return min(fitting, key=_capacity, default=None)


def reaches(volume: Object, node: Object) -> bool:
    """Whether the volume's node affinity allows the node."""
    required = (volume["spec"].get("nodeAffinity") or {}).get("required")
    if required is None:
        return True
    labels = node["metadata"].get("labels") or {}
    return any(
        all(
            Requirement(one["key"], one["operator"], tuple(one.get("values") or ())).matches(labels)
            for one in term.get("matchExpressions") or ()
        )
        for term in required.get("nodeSelectorTerms") or ()
    )


def makes_at(kind: Object | None, node: Object) -> bool:
    """Whether the StorageClass makes volumes for the node."""
    if kind is None or not provisions(kind):
        return False
    labels = node["metadata"].get("labels") or {}
    allowed = kind.get("allowedTopologies") or ()
    return not allowed or any(
        all(
            labels.get(one["key"]) in one["values"]
            for one in term.get("matchLabelExpressions") or ()
        )
        for term in allowed
    )


def _fits(claim: Object, volume: Object) -> bool:
    spec, wanted = volume["spec"], claim["spec"]
    return (
        spec.get("storageClassName", "") == wanted.get("storageClassName", "")
        and set(wanted.get("accessModes") or ()) <= set(spec.get("accessModes") or ())
        and _capacity(volume) >= quantity.whole(wanted["resources"]["requests"]["storage"])
        and (volume.get("status") or {}).get("phase") == "Available"
    )


def _capacity(volume: Object) -> int:
    return quantity.whole(volume["spec"]["capacity"]["storage"])
