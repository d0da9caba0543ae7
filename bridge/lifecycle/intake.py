"""Takes events in: changes the facts, and adds instructions that can only follow at that moment."""

from bridge.lifecycle import actions, messages
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.lifecycle.decision import Decision
from bridge.lifecycle.job_run import JobRun
from bridge.lifecycle.state import GangState
from bridge.model.gang import Shortfall
from bridge.model.job import JobFacts, JobSpec


def take(gang: GangState, event: ev.Event, decision: Decision) -> None:
    """Takes one event in. News of a job that is no longer the gang's is ignored."""
    match event:
        case ev.MembersSeen():
            _members(gang, event, decision)
        case ev.Submitted() | ev.SubmitFailed() | ev.Adopted():
            _submission(gang, event, decision)
        case ev.NodesChanged():
            if gang.run is None:
                gang.submission.retry_soon(decision.now_s)
            else:
                actions.rebuild(gang, gang.run, decision)
        case ev.SinkChanged(answers):
            gang.sink = answers
        case ev.NewNodes():
            _new_nodes(gang, event, decision)
        case ev.NotTold(pod) if pod in gang.demand.pods:
            gang.throttle.failed(gang.demand.pods.rows[pod])
        case ev.PinEnded(pod, row) if row is not None and pod in gang.demand.pods:
            gang.demand.pods.rows[pod] = row
    if gang.run is not None:
        _of_run(gang, gang.run, event, decision)


def _new_nodes(gang: GangState, event: ev.NewNodes, decision: Decision) -> None:
    gang.new_nodes = event.note
    if event.here:
        gang.submission.succeeded()  # what was in the way is gone
    for pod in gang.waiting()[:1] if event.event else ():
        kind: do.EventType = "Normal" if event.event == "NewNodesAsked" else "Warning"
        decision.add(do.EmitEvent(pod, kind, event.event, event.note + "."))


def _of_run(gang: GangState, run: JobRun, event: ev.Event, decision: Decision) -> None:
    match event:
        case ev.JobObserved(facts) if facts.job_id == run.job_id:
            _observed(gang, run, event, decision)
        case ev.JobVanished(job_id) if job_id == run.job_id:
            run.facts = JobFacts(job_id, "UNKNOWN", None, reason="Slurm knows it no more")
        case ev.JobRebuilt(spec, shortage):
            run.shortage = shortage
            _rebuilt(gang, run, spec, decision)
        case ev.UpdateFailed(job_id) if job_id == run.job_id:
            run.spec = None
            run.review_at_s = decision.now_s + gang.tuning.retries.refused_s
        case ev.JobShrunk(job_id) if job_id == run.job_id:
            _shrunk(gang, run, decision)
        case ev.ShrinkFailed(job_id, why) if job_id == run.job_id:
            kept = run.placement.node_return.failed(why, decision.now_s)
            run.placement.slots.take_back(kept)
        case ev.Placed(job_id, assignment) if job_id == run.job_id:
            placement = run.placement
            placed, placement.placing = placement.placing, None
            placement.shortfall = placement.short_since_s = None
            if placed is not None and len(assignment.nodes) == len(placement.slots):
                placement.slots.place(assignment, placed.shapes)
        case ev.NotPlaced(job_id, shortfall) if job_id == run.job_id:
            _not_placed(gang, run, shortfall, decision)
        case ev.PinEnded(pod, row, error):
            run.placement.pinning.discard(pod)
            if error and not (row is not None and pod in gang.demand.pods):
                run.placement.slots.unplace(pod)
                gang.back_off(decision)
        case ev.Misfit():
            _misfit(gang, run, event, decision)
        case ev.RoomChanged():
            run.placement.look_again_s = decision.now_s


