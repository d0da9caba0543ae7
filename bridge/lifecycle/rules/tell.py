"""Every waiting pod says why it waits."""

from bridge.lifecycle import instructions as do
from bridge.lifecycle import messages, status
from bridge.lifecycle.decision import Decision
from bridge.lifecycle.state import GangState
from bridge.lifecycle.status import GangStatus
from bridge.model.pod import Condition, Pod


def tell(gang: GangState, decision: Decision) -> bool:
    """Conditions that differ from those on the pods are written, but not too often."""
    now = gang_status(gang)
    for pod in gang.demand.pods.live():
        condition, since_s = _condition(gang, pod, now)
        due_s = None if condition is None else gang.throttle.due_s(pod, condition)
        if condition is None or due_s is None or pod.deleting:
            continue
        due_s = max(due_s, since_s + gang.tuning.notices.first_condition_s)
        if decision.now_s < due_s:
            decision.wake_at(due_s)
            continue
        gang.throttle.write(pod, condition, decision.now_s)
        decision.add(do.SetCondition(pod, condition))
    return False


def gang_status(gang: GangState) -> GangStatus:
    """The gang's present status."""
    run, submission, claims = gang.run, gang.submission, gang.demand.claims
    placement = None if run is None else run.placement
    looks = placement is not None and placement.placing is not None
    return GangStatus(
        gang=gang.gang,
        job_id=gang.job_id,
        facts=None if run is None else run.facts,
        problem=gang.demand.problem,
        trouble=submission.trouble,
        trouble_s=submission.trouble_since_s,
        submitted_s=0.0 if run is None else run.submitted_s,
        shortfall=None if placement is None or looks else placement.shortfall,
        lacking=gang.demand.lacking() if run is None else 0,
        full=placement is not None and placement.slots.placed,
        claims=claims,
        lack=messages.Lack("" if run is None else run.shortage, gang.new_nodes),
    )


def _condition(gang: GangState, pod: Pod, now: GangStatus) -> tuple[Condition | None, float]:
    """What the pod should read, and since when that is so, if it may be over in a moment."""
    run = gang.run
    if run is None or pod.job_id is None or pod.job_id != run.job_id:
        has_slot = run is not None and run.placement.slots.of(pod.uid) is not None
        return now.condition(pod, has_slot=has_slot), now.moment(pod)
    node = run.placement.slots.node_of(pod.uid)
    if node is None or run.facts is None:
        return None, status.LONG_AGO
    idle, refused = run.placement.idle.told, run.placement.node_return.refused
    return messages.allocated(run.facts, node, idle, refused), status.LONG_AGO
