"""Which of the candidates pass: the one node that the pod's live allocation gives it.

No pass at all is answered as an error, not as a refusal of every node, whatever the cause: a
refused pod is marked Unschedulable, for which autoscalers buy nodes, while this one only waits in
a queue or has its node already (docs/decisions/010-extender-errors.md).
"""

from bridge.extender import wire
from bridge.model.pod_placement import PodPlacement

LISTED = 16
"""Refused nodes that are named in an answer. A node in neither list is held by kube-scheduler to
be unresolvable too (`NewDefaultNodeToStatus`), so naming 15,000 would say nothing more."""


def answer(call: wire.FilterCall, placement: PodPlacement | None) -> bytes:
    """ExtenderFilterResult for one call."""
    if placement is None or placement.node is None:
        return wire.error(waiting(placement))
    granted = placement.node
    if granted not in call.candidates:
        return wire.error(
            f"{job(placement)} holds node {granted} for this pod, but kube-scheduler finds this "
            f"node unfit or does not offer it (candidates: {len(call.candidates)}); if that "
            "lasts, the bridge gives the node back"
        )
    why = f"Slurm granted node {granted} to this pod ({job(placement)}), not this one"
    # One more than is listed: the granted node may be among the first.
    others = [name for name in call.candidates.first(LISTED + 1) if name != granted]
    return wire.filter_result(
        passed=granted,
        objects=_of_name(call, granted),
        refused=others[:LISTED],
        why=why,
    )


def waiting(placement: PodPlacement | None) -> str:
    """Why a pod without a node has none, for its event and its condition."""
    if placement is None:
        return (
            "waiting for Slurm: no job of this pod is known here yet (it is just being "
            "submitted, or the bridge's controller is not reachable); it is retried automatically"
        )
    return f"waiting in Slurm: {placement.waits_for or f'{job(placement)} has no nodes yet'}"


def job(placement: PodPlacement) -> str:
    """The job as people name it."""
    return f"Slurm job {placement.job_id}" if placement.job_id is not None else "its Slurm job"


def _of_name(call: wire.FilterCall, name: str) -> list[dict[str, object]] | None:
    if call.objects is None:
        return None
    return [node for node in call.objects if node["metadata"]["name"] == name]
