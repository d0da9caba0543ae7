"""Claims, volumes and storage classes: whether pods' claims are ready, what they ask of nodes.

The rules are those of kube-scheduler's VolumeBinding and VolumeZone, which decide once more when
the pod is pinned: here they keep a pod out of Slurm's queue that could not run, and off nodes that
its volumes do not reach. Who may mount a claim at the same time, and whether a driver has room for
one more volume on a node, stays with them.

- A bound claim ties the pod to the nodes that its volume reaches.
- A claim that is bound at once (Immediate) is waited for.
- A claim that is bound with its pod (WaitForFirstConsumer) is not: kube-scheduler binds it when
  the pod has its node. That may be any node on which a free volume fits or one can be made.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from bridge.gangs.indexed import Indexed
from bridge.model.pod import Pod
from bridge.model.scheduling import NodeSelectorTerm, Requirement
from bridge.model.volume import (
    Claim,
    ClaimKey,
    StorageClass,
    Volume,
    VolumeName,
    VolumeTerms,
    VolumeView,
)
from bridge.placement.filters import selectors, storage

Key = TypeVar("Key", bound=Hashable)
Row = TypeVar("Row", Claim, Volume, StorageClass)

NOTHING = VolumeView()
"""The view of a pod whose claims exclude no node."""


class Volumes:
    """All storage objects that were read from the API server.

    Each write returns the claims for which it may have changed something. Only what free volumes
    change is kept for `concerned_by_free`: each of them concerns every unbound claim of its class,
    and a thousand pods that start on a thousand disks would else change a thousand waiting jobs a
    thousand times.
    """

    def __init__(self) -> None:
        self._claims: dict[ClaimKey, Claim] = {}
        self._volumes: dict[VolumeName, Volume] = {}
        self._classes: dict[str, StorageClass] = {}
        self._bound_to: Indexed[VolumeName, ClaimKey] = Indexed()
        self._unbound: Indexed[str, ClaimKey] = Indexed()
        """The unbound claims, by their class."""
        self._kept_for: Indexed[ClaimKey, VolumeName] = Indexed()
        self._free: Indexed[str, VolumeName] = Indexed()
        """The free volumes, by their class."""
        self._reach: dict[tuple[Hashable, ...], VolumeTerms | None] = {}
        """The nodes that can reach a free volume, by what claims ask for."""
        self._of_changed_classes: set[str] = set()

    # -- what the API server says --------------------------------------------------------------

    def upsert_claim(self, row: Claim) -> set[ClaimKey]:
        """A claim's newest row."""
        if _is_quiet(self._claims.get(row.key), row):
            return set()
        self.remove_claim(row.key)
        self._claims[row.key] = row
        if row.volume:
            self._bound_to.add(row.volume, row.key)
        else:
            self._unbound.add(row.storage_class, row.key)
        return {row.key}

    def remove_claim(self, key: ClaimKey) -> set[ClaimKey]:
        """The claim is gone."""
        known = self._claims.pop(key, None)
        if known is None:
            return set()
        self._bound_to.discard(known.volume, key)
        self._unbound.discard(known.storage_class, key)
        return {key}

    def replace_claims(self, rows: Iterable[Claim]) -> set[ClaimKey]:
        """A whole list of claims."""
        listed = {row.key: row for row in rows}
        return _replaced(self._claims, listed, self.upsert_claim, self.remove_claim)

    def upsert_volume(self, row: Volume) -> set[ClaimKey]:
        """A volume's newest row."""
        if _is_quiet(self._volumes.get(row.name), row):
            return set()
        changed = self.remove_volume(row.name)
        self._volumes[row.name] = row
        if row.claim is not None:
            self._kept_for.add(row.claim, row.name)
        if storage.is_free(row):
            self._free.add(row.storage_class, row.name)
        return changed | self._concerned(row)

    def remove_volume(self, name: VolumeName) -> set[ClaimKey]:
        """The volume is gone."""
        known = self._volumes.pop(name, None)
        if known is None:
            return set()
        if known.claim is not None:
            self._kept_for.discard(known.claim, name)
        self._free.discard(known.storage_class, name)
        return self._concerned(known)

    def replace_volumes(self, rows: Iterable[Volume]) -> set[ClaimKey]:
        """A whole list of volumes."""
        listed = {row.name: row for row in rows}
        return _replaced(self._volumes, listed, self.upsert_volume, self.remove_volume)

    def upsert_class(self, row: StorageClass) -> set[ClaimKey]:
        """A storage class's newest row."""
        if _is_quiet(self._classes.get(row.name), row):
            return set()
        self._classes[row.name] = row
        self._reach.clear()
        return set(self._unbound.of(row.name))

    def remove_class(self, name: str) -> set[ClaimKey]:
        """The storage class is gone."""
        if self._classes.pop(name, None) is None:
            return set()
        self._reach.clear()
        return set(self._unbound.of(name))

    def replace_classes(self, rows: Iterable[StorageClass]) -> set[ClaimKey]:
        """A whole list of storage classes."""
        listed = {row.name: row for row in rows}
        return _replaced(self._classes, listed, self.upsert_class, self.remove_class)

    def concerned_by_free(self) -> set[ClaimKey]:
        """The claims for which free volumes have come or gone since the last call.

        To be asked for about once a second.
        """
        changed, self._of_changed_classes = self._of_changed_classes, set()
        return {key for name in changed for key in self._unbound.of(name)}

    def _concerned(self, volume: Volume) -> set[ClaimKey]:
        """Claims that it is bound to or kept for."""
        if storage.is_free(volume):
            self._reach.clear()
            self._of_changed_classes.add(volume.storage_class)
        return {*self._bound_to.of(volume.name), *filter(None, [volume.claim])}

    # -- what it means for a pod ---------------------------------------------------------------

    def of(self, pod: Pod) -> VolumeView:
        """Whether the pod's claims are ready, and what they ask of nodes."""
        return self._together(
            self._of_ephemeral(pod, name)
            if name in pod.ephemeral_claims
            else self._of_claim((pod.namespace, name))
            for name in pod.volume_claims
        )

    def of_claims(self, claims: Iterable[ClaimKey]) -> VolumeView:
        """The view of a future pod that will mount these claims."""
        return self._together(map(self._of_claim, claims))

    @staticmethod
    def _together(views: Iterable[VolumeView]) -> VolumeView:
        terms: dict[VolumeTerms, None] = {}
        for view in views:
            if view.waits_for:
                return view
            terms.update(dict.fromkeys(view.terms))
        return VolumeView(terms=tuple(terms)) if terms else NOTHING

    def _of_ephemeral(self, pod: Pod, name: str) -> VolumeView:
        claim = self._claims.get((pod.namespace, name))
        if claim is None:
            return _waits(name, "for an ephemeral volume of the pod, is not made yet")
        if claim.pod != pod.uid:
            why = "is not the pod's own, but an ephemeral volume of the pod needs its name"
            return _waits(name, why)
        return self._of_claim(claim.key)

    def _of_claim(self, key: ClaimKey) -> VolumeView:
        claim = self._claims.get(key)
        namespace, name = key
        if claim is None:
            return _waits(name, f"does not exist in namespace {namespace}")
        if claim.deleting:
            return _waits(name, "is being deleted")
        if claim.phase == "Lost":
            return _waits(name, f"has lost its PersistentVolume {claim.volume}")
        return self._of_bound(claim) if claim.bound else self._of_unbound(claim)

    def _of_bound(self, claim: Claim) -> VolumeView:
        volume = self._volumes.get(claim.volume)
        if volume is None:
            why = f"is bound to PersistentVolume {claim.volume}, which does not exist"
            return _waits(claim.name, why)
        affinity = () if volume.affinity is None else (volume.affinity,)
        return VolumeView(terms=(*affinity, *volume.zones))

    def _of_unbound(self, claim: Claim) -> VolumeView:
        if claim.volume:
            return _waits(claim.name, f"is not bound to PersistentVolume {claim.volume} yet")
        kind = self._classes.get(claim.storage_class)
        if kind is None and claim.storage_class:
            why = f"is not bound, and its StorageClass {claim.storage_class} does not exist"
            return _waits(claim.name, why)
        if kind is None or not kind.waits:
            return _waits(claim.name, "is not bound yet")
        if claim.selected_node:
            here = Requirement(selectors.NAME_FIELD, "In", (claim.selected_node,))
            return VolumeView(terms=((NodeSelectorTerm(fields=(here,)),),))
        reach = self._reach_of(claim, kind)
        if reach is None:
            return NOTHING
        if not reach:
            why = f"finds no free PersistentVolume, and StorageClass {kind.name} makes none"
            return _waits(claim.name, why)
        return VolumeView(terms=(reach,))

    def _reach_of(self, claim: Claim, kind: StorageClass) -> VolumeTerms | None:
        kept = [self._volumes[name] for name in self._kept_for.of(claim.key)]
        kept = [volume for volume in kept if storage.is_kept_for(volume, claim)]
        if kept:
            return storage.reach(kind, kept)
        asked = (
            claim.storage_class, claim.size_bytes, claim.access_modes, claim.block,
            claim.attributes_class, claim.selector,
        )  # fmt: skip
        if asked not in self._reach:
            free = (self._volumes[name] for name in sorted(self._free.of(kind.name)))
            fitting = [volume for volume in free if storage.fits(volume, claim)]
            self._reach[asked] = storage.reach(kind, fitting)
        return self._reach[asked]


def _waits(claim: str, why: str) -> VolumeView:
    return VolumeView(waits_for=f"PersistentVolumeClaim {claim} {why}")


def _is_quiet(known: Row | None, row: Row) -> bool:
    """Whether the row says nothing new."""
    return known is not None and replace(known, resource_version=row.resource_version) == row


def _replaced(
    known: Mapping[Key, Row],
    listed: Mapping[Key, Row],
    upsert: Callable[[Row], set[ClaimKey]],
    remove: Callable[[Key], set[ClaimKey]],
) -> set[ClaimKey]:
    """What is not in the list is gone."""
    changed: set[ClaimKey] = set()
    for key in known.keys() - listed.keys():
        changed |= remove(key)
    for row in listed.values():
        changed |= upsert(row)
    return changed
