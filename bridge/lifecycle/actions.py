"""What several rules do: end pods, give a job back."""

from collections.abc import Iterable, Sequence

from bridge.lifecycle import instructions as do
from bridge.lifecycle.decision import Decision
from bridge.lifecycle.job_run import JobRun
from bridge.lifecycle.state import GangState
from bridge.model.ids import NodeName
from bridge.model.pod import Pod


def end_pods(
    gang: GangState,
    pods: Iterable[Pod],
    reason: str,
    message: str,
    decision: Decision,
    *,
    most_s: int | None = None,
) -> None:
    """Tells the pods that they are ended, and deletes those that are not being deleted yet; each
    has its own grace for that, but at most `most_s` seconds."""
    ending = tuple(pod for pod in pods if not pod.deleting)
    for pod in ending:
        gang.demand.pods.tell(pod.uid, decision.now_s)
    if ending:
        decision.add(do.EndPods(ending, reason, message, most_s))


def end_gang(
    gang: GangState, pods: Iterable[Pod], reason: str, message: str, decision: Decision
) -> None:
    """Ends the pods of a gang that ends as a whole: first those whose Job says what that means."""
    spared = gang.demand.spared
    first, rest = _in_turn(
        gang, [pod for pod in pods if not pod.deleting and pod.uid not in spared]
    )
    if first and rest:
        spared.spare(rest, first=first, reason=reason, message=message, now_s=decision.now_s)
        decision.wake_at(decision.now_s + spared.longest_s(first))
        for pod in rest:
            gang.demand.pods.tell(pod.uid, decision.now_s)
        rest = []
    end_pods(gang, first + rest, reason, message, decision)


def longest_end_s(gang: GangState, pods: Sequence[Pod]) -> float:
    """How long these pods may take to end, if the gang ends as a whole."""
    first, rest = _in_turn(gang, pods)
    if not (first and rest):
        return max((pod.grace_s for pod in pods), default=0)
    return gang.demand.spared.longest_s(first) + max(pod.grace_s for pod in rest)


def _in_turn(gang: GangState, pods: Iterable[Pod]) -> tuple[list[Pod], list[Pod]]:
    """Those whose Job judges disruptions, and the others."""
    turns: tuple[list[Pod], list[Pod]] = ([], [])
    for pod in pods:
        turns[pod.uid not in gang.demand.judged].append(pod)
    return turns


def give_back(
    gang: GangState, run: JobRun, pods: Sequence[Pod], reason: str, why: str, decision: Decision
) -> None:
    """Ends a job whose nodes are of no use, and tells the first of the pods."""
    for pod in pods[:1]:
        note = f"Slurm job {run.job_id} was given back: {why}"
        decision.add(do.EmitEvent(pod, "Warning", reason, note))
    give_up(gang, run, why, decision)


def give_up(gang: GangState, run: JobRun, why: str, decision: Decision) -> None:
    """Ends the gang's job: from now on the gang has none."""
    decision.add(do.CancelJob(run.job_id, why))
    gang.drop()


def restart_without(
    gang: GangState, run: JobRun, nodes: Iterable[NodeName], why: str, decision: Decision
) -> None:
    """The gang ends as a whole and queues anew, without nodes that are lost."""
    decision.extend(do.AvoidNode(node, why) for node in nodes)
    pods = gang.demand.pods.under(run.job_id)
    end_gang(gang, pods, "NodeLost", why, decision)
    give_back(gang, run, gang.demand.pods.placeless() or pods, "NodeLost", why, decision)
    gang.back_off(decision)


def queue_alone(
    gang: GangState,
    pod: Pod,
    decision: Decision,
    note: str,
    *,
    event_type: do.EventType = "Warning",
) -> None:
    """The pod is not the gang's any more, and no rule looks at it again: its slot waits for another
    pod. An event says why; "" where there is nothing to tell."""
    if note:
        decision.add(do.EmitEvent(pod, event_type, "QueuedAlone", note))
    decision.add(do.QueueAlone(pod))
    del gang.demand.pods.rows[pod.uid]
    gang.demand.singletons += 1
    gang.assign_slots()


def rebuild(gang: GangState, run: JobRun, decision: Decision) -> None:
    """Has a job that waits compared with what its gang asks for now."""
    if run.gang is None or run.facts is None or not run.facts.waits:
        return
    explain = run.facts.cannot_start
    decision.add(do.RebuildJob(run.gang, gang.submission.generation, explain=explain))
