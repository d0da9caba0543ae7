"""A member's node is gone or does not answer, and its owner has made a replacement."""

from bridge.lifecycle import actions, messages
from bridge.lifecycle.decision import Decision
from bridge.lifecycle.state import GangState


def restart_after_lost_node(gang: GangState, decision: Decision) -> bool:
    """A gang with on-node-loss "restart" ends and queues again, without the lost node.

    Without that wish the replacement queues on its own (`place`), the others go on.
    """
    run, demand = gang.run, gang.demand
    if gang.single or run is None or run.gang is None or not run.gang.restarts_whole:
        return False
    lost = [pod for pod in demand.pods.under(run.job_id) if pod.uid in demand.lost]
    if not lost:
        return False
    why = messages.lost_node(lost[0].node_name)
    actions.restart_without(gang, run, [pod.node_name for pod in lost], why, decision)
    return False
