"""Slurm has told a running job to make room for another one: GraceTime runs."""

from bridge.lifecycle import actions, messages
from bridge.lifecycle.decision import Decision
from bridge.lifecycle.state import GangState

_LEAST_S = 1
"""A grace of 0 would remove a pod at once, while its containers run."""


def make_room(gang: GangState, decision: Decision) -> bool:
    """The pods end with their grace, within the time that Slurm leaves. When the last one is gone
    the job ends at once, so that the other job starts early, and the gang queues again."""
    run = gang.run
    if run is None or run.facts is None or run.ending.makes_room_until_s is None:
        return False
    pods = gang.demand.pods.under(run.job_id)
    reason, message = messages.makes_room(run.facts)
    if not pods and not run.placement.pinning:
        actions.give_up(gang, run, "its pods have made room for another job", decision)
        if gang.demand.pods.placeless():
            gang.back_off(decision)
        return False
    left_s = run.ending.makes_room_until_s - gang.tuning.notices.end_margin_s - decision.now_s
    ending = [pod for pod in pods if not gang.demand.pods.just_told(pod, decision.now_s)]
    if actions.longest_end_s(gang, pods) <= left_s:
        actions.end_gang(gang, ending, reason, message, decision)
    else:
        most_s = max(_LEAST_S, int(left_s))
        actions.end_pods(gang, ending, reason, message, decision, most_s=most_s)
    decision.wake_at(decision.now_s + gang.tuning.retries.end_again_s)
    return False
