"""Whose details are read again next, and how many may be.

Reason, expected start, preemption's grace and the node list after a shrink change without a change
of state, so nothing but reading tells them. A job is due some time after its last reading. Of those
due the one that was read longest ago comes first; the age of a job that holds nodes counts a fifth,
unless others may push it out: then it counts in full, and first among equals. So nobody starves:
with too little budget for all, everybody's readings age in proportion.

Pure book-keeping. Times are monotonic seconds.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from bridge.model.ids import SlurmJobId
from bridge.slurm.jobs import Job

_BUSY_S = 10.0
"""For so long after a change of state the whole budget is used; later a tenth of it."""
_REST_SHARE = 0.1
_HELD_S = 10.0
"""A job that holds nodes: its record is large (a line per core) and seldom changes."""
_HELD_PRICE = 2.0


@dataclass(slots=True)
class _Queue:
    """Jobs of one kind, the one that was asked for longest ago first."""

    due_s: float
    """After its reading a job is due."""
    weight: float
    """Of an age, against those of other kinds."""
    price: float
    """Of the budget."""
    jobs: OrderedDict[SlurmJobId, None] = field(default_factory=OrderedDict)


@dataclass(slots=True)
class _Reading:
    job: Job
    read_s: float
    asked_s: float
    """Later than `read_s` while it is being read again."""


class Rereads:
    """The jobs that can still change."""

    def __init__(self, *, gets_per_s: float) -> None:
        self._gets_per_s = gets_per_s
        self._readings: dict[SlurmJobId, _Reading] = {}
        # A job that waits: its reason and expected start are what people look at.
        self._waiting = _Queue(due_s=2.0, weight=1.0, price=1.0)
        self._preemptable = _Queue(due_s=_HELD_S, weight=1.0, price=_HELD_PRICE)
        self._held = _Queue(due_s=_HELD_S, weight=0.2, price=_HELD_PRICE)
        self._queues = (self._preemptable, self._waiting, self._held)  # the first wins a tie
        self._changed_s = float("-inf")
        self._earned_s = float("-inf")
        self._allowance = 0.0

    @property
    def oldest_s(self) -> float | None:
        """When the oldest of the readings was asked for."""
        return min((one.read_s for one in self._readings.values()), default=None)

    def keep(self, job: Job, read_s: float, now_epoch_s: float) -> None:
        """This job was read; one that has ended is not read again."""
        self.drop(job.id)
        if not job.ended:
            self._readings[job.id] = _Reading(job, read_s, read_s)
            self._queue_of(job, now_epoch_s).jobs[job.id] = None

    def drop(self, job_id: SlurmJobId) -> None:
        """Nobody wants to know of it any more."""
        if self._readings.pop(job_id, None) is not None:
            for queue in self._queues:
                queue.jobs.pop(job_id, None)

    def state_changed(self, now_s: float) -> None:
        """A job's state has changed: where one changes, others' details do."""
        self._changed_s = now_s

    def take(self, now_s: float) -> Iterator[SlurmJobId]:
        """The jobs to read now, as many as are due and the budget allows."""
        rate = self._gets_per_s * (1.0 if now_s - self._changed_s < _BUSY_S else _REST_SHARE)
        since_s = max(0.0, min(now_s - self._earned_s, 1.0))
        self._earned_s = now_s
        self._allowance = min(self._allowance + rate * since_s, max(rate, 1.0))
        while self._allowance >= 1.0:
            queue = self._most_overdue(now_s)
            if queue is None:
                return
            job_id = next(iter(queue.jobs))
            queue.jobs.move_to_end(job_id)
            self._readings[job_id].asked_s = now_s
            self._allowance -= queue.price
            yield job_id

    def _queue_of(self, job: Job, now_epoch_s: float) -> _Queue:
        if job.pending:
            return self._waiting
        return self._preemptable if job.preemptable(now_epoch_s) else self._held

    def _most_overdue(self, now_s: float) -> _Queue | None:
        found, oldest = None, 0.0
        for queue in self._queues:
            for job_id in queue.jobs:  # the first is the oldest
                age_s = now_s - self._readings[job_id].asked_s
                if age_s >= queue.due_s and age_s * queue.weight > oldest:
                    found, oldest = queue, age_s * queue.weight
                break
        return found
