"""The messages that the author of a waiting pod reads: the `Allocated` condition and events."""

import re
from dataclasses import dataclass
from typing import Final

from bridge import names
from bridge.lifecycle import reasons
from bridge.model import texts
from bridge.model.gang import Gang
from bridge.model.ids import NodeName, SlurmJobId
from bridge.model.job import JobFacts
from bridge.model.pod import Condition

_MOST_NODES = 5
"""The most nodes that one sentence names."""
_NOT_HERE = "It never starts on the present nodes: ask for less, or ask a Slurm admin for more"
_JOB_ID = re.compile(r"^Slurm job ([1-9][0-9]{0,9}) ")


@dataclass(frozen=True, slots=True)
class Lack:
    """`shortage` says why no nodes can ever take a gang's job, "" if that is not certain;
    `new_nodes` how the request for new nodes stands, "" if there is none. Both have no full stop.
    """

    shortage: str = ""
    new_nodes: str = ""


NO_LACK: Final = Lack()


def waits(reason: str, message: str) -> Condition:
    """The condition of a pod without a place, and why it has none."""
    return Condition(names.ALLOCATED_CONDITION, "False", _camel(reason), message)


def not_submitted(trouble: str, lack: Lack = NO_LACK) -> Condition:
    """Slurm has no job of the gang."""
    message = f"{trouble.rstrip('.')}. {lack.new_nodes}." if lack.new_nodes else trouble
    return waits("NotSubmitted", message)


def queued(facts: JobFacts, lack: Lack = NO_LACK) -> Condition:
    """The job is in Slurm's queue: Slurm's own reason, explained, and the expected start.

    A shortage is told where Slurm says that the job can't start.
    """
    reason = facts.reason if facts.reason not in ("", "None") else "Queued"
    message = f"Slurm job {facts.job_id} waits in partition {facts.partition}: {reason}"
    if facts.description:
        message += f" ({facts.description})"
    if lack.shortage and facts.cannot_start:
        message += f": {lack.shortage}. {lack.new_nodes or _NOT_HERE}"
    elif lack.new_nodes:
        message += f". {lack.new_nodes}"
    elif explained := reasons.explained(facts.reason, facts.description):
        message += f": {explained}"
    if facts.expected_start_s:
        message += f"; expected to start at {texts.time(facts.expected_start_s)}"
    return waits(reason, message + ".")


def gated(gates: tuple[str, ...]) -> str:
    """A scheduling gate of somebody else holds the pod back."""
    return f"Not yet in Slurm's queue: it waits for scheduling gate {', '.join(gates)}."


def pending_claims(why: str) -> str:
    """A claim that is not ready holds the pods back."""
    return f"Not in Slurm's queue: {why}."


def starting(problem: str) -> Condition:
    """The bridge has started and does not know yet which job in Slurm belongs to which gang."""
    why = f"can't read Slurm's jobs ({problem})" if problem else "is looking for its jobs in Slurm"
    return waits(
        "Starting",
        f"slurm-bridge started a moment ago, and {why}: no pod is queued in Slurm before "
        "slurm-bridge knows its jobs there. The pod is queued automatically after that.",
    )


def incomplete(gang: Gang, vacant: int) -> Condition:
    """Some pods of a gang are not there yet, and the demand can be read from its pods only."""
    return waits(
        "MembersMissing",
        f"Not yet in Slurm's queue: {gang.size - vacant} of the {gang.size} pods that "
        f"{gang.owner} starts with are there.",
    )


STILL_ENDING: Final = "the pod that this pod replaces is still ending"


def waits_for_room(job_id: SlurmJobId, reason: str) -> Condition:
    """Slurm granted nodes that Kubernetes can't use yet."""
    return waits("WaitingForRoom", f"Slurm job {job_id} holds its nodes, but {reason}.")


def allocated(
    facts: JobFacts, node: NodeName, idle: tuple[NodeName, ...] = (), refused: str = ""
) -> Condition:
    """The pod has its place, and until when; `idle` are nodes that its gang no longer needs, and
    `refused` says why Slurm does not take them back."""
    until = "" if facts.end_s is None else f" until {texts.time(facts.end_s)}, its time limit"
    held = f" {idle_nodes(facts.job_id, idle, refused).rstrip('.')}." if idle else ""
    return Condition(
        names.ALLOCATED_CONDITION,
        "True",
        "Allocated",
        f"Slurm job {facts.job_id} gives it node {node}{until}.{held}",
    )


