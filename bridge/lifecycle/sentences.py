"""What a waiting pod's owner reads: the `Allocated` condition in all its forms."""

import re
from datetime import UTC, datetime

from bridge import names
from bridge.model.gang import Gang
from bridge.model.ids import NodeName, SlurmJobId
from bridge.model.job import JobFacts
from bridge.model.pod import Condition

_JOB_ID = re.compile(r"^Slurm job (\d+) ")


def waits(reason: str, message: str) -> Condition:
    """Not allocated, and why."""
    return Condition(names.ALLOCATED_CONDITION, "False", _camel(reason), message)


def queued(facts: JobFacts) -> Condition:
    """In Slurm's queue: Slurm's own reason, and when it expects to start."""
    reason = facts.reason if facts.reason not in ("", "None") else "Queued"
    message = f"Slurm job {facts.job_id} waits in partition {facts.partition}: {reason}"
    if facts.description:
        message += f" ({facts.description})"
    if facts.expected_start_s:
        start = datetime.fromtimestamp(facts.expected_start_s, UTC)
        message += f"; expected to start at {start:%Y-%m-%dT%H:%M:%SZ}"
    return waits(reason, message + ".")


def gated(gates: tuple[str, ...]) -> str:
    """Somebody else holds the pod back."""
    return f"Not yet in Slurm's queue: it waits for scheduling gate {', '.join(gates)}."


def unready(why: str) -> str:
    """A claim that is not ready holds the pods back."""
    return f"Not in Slurm's queue: {why}."


def incomplete(gang: Gang, vacant: int) -> Condition:
    """A gang whose pods alone tell what it asks for, and some are not there."""
    return waits(
        "MembersMissing",
        f"Not yet in Slurm's queue: {gang.size - vacant} of the {gang.size} pods that "
        f"{gang.owner} starts with are there.",
    )


def waits_for_room(job_id: SlurmJobId, reason: str) -> Condition:
    """Slurm gave nodes that Kubernetes can't use yet."""
    return waits("WaitingForRoom", f"Slurm job {job_id} holds its nodes, but {reason}.")


def allocated(job_id: SlurmJobId, node: NodeName) -> Condition:
    """It has its place."""
    return Condition(
        names.ALLOCATED_CONDITION, "True", "Allocated", f"Slurm job {job_id} gives it node {node}."
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


def job_id_of(condition: Condition | None) -> SlurmJobId | None:
    """The job id that a condition written by us names: how a restart finds a queued gang's job."""
    match = _JOB_ID.match(condition.message) if condition is not None else None
    return SlurmJobId(int(match[1])) if match else None


def _camel(reason: str) -> str:
    """As Kubernetes wants a condition's reason: letters and digits, CamelCase."""
    words = re.findall(r"[A-Za-z0-9]+", reason.split(",")[0])
    joined = "".join(word[:1].upper() + word[1:] for word in words)
    return joined if joined[:1].isalpha() else "Waiting"
