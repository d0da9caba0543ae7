"""Where a claim that is bound only with its pod (WaitForFirstConsumer) can be bound.

The rule is kube-scheduler's (VolumeBinding, component-helpers `FindMatchingVolume`): a node is good
if a free volume that fits can be reached from it, or if the claim's class makes volumes there. A
volume that is kept for the claim comes before all others. The room that a driver has left
(CSIStorageCapacity) does not count here.
"""

from collections.abc import Iterable

from bridge import label_selectors
from bridge.model.scheduling import NodeSelectorTerm, Requirement
from bridge.model.volume import Claim, StorageClass, Volume, VolumeTerms


def is_free(volume: Volume) -> bool:
    """Whether any claim may get the volume."""
    return volume.available and volume.claim is None and not volume.deleting


def is_kept_for(volume: Volume, claim: Claim) -> bool:
    """Whether the volume names this claim, and can be bound to it."""
    named = volume.claim == claim.key and volume.claim_uid in ("", claim.uid)
    return named and _suits(volume, claim)


def fits(volume: Volume, claim: Claim) -> bool:
    """Whether the volume, if it is free, can be bound to the claim."""
    return (
        _suits(volume, claim)
        and set(claim.access_modes) <= set(volume.access_modes)
        and label_selectors.matches(claim.selector, volume.labels)
    )


def _suits(volume: Volume, claim: Claim) -> bool:
    return (
        volume.size_bytes >= claim.size_bytes
        and volume.block == claim.block
        and volume.attributes_class == claim.attributes_class
        and not volume.deleting
    )


def reach(kind: StorageClass, volumes: Iterable[Volume]) -> VolumeTerms | None:
    """The nodes that one of the volumes reaches, or on which the class makes volumes, as terms.

    None means all nodes, and empty terms mean none. Terms that differ only in the values of one
    label become one term: a thousand disks of a thousand nodes are a list of names.
    """
    if kind.provisions and not kind.topologies:
        return None
    made = kind.topologies if kind.provisions else ()
    rest: dict[NodeSelectorTerm, None] = dict.fromkeys(made)
    values: dict[str, set[str]] = {}
    for volume in volumes:
        if volume.affinity is None:
            return None
        for term in volume.affinity:
            only = term.expressions[0] if len(term.expressions) == 1 and not term.fields else None
            if only is not None and only.operator == "In":
                values.setdefault(only.key, set()).update(only.values)
            else:
                rest[term] = None
    merged = (
        NodeSelectorTerm((Requirement(key, "In", tuple(sorted(values[key]))),))
        for key in sorted(values)
    )
    return (*rest, *merged)