def idle_nodes(job_id: SlurmJobId, nodes: tuple[NodeName, ...], refused: str = "") -> str:
    """A running job holds these nodes for no pod."""
    why = refused or "Slurm takes single nodes of such a job back only when the job ends"
    return (
        f"Slurm job {job_id} still holds {texts.some_of(nodes, _MOST_NODES)}, which no pod of "
        f"the gang needs any more: {why}"
    )


def returned_nodes(job_id: SlurmJobId, nodes: tuple[NodeName, ...]) -> str:
    """A running job gave nodes back to Slurm."""
    return (
        f"Slurm job {job_id} gave back {texts.some_of(nodes, _MOST_NODES)}, which no pod of the "
        "gang needs any more"
    )


def ends_soon(facts: JobFacts) -> str:
    """The job's time limit is near."""
    assert facts.end_s is not None
    return (
        f"Slurm job {facts.job_id} reaches its time limit at {texts.time(facts.end_s)}; the pod is "
        "ended early enough for its grace period. To get a longer limit, set annotation "
        f"{names.JOB_PREFIX}timelimit for the next job, or use scontrol update for this one"
    )


def off_allocation(job_id: SlurmJobId, node: NodeName) -> tuple[str, str]:
    """(reason, sentence) for a pod whose job does not hold the pod's node any more."""
    return "NodeTakenBySlurm", f"Slurm job {job_id} does not hold node {node} any more."


def lost_node(node: NodeName) -> str:
    """Why a place can't be used any more, or why a whole gang is restarted."""
    return f"node {node} is gone or does not answer"


def queues_apart(job_id: SlurmJobId, why: str) -> str:
    """A pod can't run where its gang's job has a place for it."""
    return f"It queues on its own, not as a part of Slurm job {job_id}: {why}"


def no_other_node(useless: str, why: str) -> str:
    """The node of a pod's slot is of no use (a sentence says so), nor is any other of the job."""
    return f"{useless.rstrip('.')}; no other node of the job has room for it ({why})"


def queues_alone(job_id: SlurmJobId) -> str:
    """A pod replaces a member whose node is lost."""
    return (
        f"It replaces a pod whose node is gone or does not answer, so Slurm job {job_id} has no "
        "place for it: it queues on its own. To restart the whole gang instead, set annotation "
        f'{names.ON_NODE_LOSS_ANNOTATION}: "restart" on its owner'
    )


def what_ended(facts: JobFacts) -> tuple[str, str]:
    """(reason, sentence) for the DisruptionTarget condition of the pods."""
    words = {
        "CANCELLED": ("CancelledInSlurm", "was cancelled in Slurm"),
        "TIMEOUT": ("TimeLimit", "reached its time limit"),
        "DEADLINE": ("Deadline", "reached its deadline"),
        "NODE_FAIL": ("NodeFail", "lost a node"),
        "PREEMPTED": ("PreemptedInSlurm", "was preempted by a job of higher priority"),
        "SUSPENDED": ("SuspendedInSlurm", "was suspended in Slurm"),
        "UNKNOWN": ("UnknownToSlurm", "is not known to Slurm any more"),
    }
    reason, words_for = words.get(facts.state, ("EndedInSlurm", f"ended as {facts.state}"))
    return reason, f"Slurm job {facts.job_id} {words_for}."


def makes_room(facts: JobFacts) -> tuple[str, str]:
    """(reason, sentence) as of `what_ended`, while the job still holds its nodes."""
    until_s = facts.makes_room_until_s
    until = (
        "" if until_s is None else f", which gets its nodes at {texts.time(until_s)} at the latest"
    )
    return "PreemptedInSlurm", f"Slurm job {facts.job_id} makes room for another job{until}."


def time_limit(facts: JobFacts) -> tuple[str, str]:
    """(reason, sentence) as of `what_ended`, a moment before the time limit."""
    return "TimeLimit", f"Slurm job {facts.job_id} reaches its time limit."


def job_id_of(condition: Condition | None) -> SlurmJobId | None:
    """The job id in a condition that we wrote: a restart finds a queued gang's job by it."""
    match = _JOB_ID.match(condition.message) if condition is not None else None
    return SlurmJobId(int(match[1])) if match else None


def _camel(reason: str) -> str:
    """As Kubernetes wants a condition's reason: letters and digits, CamelCase."""
    words = re.findall(r"[A-Za-z0-9]+", reason.split(",")[0])
    joined = "".join(word[:1].upper() + word[1:] for word in words)
    return joined if joined[:1].isalpha() else "Waiting"
