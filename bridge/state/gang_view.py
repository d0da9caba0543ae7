"""All that is known of one gang, in one look."""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.errors import BadInput
from bridge.gangs import membership
from bridge.model.gang import Gang, Rank
from bridge.model.ids import GangId, PodUid
from bridge.model.owner import BatchJob, Owner, OwnerWill
from bridge.model.pod import Pod
from bridge.state.kube_state import KubeState


@dataclass(frozen=True, slots=True, kw_only=True)
class GangView:
    """The gang as Kubernetes has it now."""

    gang: Gang | None
    """What it asks for; None where that can't be told (`problem`), and while it has no pods."""
    problem: BadInput | None
    pods: tuple[Pod, ...]
    owner: OwnerWill
    ranks: Mapping[PodUid, Rank]
    """Where in the gang each pod belongs."""
    waits_for: str
    """Why pods can't be placed for their volumes; "" where they can."""
    singletons: int
    """How many pods of its owner queue on their own."""
    lost: frozenset[PodUid]
    """Pods that are deleted and can't end, as their node is gone or does not answer."""
    judged: frozenset[PodUid]
    """Pods whose Job says itself what a disruption means, where others' Jobs don't."""


def of(cluster: KubeState, gang_id: GangId) -> GangView:
    """The gang as it is now. Raises InternalError where the bridge failed at its pods."""
    gang: Gang | None = None
    problem: BadInput | None = None
    try:
        gang = cluster.gang(gang_id)
    except BadInput as error:
        problem = error
    pods, record = cluster.pods_of(gang_id), cluster.members(gang_id)
    owner = cluster.gang_owner_of(gang_id)
    return GangView(
        gang=gang,
        problem=problem,
        pods=pods,
        owner=_owner_will(owner, gang_id, pods, is_over=record is not None and record.over),
        ranks=dict(record.ranks) if record is not None else {},
        waits_for=cluster.waits_for(gang_id),
        singletons=record.singletons if record is not None else 0,
        lost=cluster.lost_pods(gang_id),
        judged=_judged(cluster, owner, pods),
    )


def _judged(
    cluster: KubeState, gang_owner: Owner | None, pods: tuple[Pod, ...]
) -> frozenset[PodUid]:
    if gang_owner is None or isinstance(gang_owner, BatchJob):
        return frozenset()  # one pod, or one Job: all pods are alike
    judged = frozenset(
        pod.uid
        for pod in pods
        if isinstance(owner := cluster.owner_of(pod), BatchJob) and owner.judges_disruptions
    )
    return judged if len(judged) < len(pods) else frozenset()


def _owner_will(
    owner: Owner | None, gang_id: GangId, pods: tuple[Pod, ...], *, is_over: bool
) -> OwnerWill:
    if owner is None:
        return "creates"
    if is_over or owner.finished or owner.deleting:
        return "over"
    if not owner.known:
        return "unknown"
    is_gone = all(pod.ended for pod in pods)  # a group that is too many may be a rollout's
    if owner.suspended or (is_gone and membership.wants_none(owner, gang_id)):
        return "suspended"
    return "creates"
