"""Slurm's reasons in plain words: what they mean, what has to happen, what its owner can do.

Limits of associations and QOS are read by `lifecycle.reasons`; here are the reasons that need more
than one clause. A reason that nobody here knows stands as Slurm says it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge import names
from bridge.lifecycle import reasons

_TIMELIMIT = (
    f"A shorter time limit (annotation {names.JOB_PREFIX}timelimit) lets Slurm start it in a gap "
    "before larger jobs"
)
_SMALLER = "ask for fewer pods or less for each of them"
_ADMIN = "Ask a Slurm admin"


@dataclass(frozen=True, slots=True)
class Words:
    """What is said of a reason. Each is a sentence without its full stop; "" and () for nothing."""

    meaning: str
    starts_when: str = ""
    advice: tuple[str, ...] = ()


_MAINTENANCE = Words(
    "Its nodes are kept free for a maintenance that begins before its time limit would be over",
    "It starts when the maintenance is over, or earlier with a time limit that ends before it",
    (f"{_TIMELIMIT.removesuffix(' before larger jobs')} before the maintenance",),
)
_WORDS: Mapping[str, Words] = {
    "": Words(
        "Slurm has not yet looked at it: a scheduler's round is due within seconds",
        "It starts when Slurm has looked at it and finds nodes for it",
    ),
    "Resources": Words(
        "Not enough of the nodes that it may use are free",
        "It starts when running jobs have given back enough of these nodes",
        ("Nothing has to be done. Fewer pods, or smaller ones, find room sooner",),
    ),
    "Priority": Words(
        "Jobs with a higher priority wait before it",
        "It starts when they have started, or earlier in a gap that is too small for them",
        (f"Nothing has to be done. {_TIMELIMIT}",),
    ),
    "Dependency": Words(
        "It waits for another job, as its annotation `dependency` says",
        "It may start when that job has started or ended as the annotation asks",
    ),
    "DependencyNeverSatisfied": Words(
        "It waits for another job that has ended in another way than its annotation `dependency` "
        "asks",
        "It never starts as it is",
        ("Delete it and create it again, or change the annotation",),
    ),
    "BeginTime": Words(
        "It may not start before a certain time: its begin time in Slurm lies ahead, or Slurm has "
        "just put it back into the queue",
        "It may start when that time has come",
    ),
    "Reservation": Words(
        "The reservation that it names has not begun, or its nodes are in use",
        "It starts when the reservation has begun and has room for it",
        (f"Remove the annotation {names.JOB_PREFIX}reservation to use other nodes",),
    ),
    "ReservationDeleted": Words(
        "The reservation that it names does not exist any more",
        "It never starts as it is",
        (f"Correct or remove the annotation {names.JOB_PREFIX}reservation",),
    ),
    "ReqNodeNotAvail": Words(
        "Nodes that it needs are drained, down or reserved",
        "It starts when these nodes are back in service, or their reservation is over",
        (
            f"{_ADMIN} when they are back, or let its pods run on other nodes (node selectors, "
            "affinity)",
        ),
    ),
    "NodeDown": Words(
        "A node that it needs is down",
        "It starts when the node is back in service",
        (f"{_ADMIN} when it is back",),
    ),
    "Licenses": Words(
        "The licenses that it asks for are in use",
        "It starts when other jobs have given back enough of them",
    ),
    "JobHeldUser": Words(
        "It is held: somebody set its hold in Slurm",
        "It may start when the hold is released",
        ("Release it: `scontrol release {job}`",),
    ),
    "JobHeldAdmin": Words(
        "An admin holds it: its priority is 0",
        "It may start when an admin has released the hold",
        (f"{_ADMIN} why; the admin releases it by `scontrol release {{job}}`",),
    ),
    "PartitionDown": Words(
        "An admin has stopped its partition",
        "It may start when the partition is up again",
        (f"{_ADMIN} when that is, or use another partition",),
    ),
    "PartitionInactive": Words(
        "An admin has stopped its partition",
        "It may start when the partition is up again",
        (f"{_ADMIN} when that is, or use another partition",),
    ),
    "BadConstraints": Words(
        "No nodes that Slurm has can take it as it is",
        "It never starts on the present nodes; it is tried again automatically when nodes change",
        (f"To start on the present nodes, {_SMALLER}; or ask a Slurm admin for more nodes",),
    ),
    "PartitionConfig": Words(
        "It asks for more than its partition has or allows",
        "It never starts as it is on the present nodes",
        (f"To start on the present nodes, {_SMALLER}; or ask a Slurm admin for more nodes",),
    ),
    "Cleaning": Words(
        "Slurm is still ending its last run",
        "It may start when that is over",
    ),
    "SchedDefer": Words(
        "Slurm does not look at each job at once here: the next round of its scheduler does",
        "It starts in one of the next rounds, if there is room",
    ),
}  # fmt: skip


def of(reason: str, description: str = "", job_id: int | None = None) -> Words:
    """The words for a reason, of which `description` is Slurm's longer form."""
    word = reason.partition(",")[0].strip()
    word = "" if word == "None" else word
    said = f"{reason} {description}".lower().replace("_", " ")
    if word == "ReqNodeNotAvail" and "maintenance" in said:
        return _MAINTENANCE
    words = _WORDS.get(word)
    if words is None:
        words = _limit(word)
    job = str(job_id or "JOB")
    return Words(
        words.meaning, words.starts_when, tuple(one.replace("{job}", job) for one in words.advice)
    )


def _limit(word: str) -> Words:
    explained = reasons.explained(word)
    if not explained:
        return Words(f"Slurm's own word is {word}; squeue(1) explains it under JOB REASON CODES")
    meaning, _, rest = explained.partition("; ")
    meaning = meaning[:1].upper() + meaning[1:]
    if rest.startswith("it never starts as it is: "):
        advice = rest.removeprefix("it never starts as it is: ")
        return Words(meaning, "It never starts as it is", (advice[:1].upper() + advice[1:],))
    if rest.startswith("it starts when "):
        return Words(meaning, f"It {rest.removeprefix('it ')}")
    if rest:
        return Words(meaning, "", (rest[:1].upper() + rest[1:],))
    return Words(meaning, "It starts when that has changed")
