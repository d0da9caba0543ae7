"""If a pinned pod can't get onto its node, the gang queues again for other nodes."""

from bridge.lifecycle import actions
from bridge.lifecycle import instructions as do
from bridge.lifecycle.decision import Decision
from bridge.lifecycle.job_run import JobRun
from bridge.lifecycle.state import GangState
from bridge.model.ids import NodeName


def give_up_stuck_pins(gang: GangState, decision: Decision) -> bool:
    """Places that have proved useless are given up, and their nodes avoided."""
    run, pods = gang.run, gang.demand.pods
    if run is None or not run.placement.stuck.suspects:
        return False
    placed = [
        (pod, node)
        for uid in run.placement.stuck.suspects
        if (pod := pods.rows.get(uid)) is not None
        and pod.job_id == run.job_id
        and (node := pod.node)
        and not pods.just_told(pod, decision.now_s)
    ]
    useless = run.placement.stuck.check(placed, decision.now_s)
    decision.wake_at(run.placement.stuck.due_s)
    if useless:
        _leave(gang, run, useless, decision)
    return False


def _leave(gang: GangState, run: JobRun, useless: dict[NodeName, str], decision: Decision) -> None:
    """The gang can't go on without these places: it ends as a whole."""
    decision.extend(do.AvoidNode(node, why) for node, why in useless.items())
    why = next(iter(useless.values()))
    pods = [pod for pod in gang.demand.pods.under(run.job_id) if not pod.deleting]
    bare = [pod for pod in pods if pod.owner is None and not pod.node_name]
    for pod in bare:
        gang.demand.pods.tell(pod.uid, decision.now_s)
        decision.add(do.FailPod(pod, "PlaceLost", why))
    others = [pod for pod in pods if pod not in bare]
    actions.end_pods(gang, others, "PlaceLost", why, decision)
    if not gang.single:
        actions.give_up(gang, run, why, decision)
        gang.back_off(decision)
