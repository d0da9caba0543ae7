"""A gang that no longer needs its job ends it."""

from bridge.lifecycle import instructions as do
from bridge.lifecycle.decision import Decision
from bridge.lifecycle.state import GangState


def finish(gang: GangState, decision: Decision) -> bool:
    """When no pod uses the job and none will, the job ends; then the gang is forgotten.

    Pods that come while the job is being ended wait for the gang's next one.
    """
    run = gang.run
    is_ending = run is not None and run.ending.cancel_at_s is not None
    if not is_ending and not _is_over(gang, decision):
        return False
    if run is not None and run.allocation is not None and run.deadline.ending:
        return True  # Slurm ends it in a moment, and accounts it as TIMEOUT
    if gang.submission.under_way is not None:
        return True  # its answer is still to come, and then to be cancelled
    if run is None or (run.facts is not None and run.facts.ended):
        gang.drop()
        if gang.single or gang.demand.owner in ("over", "unknown"):
            decision.add(do.Forget())
        return True
    if run.ending.cancel_at_s is None or decision.now_s >= run.ending.cancel_at_s:
        decision.add(do.CancelJob(run.job_id, "its pods have ended"))
        run.ending.cancel_at_s = decision.now_s + gang.tuning.retries.end_again_s
    decision.wake_at(run.ending.cancel_at_s)
    return True


def _is_over(gang: GangState, decision: Decision) -> bool:
    demand, run = gang.demand, gang.run
    if demand.pods.hold:
        if run is not None:
            run.ending.empty_since_s = None
        return False
    if gang.single or not demand.more_pods_may_come:
        return True
    is_unknown = demand.owner == "unknown"
    if run is None:  # nothing is held; members may still be created
        return demand.slots().all_done or (is_unknown and not demand.pods)
    if run.placement.slots.all_done:
        return True
    if run.ending.empty_since_s is None:
        run.ending.empty_since_s = decision.now_s
    patience_s = (
        gang.tuning.patience.unknown_owner_s if is_unknown else gang.tuning.patience.replacement_s
    )
    end_s = run.ending.empty_since_s + patience_s
    if decision.now_s < end_s:
        decision.wake_at(end_s)
    return decision.now_s >= end_s