def _members(gang: GangState, event: ev.MembersSeen, decision: Decision) -> None:
    demand = gang.demand
    demand.pods.see(event.pods)
    demand.owner, demand.ranks, demand.singletons = event.owner, event.ranks, event.singletons
    demand.lost, demand.judged = event.lost, event.judged
    if event.problem and event.problem != demand.problem:
        for pod in event.pods[:1]:
            decision.add(do.EmitEvent(pod, "Warning", "InvalidRequest", event.problem))
    demand.problem = event.problem
    demand.claims.see(event.waits_for, decision.now_s)
    gang.throttle.keep(demand.pods.rows)
    if event.gang is not None:
        demand.gang = event.gang
    if gang.run is None:
        return
    if _follow_demand(gang, gang.run):
        actions.rebuild(gang, gang.run, decision)
    placement = gang.run.placement
    placement.stuck.see(event.pods)
    placement.pinning &= demand.pods.rows.keys()
    gang.assign_slots()
    if demand.gang is not None and not gang.run.waits and placement.slots.release(demand.gang):
        gang.assign_slots()
    if any(pod.phase == "Running" for pod in demand.pods.under(gang.run.job_id)):
        gang.submission.succeeded()


def _follow_demand(gang: GangState, run: JobRun) -> bool:
    """A job that waits is for what the pods ask for now, and so is one that was found after a start
    and may hold that; any other one that runs stays as it is. Whether the job is for something else
    than before."""
    newest = gang.demand.gang
    if newest is None or newest is run.gang or newest == run.gang:
        return False
    was_known = run.gang is not None
    if was_known and (not (run.waits or run.may_hold(newest)) or gang.demand.claims.why):
        return False  # a claim that is away says nothing of where its pods may run
    run.take(newest)
    return was_known


def _submission(
    gang: GangState, event: ev.Submitted | ev.SubmitFailed | ev.Adopted, decision: Decision
) -> None:
    submission, now_s = gang.submission, decision.now_s
    submitted, submission.under_way = submission.under_way, None
    match event:
        case ev.Submitted(job_id, spec):
            submission.trouble, submission.lacks_nodes = "", False
            run = JobRun(job_id, submitted, spec, submitted_s=now_s, tuning=gang.tuning)
            gang.begin(run)
        case ev.Adopted(job_id, generation):
            submission.generation = generation
            run = JobRun(job_id, gang.demand.gang, None, submitted_s=now_s, tuning=gang.tuning)
            gang.begin(run)
            run.placement.stuck.see(gang.demand.pods)
        case ev.SubmitFailed(message, lasting, lacks_nodes):
            submission.refused(message, now_s)
            if lasting:
                submission.lacks_nodes = lacks_nodes
            gang.back_off(decision, gang.tuning.retries.refused_s if lasting else 0.0)


def _observed(gang: GangState, run: JobRun, event: ev.JobObserved, decision: Decision) -> None:
    before, facts = run.facts, event.facts
    known_reason = "" if before is None else before.reason
    run.facts, run.nodes = facts, event.nodes
    if facts.identity is not None:
        generation = max(gang.submission.generation, facts.identity.generation)
        gang.submission.generation = generation
    if facts.makes_room_until_s is not None and event.left_s is not None:
        run.ending.makes_room_until_s = decision.now_s + event.left_s
        run.deadline.seen(None, decision.now_s)
    elif facts.allocation is not None:
        run.ending.makes_room_until_s = None
        run.deadline.seen(event.left_s, decision.now_s)
    if _follow_demand(gang, run) or (run.was_found and before is None):
        gang.assign_slots()
        actions.rebuild(gang, run, decision)
    elif facts.cannot_start and not facts.stranded and facts.reason != known_reason:
        actions.rebuild(gang, run, decision)  # a stranded job is rebuilt by a rule


def _shrunk(gang: GangState, run: JobRun, decision: Decision) -> None:
    nodes = run.placement.node_return.done()
    live = gang.demand.pods.under(run.job_id)
    if nodes and live:
        note = messages.returned_nodes(run.job_id, nodes)
        decision.add(do.EmitEvent(live[0], "Normal", "NodesGivenBack", note))


