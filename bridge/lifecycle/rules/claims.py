"""Claims that are not ready keep a gang out of the queue."""

from bridge.lifecycle import actions, messages
from bridge.lifecycle import instructions as do
from bridge.lifecycle.decision import Decision
from bridge.lifecycle.state import GangState


def wait_for_claims(gang: GangState, decision: Decision) -> bool:
    """Pods whose claims are not ready do not queue and, while none of them runs, hold no nodes."""
    claims, run = gang.demand.claims, gang.run
    if not claims.why:
        return False
    decision.wake_at(claims.due_s(decision.now_s))
    waiting, why = gang.waiting(), claims.to_tell(decision.now_s)
    if why and waiting:
        note = messages.pending_claims(why)
        decision.add(do.EmitEvent(waiting[0], "Warning", "WaitsForVolumes", note))
    if run is None or not claims.too_long(decision.now_s):
        return False
    if not run.placement.pinning and not gang.demand.pods.under(run.job_id):
        actions.give_up(gang, run, claims.why, decision)
    return False
