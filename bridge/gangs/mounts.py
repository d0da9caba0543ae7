"""Pods and the claims that they mount: what claims ask of nodes becomes part of a pod's shape."""

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from bridge.gangs.indexed import Indexed
from bridge.gangs.volumes import Volumes
from bridge.model.ids import GangId, PodUid
from bridge.model.pod import Pod
from bridge.model.scheduling import PodShape
from bridge.model.volume import ClaimKey, VolumeTerms


class Mounts:
    """Keeps which pods mount which claims, and which pods wait for a claim."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes
        self._pods: Indexed[ClaimKey, PodUid] = Indexed()
        self._gangs: Indexed[ClaimKey, GangId] = Indexed()
        """The gangs whose future pods will mount a claim; and the reverse."""
        self._followed: Indexed[GangId, ClaimKey] = Indexed()
        self._waits_for: dict[PodUid, str] = {}

    def add(self, pod: Pod) -> Pod:
        """Takes in the pod's claims; returns the row with what they ask of nodes in its shape."""
        if not pod.volume_claims:
            return pod
        for name in pod.volume_claims:
            self._pods.add((pod.namespace, name), pod.uid)
        view = self._volumes.of(pod)
        if view.waits_for:
            self._waits_for[pod.uid] = view.waits_for
        else:
            self._waits_for.pop(pod.uid, None)
        shape = _reaching(pod.shape, view.terms)
        return pod if shape is pod.shape else replace(pod, shape=shape)

    def drop(self, pod: Pod) -> None:
        """Drops a pod that is gone. A pod's claims never change while it exists."""
        for name in pod.volume_claims:
            self._pods.discard((pod.namespace, name), pod.uid)
        self._waits_for.pop(pod.uid, None)

    @property
    def all_ready(self) -> bool:
        """Whether no pod waits for a claim."""
        return not self._waits_for

    def waits_for(self, pod: PodUid) -> str:
        """The sentence that names the claim that is not ready; "" if all are ready."""
        return self._waits_for.get(pod, "")

    def follow(self, gang_id: GangId, claims: Iterable[ClaimKey]) -> tuple[VolumeTerms, ...]:
        """What the claims of the gang's future pods ask of nodes."""
        claims = tuple(claims)
        for claim in claims:
            self._gangs.add(claim, gang_id)
            self._followed.add(gang_id, claim)
        return self._volumes.of_claims(claims).terms

    def gangs_of(self, claims: Iterable[ClaimKey]) -> set[GangId]:
        """The gangs whose future pods will mount one of the claims."""
        return {gang_id for claim in claims for gang_id in self._gangs.of(claim)}

    def forget(self, gang_id: GangId) -> None:
        """Drops the gang's future pods: no pod of it will come any more."""
        for claim in tuple(self._followed.of(gang_id)):
            self._gangs.discard(claim, gang_id)
            self._followed.discard(gang_id, claim)

    def of(self, claims: Iterable[ClaimKey]) -> set[PodUid]:
        """The pods that mount one of the claims."""
        return {uid for claim in claims for uid in self._pods.of(claim)}


@lru_cache(maxsize=8192)
def _reaching(shape: PodShape, terms: tuple[VolumeTerms, ...]) -> PodShape:
    """The same object for equal shapes, as `bridge.kube.objects.shapes` makes them."""
    return shape if shape.volume_terms == terms else replace(shape, volume_terms=terms)
