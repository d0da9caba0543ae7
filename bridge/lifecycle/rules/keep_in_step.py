"""A job that waits asks for what its gang asks for."""

from bridge.lifecycle import actions
from bridge.lifecycle.decision import Decision
from bridge.lifecycle.state import GangState


def keep_in_step(gang: GangState, decision: Decision) -> bool:
    """A waiting job is compared again if its last change failed or Slurm has set it aside.

    Slurm looks at a job that it has set aside only after a change, whatever has come back: seen on
    slurmctld 26.05 as priority 0 and BadConstraints, from the pass that finds no node until any
    accepted update, though the node was made anew a moment later.
    """
    run = gang.run
    if run is None or run.facts is None or not run.facts.waits:
        return False
    if run.facts.stranded and run.review_at_s is None:
        run.review_at_s = decision.now_s
    if run.review_at_s is None:
        return False
    if decision.now_s >= run.review_at_s:
        run.review_at_s = None
        if run.facts.stranded:
            run.review_at_s = decision.now_s + gang.tuning.retries.stranded_s
        actions.rebuild(gang, run, decision)
    decision.wake_at(run.review_at_s)
    return False
