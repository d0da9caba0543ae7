"""A gang that has no job and needs one is submitted."""

from bridge.lifecycle import instructions as do
from bridge.lifecycle import messages
from bridge.lifecycle.decision import Decision
from bridge.lifecycle.state import GangState


def submit(gang: GangState, decision: Decision) -> bool:
    """The job is submitted if every pod can run as soon as the job is granted."""
    demand, submission = gang.demand, gang.submission
    if gang.run is not None or submission.under_way is not None:
        return False
    waiting = demand.pods.placeless()
    if demand.gang is None or not waiting or not demand.more_pods_may_come:
        return False
    gated = next((pod for pod in waiting if pod.foreign_gates), None)
    if gated is not None:
        if gated.foreign_gates != demand.told_gates:
            demand.told_gates = gated.foreign_gates
            note = messages.gated(gated.foreign_gates)
            decision.add(do.EmitEvent(gated, "Normal", "WaitsForGates", note))
        return False
    if demand.claims.why or demand.lacking():
        return False
    if decision.now_s < submission.retry_at_s:
        decision.wake_at(submission.retry_at_s)
        return False
    submission.under_way = demand.gang
    decision.add(do.SubmitJob(demand.gang, submission.generation))
    return False
