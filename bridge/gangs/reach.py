"""What the volumes of a gang's pods ask of nodes, beyond what the shapes of its roles say.

A template gives its pods one shape, but each may mount a claim of its own (a StatefulSet's disks,
zone by zone). Once such claims are bound, every slot has its own nodes; that is said slot by slot,
by the index of the pod.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bridge.errors import BadInput
from bridge.model.gang import Gang, Rank
from bridge.model.ids import PodUid
from bridge.model.pod import Pod
from bridge.model.scheduling import NodeSelectorTerm

_Terms = tuple[tuple[NodeSelectorTerm, ...], ...]


def by_slot(gang: Gang, ranks: Mapping[PodUid, Rank], pods: Sequence[Pod]) -> Gang:
    """The gang with the conditions on nodes of each slot's volumes, if these differ between slots.

    Slots without a pod ask for what their role's shape says; pods that have their place are past
    it. Raises BadInput where pods differ that have no index.
    """
    if not any(pod.volume_claims for pod in pods):
        return gang
    placeless = [pod for pod in pods if pod.waits_for_place]
    if not _differ(placeless, ranks):
        return gang
    terms: dict[int, _Terms] = {}
    for pod in placeless:
        rank = ranks.get(pod.uid, Rank())
        if rank.index is None:
            raise BadInput(
                f"pods of {gang.owner} mount volumes that are reached from different nodes, and "
                "the pods have no numbers, so slurm-bridge can't tell which pod belongs on which "
                "nodes; use a StatefulSet or an Indexed Job, or let the pods queue one by one with "
                'annotation slurmjob.slinky.slurm.net/gang: "false"'
            )
        slot = gang.slot_of(rank)
        if slot is not None:
            terms[slot] = pod.shape.volume_terms
    return replace(gang, volume_terms=tuple(sorted(terms.items())))


def _differ(pods: Sequence[Pod], ranks: Mapping[PodUid, Rank]) -> bool:
    of_role: dict[int, _Terms] = {}
    return any(
        of_role.setdefault(ranks.get(pod.uid, Rank()).role, pod.shape.volume_terms)
        != pod.shape.volume_terms
        for pod in pods
    )
