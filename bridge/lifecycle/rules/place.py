"""Pods get their places on the nodes that the job holds."""

from collections.abc import Collection

from bridge.lifecycle import actions, messages
from bridge.lifecycle import instructions as do
from bridge.lifecycle.decision import Decision
from bridge.lifecycle.job_run import JobRun
from bridge.lifecycle.state import GangState
from bridge.model.gang import Gang, Rank
from bridge.model.ids import NodeName, PodUid
from bridge.model.pod import Pod


def place_and_pin(gang: GangState, decision: Decision) -> bool:
    """Slots without nodes are placed; pods whose slots have nodes are pinned there."""
    run = gang.run
    if run is None or run.gang is None or run.allocation is None:
        return False
    if run.deadline.ending or run.makes_room:
        return False
    newcomers = [pod for pod in gang.waiting() if pod.uid not in run.placement.pinning]
    if not newcomers or gang.demand.claims.why:
        return False
    retry_at_s = max(gang.submission.retry_at_s, run.placement.stuck.retry_at_s)
    if decision.now_s < retry_at_s:
        decision.wake_at(retry_at_s)
        return False
    if run.placement.slots.placed:
        _pin(gang, run, newcomers, decision)
    else:
        _place(gang, run, run.gang, decision)
    return False


def _place(
    gang: GangState,
    run: JobRun,
    job_for: Gang,
    decision: Decision,
    moving: Collection[PodUid] = (),
) -> None:
    """Has nodes looked for: for all slots whose pods have none yet, or only for the slots of pods
    that are `moving`, because nobody is sent to the nodes of these slots now."""
    placement = run.placement
    if decision.now_s < placement.look_again_s:
        decision.wake_at(placement.look_again_s)
        return
    if placement.placing is not None or run.allocation is None:
        return
    taken = placement.slots.taken(gang.demand.pods.rows, run.job_id)
    if moving:
        taken = placement.slots.kept(moving)
    newest = gang.demand.gang
    if not taken and newest is not None and newest.sizes == job_for.sizes:
        job_for = newest  # what the pods ask for by now, if the job is for as many
    placement.placing = job_for
    if taken:
        taken |= dict.fromkeys(placement.slots.unneeded(), NodeName(""))
    without = frozenset(placement.stuck.left_out(decision.now_s))
    decision.add(do.PlaceGang(job_for, run.allocation, taken, without))


def _pin(gang: GangState, run: JobRun, newcomers: list[Pod], decision: Decision) -> None:
    slots = run.placement.slots
    for pod in _superfluous(gang, run, newcomers):
        note = messages.queues_alone(run.job_id) if gang.demand.lost else ""
        actions.queue_alone(gang, pod, decision, note, event_type="Normal")
    left_out = run.placement.stuck.left_out(decision.now_s)
    moving = []
    for pod in newcomers:
        node = slots.node_of(pod.uid)
        if node is None or pod.foreign_gates:
            continue
        if node in left_out:
            moving.append(pod.uid)
            continue
        run.placement.pinning.add(pod.uid)
        gang_id = None if gang.single else gang.id
        shape, late = slots.shape_of(pod.uid), slots.is_late(pod.uid)
        decision.add(do.PinPod(pod, node, run.job_id, gang_id, shape, late))
    if moving and run.gang is not None:
        _place(gang, run, run.gang, decision, moving)


def _superfluous(gang: GangState, run: JobRun, newcomers: list[Pod]) -> list[Pod]:
    """Those for which their role has no slot, nor will have one when pods that are ending are
    gone."""
    slots, demand = run.placement.slots, gang.demand
    without_slot = [pod for pod in newcomers if slots.of(pod.uid) is None]
    if gang.single or not without_slot:
        return []
    room = slots.usable
    keeping = [pod.uid for pod in demand.pods.live() if not pod.deleting]
    for uid in (*keeping, *demand.lost):
        role = slots.role_of(uid)
        if role is not None:
            room[role] -= 1
    superfluous = []
    for pod in without_slot:
        role = min(demand.ranks.get(pod.uid, Rank()).role, len(room) - 1)
        room[role] -= 1
        if room[role] < 0:
            superfluous.append(pod)
    return superfluous
