"""Pods end in time for their job's limit."""

from bridge.lifecycle import actions, messages
from bridge.lifecycle import instructions as do
from bridge.lifecycle.decision import Decision
from bridge.lifecycle.state import GangState


def end_before_time_limit(gang: GangState, decision: Decision) -> bool:
    """Before the limit the pods are warned, then ended with their grace."""
    run = gang.run
    if run is None or run.facts is None or run.allocation is None or not run.deadline.is_set:
        return False
    pods = gang.demand.pods.under(run.job_id)
    due = run.deadline.check(actions.longest_end_s(gang, pods), decision.now_s)
    decision.wake_at(run.deadline.due_s)
    if due == "warn" and pods:
        note = messages.ends_soon(run.facts)
        decision.add(do.EmitEvent(pods[0], "Warning", "EndsSoon", note))
    if due == "end":
        ending = [pod for pod in pods if not gang.demand.pods.just_told(pod, decision.now_s)]
        reason, message = messages.time_limit(run.facts)
        actions.end_gang(gang, ending, reason, message, decision)
    return False
