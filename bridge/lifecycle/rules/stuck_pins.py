"""A pinned pod that can't get onto its node: it gives up its place, or the gang queues anew."""

from bridge.lifecycle import actions
from bridge.lifecycle import instructions as do
from bridge.lifecycle.decision import Decision
from bridge.lifecycle.job_run import JobRun
from bridge.lifecycle.state import GangState
from bridge.lifecycle.waits.stuck_pins import UselessPlace
from bridge.model.pod import Pod


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
    if not useless:
        return False
    why_of = {place.node: place.why for place in useless}
    decision.extend(do.AvoidNode(node, why) for node, why in why_of.items())
    if _others_run(gang, run, useless):
        run.placement.stuck.leave(useless, decision.now_s)
        for place in useless:
            others = _fail_bare(gang, [place.pod], place.why, decision)
            actions.end_pods(gang, others, "PlaceLost", place.why, decision)
    else:
        _begin_anew(gang, run, useless[0].why, decision)
    return False


def _others_run(gang: GangState, run: JobRun, useless: list[UselessPlace]) -> bool:
    """Whether members are on their nodes that can go on without these places. The next pod for such
    a slot finds another node of the job, or queues on its own (`place`)."""
    if run.gang is not None and run.gang.restarts_whole:
        return False
    stuck = {place.pod.uid for place in useless}
    return any(pod.uid not in stuck for pod in gang.demand.pods.on_nodes(run.job_id))


def _begin_anew(gang: GangState, run: JobRun, why: str, decision: Decision) -> None:
    """The gang can't go on without these places: it ends as a whole."""
    pods = gang.demand.pods.under(run.job_id)
    actions.end_gang(gang, _fail_bare(gang, pods, why, decision), "PlaceLost", why, decision)
    if not gang.single:
        actions.give_up(gang, run, why, decision)
        gang.back_off(decision)


def _fail_bare(gang: GangState, pods: list[Pod], why: str, decision: Decision) -> list[Pod]:
    """A pod that nobody would recreate fails, if it never began. The others are to be deleted:
    their owners make others."""
    ending = [pod for pod in pods if not (pod.ended or pod.deleting)]
    bare = [pod for pod in ending if pod.owner is None and not pod.node_name]
    for pod in bare:
        gang.demand.pods.tell(pod.uid, decision.now_s)
        decision.add(do.FailPod(pod, "PlaceLost", why))
    return [pod for pod in ending if pod not in bare]
