"""Nodes that a running gang no longer needs: its job gives them back, or the pods say so."""

from bridge.lifecycle import instructions as do
from bridge.lifecycle import messages
from bridge.lifecycle.decision import Decision
from bridge.lifecycle.job_run import JobRun
from bridge.lifecycle.state import GangState
from bridge.model.ids import NodeName


def return_idle_nodes(gang: GangState, decision: Decision) -> bool:
    """With a sink, Slurm takes back nodes that the job holds for no pod. Where it does not, the
    gang's author is told which nodes these are."""
    run = gang.run
    if gang.single or run is None or run.allocation is None or run.makes_room:
        return False
    known = run.nodes if run.was_found and not _more_nodes(gang) else None
    idle = run.placement.slots.idle_nodes(known or ())
    awaited = gang.sink and _give_back(gang, run, idle, decision)
    is_news = run.placement.idle.check(() if awaited else idle, decision.now_s)
    decision.wake_at(run.placement.idle.due_s)
    live = gang.demand.pods.under(run.job_id)
    if is_news and live:
        refused = run.placement.node_return.refused
        note = messages.idle_nodes(run.job_id, run.placement.idle.told, refused)
        decision.add(do.EmitEvent(live[0], "Warning", "NodesNotNeeded", note))
    return False


def _give_back(
    gang: GangState, run: JobRun, idle: tuple[NodeName, ...], decision: Decision
) -> bool:
    """Has the nodes given back that are the same for a while. Whether that can still succeed.

    A node with a pod of the gang that has not ended stays, whatever slot the pod has, and so does
    the whole job while some pod may be sent to any of its nodes.
    """
    placement = run.placement
    is_busy = placement.placing is not None or placement.pinning or not placement.slots.placed
    if is_busy or run.nodes is None or run.deadline.ending or run.ending.cancel_at_s is not None:
        return not placement.node_return.refused
    in_use = {pod.node for pod in gang.demand.pods.live()}
    free = [node for node in idle if node in run.nodes and node not in in_use]
    if len(free) == len(run.nodes):
        return False  # the job ends as a whole
    nodes = placement.node_return.check(free, decision.now_s)
    decision.wake_at(placement.node_return.due_s)
    if nodes and run.facts is not None:
        placement.slots.give_back(nodes)
        decision.add(do.ShrinkJob(run.job_id, run.facts.allocations, nodes))
    return not placement.node_return.refused and not placement.node_return.is_settled


def _more_nodes(gang: GangState) -> bool:
    """Whether its author wants more nodes than its pods need."""
    return gang.gang is not None and gang.gang.parameters.min_nodes is not None
