"""What a gang waits for, what has to happen before it starts, and what its owner can do."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from bridge.explain import reasons, times
from bridge.explain.rows import JobRow
from bridge.lifecycle import messages
from bridge.lifecycle.machine import GangMachine
from bridge.lifecycle.state import State
from bridge.lifecycle.status import GangStatus
from bridge.model import texts
from bridge.model.pod import Pod

_MOST_NODES: Final = 8
_RETRIED: Final = "It is tried again automatically"


@dataclass(frozen=True, slots=True)
class Answer:
    """Why a gang stands as it does. `message` is a sentence, the others are without full stops."""

    message: str
    starts_when: str = ""
    advice: tuple[str, ...] = ()


def of(machine: GangMachine, job: JobRow | None, now_s: float) -> Answer:
    """The answer for a gang that is driven now; `now_s` is the epoch time."""
    status, waiting = machine.status(), machine.known.waiting()
    if machine.state in (State.ENDING, State.DONE):
        return Answer(_ending(machine, job))
    if not waiting:
        return Answer(_running(machine, job, now_s))
    pod = waiting[0]
    early = _before_slurm(machine, status, pod)
    if early is not None:
        return early
    assert machine.known.job_id is not None
    if status.facts is None:
        return Answer(
            f"Slurm job {machine.known.job_id} was submitted; Slurm has not told of it yet."
        )
    if status.waits:
        return _queued(status, job, now_s)
    if status.shortfall is not None:
        return Answer(
            messages.waits_for_room(status.facts.job_id, status.shortfall.reason).message,
            "It starts when that room is free. If it does not get free, the job gives its nodes "
            "back, and the gang queues again without them",
        )
    return Answer(
        f"Slurm job {machine.known.job_id} holds its nodes; pods are being put onto them.",
        "Its pods start within seconds",
    )


def _before_slurm(machine: GangMachine, status: GangStatus, pod: Pod) -> Answer | None:
    """Why there is no job that could wait; None if there is one."""
    if status.problem:
        return Answer(
            _sentence(f"It is not queued: {status.problem}"),
            "It is queued when that is corrected",
            ("Correct it on the object that it names; pods that exist can't be changed: create "
             "the workload again",),
        )  # fmt: skip
    if pod.foreign_gates:
        return Answer(
            messages.gated(pod.foreign_gates),
            "It is queued when whoever added these gates removes them",
        )
    if status.claims.why:
        return Answer(
            messages.pending_claims(status.claims.why),
            "It is queued when its volumes are ready",
            ("`kubectl describe pvc` says what the claim waits for",),
        )
    if machine.known.job_id is not None:
        return None
    if status.lacking and status.gang is not None:
        return Answer(
            messages.incomplete(status.gang, status.lacking).message,
            "It is queued when all of them are there",
            (f"Look at the events of {status.gang.owner}: a quota or a webhook may keep it from "
             "creating pods",),
        )  # fmt: skip
    if status.trouble:
        return Answer(
            _sentence(f"It is not queued in Slurm: {status.trouble}"),
            f"{_RETRIED}, at the latest after a few minutes, and sooner when nodes change",
        )
    return Answer("It is being submitted to Slurm.", "It is queued within seconds")


def _queued(status: GangStatus, job: JobRow | None, now_s: float) -> Answer:
    facts = status.facts
    assert facts is not None
    words = reasons.of(facts.reason, facts.description, facts.job_id)
    slurms = f" (Slurm: {facts.reason})" if facts.reason not in ("", "None") else ""
    message = f"Slurm job {facts.job_id} waits in partition {facts.partition}. {words.meaning}"
    starts_when = words.starts_when
    if status.lack.shortage and facts.cannot_start:
        message += f": {status.lack.shortage}"
    if facts.expected_start_s and facts.expected_start_s > now_s and not facts.cannot_start:
        expected = times.ahead(facts.expected_start_s, now_s)
        starts_when = (
            f"Slurm expects to start it at {expected}; that moves as jobs come and end. "
            f"{starts_when}"
        )
    elif job is not None and facts.reason in ("Resources", "Priority"):
        starts_when += ". Slurm has not planned a time for it yet"
    advice = words.advice
    if job is not None and job.time_limit_min is None and facts.reason in ("Resources", "Priority"):
        advice = (*advice, "It has no time limit: Slurm can fit only jobs with a limit into gaps")
    return Answer(f"{message}{slurms}.", starts_when, advice)


def _running(machine: GangMachine, job: JobRow | None, now_s: float) -> str:
    pods = machine.known.demand.pods.live()
    bound = sum(bool(pod.node_name) for pod in pods)
    nodes = sorted({str(pod.node) for pod in pods if pod.node})
    where = texts.some_of(nodes, _MOST_NODES) or "no node yet"
    whose = f" by Slurm job {machine.known.job_id}" if machine.known.job_id else ""
    gang = machine.known.gang
    rest = " that have not ended" if gang is not None and gang.size > len(pods) else ""
    are = "Its pod is on"
    if len(pods) > 1:
        are = (
            f"All {bound} pods{rest} are on"
            if bound == len(pods)
            else (f"{bound} of its {len(pods)} pods are on their nodes, of")
        )
    elif not bound:
        are = "Its pod is on its way to"
    return f"{are} {where}{whose}{_until(job, now_s)}."


def _until(job: JobRow | None, now_s: float) -> str:
    if job is None or job.time_limit_min is None or not job.end_s or job.state != "RUNNING":
        return ""
    return f", until {times.ahead(job.end_s, now_s)} at the latest, its time limit"


def _ending(machine: GangMachine, job: JobRow | None) -> str:
    if machine.known.job_id is not None:
        return f"All of its pods have ended; Slurm job {machine.known.job_id} is being ended."
    return "All of its pods have ended."


def over(job: JobRow | None, pods: Collection[Pod] = ()) -> str:
    """Of a gang that is over, with those of its pods that are still there."""
    said = "It is over"
    counts = [
        f"{count} {word}"
        for word in ("Succeeded", "Failed")
        if (count := sum(pod.phase == word for pod in pods))
    ]
    if counts:
        said += f": of its pods {' and '.join(counts).lower()}"
    if job is None:
        return f"{said}."
    if job.state in ("PENDING", "RUNNING", "SUSPENDED"):
        return f"{said}. Slurm job {job.id} is being ended."
    at = f" at {times.at(job.end_s)}" if job.end_s else ""
    return f"{said}. Slurm job {job.id} ended{at}."


def _sentence(text: str) -> str:
    return text.rstrip(".") + "."