def _rebuilt(gang: GangState, run: JobRun, spec: JobSpec, decision: Decision) -> None:
    if run.facts is None or not run.facts.waits:
        return
    if not run.facts.stranded:
        if spec == run.spec:
            return
        if run.spec is None and run.facts.matches(spec):
            run.spec = spec  # after a restart: Slurm has it already
            return
    changes = gang.submission.changes
    if decision.now_s < changes.due_s:
        run.review_at_s = changes.due_s
        decision.wake_at(changes.due_s)
        return
    changes.failed(decision.now_s)  # no failure, but spaced like one
    known = run.facts if run.spec is None else run.spec
    if not known.can_become(spec):
        actions.give_up(gang, run, "its pods ask for something else now", decision)
        return
    decision.add(do.UpdateJob(run.job_id, run.spec, spec))
    run.spec = spec


def _not_placed(gang: GangState, run: JobRun, shortfall: Shortfall, decision: Decision) -> None:
    placement = run.placement
    asked, placement.placing, placement.shortfall = placement.placing, None, shortfall
    if placement.short_since_s is None:
        placement.short_since_s = decision.now_s
    if shortfall.for_now and decision.now_s < placement.short_since_s + gang.tuning.patience.room_s:
        placement.look_again_s = decision.now_s + gang.tuning.retries.room_s
        return
    is_whole = gang.single or (run.gang is not None and run.gang.restarts_whole)
    if not is_whole and any(pod.node_name for pod in gang.demand.pods.under(run.job_id)):
        _queue_alone(gang, run, shortfall, decision)
        return
    if asked is None or run.gang is None or asked.shapes == run.gang.shapes:
        # Else the nodes are as good as Slurm was told; the pods ask for something else by now.
        decision.extend(
            do.AvoidNode(node, shortfall.reason, until_usable=True) for node in shortfall.nodes
        )
    actions.give_back(gang, run, gang.waiting(), "GrantUnusable", shortfall.reason, decision)
    gang.back_off(decision)


def _queue_alone(gang: GangState, run: JobRun, shortfall: Shortfall, decision: Decision) -> None:
    """Some members run; those that find no place any more are not worth ending the others."""
    placement = run.placement
    placement.shortfall = placement.short_since_s = None
    has_places, left_out = placement.slots.placed, placement.stuck.left_out(decision.now_s)
    for pod in gang.waiting():
        node = placement.slots.node_of(pod.uid)
        useless = left_out.get(node) if node is not None else None
        if pod.uid in placement.pinning or (has_places and useless is None):
            continue
        why = shortfall.reason
        if useless is not None:
            why = messages.no_other_node(useless, why)
        actions.queue_alone(gang, pod, decision, messages.queues_apart(run.job_id, why))


def _misfit(gang: GangState, run: JobRun, event: ev.Misfit, decision: Decision) -> None:
    """A pod came when its slot had its node already, and can't run there."""
    pod, placement = gang.demand.pods.rows.get(event.pod), run.placement
    if pod is None or event.pod not in placement.pinning:
        return
    placement.pinning.discard(event.pod)
    others = placement.pinning or placement.slots.taken(gang.demand.pods.rows, run.job_id)
    if gang.single or not others:
        _avoid_lost(event, decision)
        actions.give_back(gang, run, [pod], "GrantUnusable", event.why, decision)
        gang.back_off(decision)
        return
    note = messages.queues_apart(run.job_id, event.why)
    if event.lost_node is not None:
        if run.gang is not None and run.gang.restarts_whole:
            actions.restart_without(gang, run, [event.lost_node], event.why, decision)
            return
        _avoid_lost(event, decision)
        note = messages.queues_alone(run.job_id)
    actions.queue_alone(gang, pod, decision, note)


def _avoid_lost(event: ev.Misfit, decision: Decision) -> None:
    if event.lost_node is not None:
        decision.add(do.AvoidNode(event.lost_node, event.why, until_usable=True))
