"""If members do not come, the gang does not keep its nodes."""

from bridge.lifecycle import actions
from bridge.lifecycle.decision import Decision
from bridge.lifecycle.state import GangState


def give_up_on_missing_members(gang: GangState, decision: Decision) -> bool:
    """A gang whose members have not come in time gives its nodes back."""
    run = gang.run
    if gang.single or run is None or run.gang is None or run.allocation is None:
        return False
    pods, singletons = gang.demand.pods, gang.demand.singletons
    # A pod that ended has come; whether it is replaced is its owner's affair.
    size = run.gang.size
    if run.facts is not None and run.facts.tasks and not run.gang.roles:
        size = min(size, run.facts.tasks)  # found after a start, it may be for fewer
    all_came = len(pods) + singletons >= size
    slots = run.placement.slots
    beyond = singletons + run.gang.size - size
    vacant = 0 if all_came else slots.vacant_outside(run.gang.staged) - beyond
    why = run.placement.missing.check(run.gang, max(0, vacant), decision.now_s)
    decision.wake_at(run.placement.missing.due_s)
    if not why:
        return False
    actions.end_gang(gang, pods.under(run.job_id), "MembersMissing", why, decision)
    actions.give_back(gang, run, pods.live(), "MembersMissing", why, decision)
    gang.back_off(decision, gang.tuning.patience.members_s)
    return False
