"""Nodes that a running gang no longer needs: its job keeps them, and the pods say so."""

from bridge.lifecycle import instructions as do
from bridge.lifecycle import messages
from bridge.lifecycle.decision import Decision
from bridge.lifecycle.state import GangState


def tell_of_idle_nodes(gang: GangState, decision: Decision) -> bool:
    """The gang's author is told which nodes the job holds for no pod."""
    run = gang.run
    if gang.single or run is None or run.allocation is None:
        return False
    known = run.nodes if run.was_found and not _more_nodes(gang) else None
    idle = run.placement.slots.idle_nodes(known or ())
    is_news = run.placement.idle.check(idle, decision.now_s)
    decision.wake_at(run.placement.idle.due_s)
    live = gang.demand.pods.under(run.job_id)
    if is_news and live:
        note = messages.idle_nodes(run.job_id, run.placement.idle.told)
        decision.add(do.EmitEvent(live[0], "Warning", "NodesNotNeeded", note))
    return False


def _more_nodes(gang: GangState) -> bool:
    """Whether its author wants more nodes than its pods need."""
    return gang.gang is not None and gang.gang.parameters.min_nodes is not None
