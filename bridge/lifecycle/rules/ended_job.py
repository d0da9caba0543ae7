"""Slurm took a job's resources away, or the bridge gave them back: the pods end."""

from bridge.lifecycle import actions, messages
from bridge.lifecycle import instructions as do
from bridge.lifecycle.decision import Decision
from bridge.lifecycle.state import GangState


def leave_ended_job(gang: GangState, decision: Decision) -> bool:
    """The pods of a job that is over are ended, and the gang has no job any more."""
    run = gang.run
    if run is None or run.facts is None or not run.is_over:
        return False
    facts = run.facts
    reason, message = messages.what_ended(facts)
    by_somebody = facts.state == "CANCELLED" and run.ending.cancel_at_s is None
    pods = gang.demand.pods.live() if by_somebody else gang.demand.pods.under(facts.job_id)
    actions.end_gang(gang, pods, reason, message, decision)
    if facts.suspended:
        why = "suspended: its resources may be given away"
        decision.add(do.CancelJob(facts.job_id, why))
    if not by_somebody and gang.demand.pods.placeless():
        gang.back_off(decision)
    gang.drop()
    return False


def end_spared_pods(gang: GangState, decision: Decision) -> bool:
    """Pods that were to end after the others end, as these have."""
    spared, pods = gang.demand.spared, gang.demand.pods
    due_s = spared.check(pods.rows, decision.now_s)
    if due_s is None:
        return False
    if decision.now_s < due_s:
        decision.wake_at(due_s)
        return False
    ending = [pod for pod in pods.live() if pod.uid in spared]
    spared.release()
    actions.end_pods(gang, ending, spared.reason, spared.message, decision)
    return False


def end_leftover_pods(gang: GangState, decision: Decision) -> bool:
    """Pods that still run under a job that is over are told again until they are gone."""
    pods = gang.demand.pods
    leftover = pods.outgoing(gang.job_id)
    unaware = [
        pod
        for pod in leftover
        if not pod.deleting
        and pod.uid not in gang.demand.spared
        and not pods.just_told(pod, decision.now_s)
    ]
    if unaware:
        message = f"Slurm job {unaware[0].job_id} is over."
        actions.end_pods(gang, unaware, "SlurmJobEnded", message, decision)
    if leftover:
        decision.wake_at(decision.now_s + gang.tuning.retries.end_again_s)
    return False
