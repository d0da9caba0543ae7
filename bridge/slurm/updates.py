"""What the watcher keeps of a job, and what it tells its subscribers."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TypeAlias

from bridge.model.ids import SlurmJobId
from bridge.slurm.errors import SlurmError
from bridge.slurm.jobs import Job


class PollTick:
    """When the last list of states that Slurm gave was asked for (monotonic seconds)."""

    __slots__ = ("seen_s",)

    def __init__(self) -> None:
        self.seen_s = float("-inf")


class Watched:
    """A job and how fresh that is. `job` never changes; a new reading is a new Watched.

    `in_step`: the last list of states agrees with `job`, so each further list that says the same
    makes it fresher at no cost.
    """

    __slots__ = ("_seen_s", "_tick", "fetched_s", "in_step", "job")

    def __init__(self, job: Job, *, fetched_s: float, in_step: bool, tick: PollTick) -> None:
        self.job = job
        self.fetched_s = fetched_s
        """Monotonic time at which the details were asked for."""
        self.in_step = in_step
        self._seen_s = fetched_s
        self._tick = tick

    @property
    def seen_s(self) -> float:
        """Monotonic time at which Slurm was last asked and confirmed the job's states."""
        return max(self._seen_s, self._tick.seen_s) if self.in_step else self._seen_s

    def fall_behind(self) -> None:
        """The next list says something else: it confirms nothing any more."""
        self._seen_s = self.seen_s
        self.in_step = False

    def __repr__(self) -> str:
        return f"Watched({self.job.id} {self.job.state}, seen_s={self.seen_s:.3f})"


@dataclass(frozen=True, slots=True)
class JobSeen:
    """A tracked job as it is now; told when something of it is new."""

    job: Job


@dataclass(frozen=True, slots=True)
class JobGone:
    """A tracked job that Slurm, healthy, does not know any more; it is no longer tracked."""

    job_id: SlurmJobId
    last: Job | None
    """As it was last seen."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Slurm does not answer (or refuses us). Told once; what is known stays as it is."""

    error: SlurmError


@dataclass(frozen=True, slots=True)
class Recovered:
    """Slurm answers again."""

    after_s: float
    failures: int


JobUpdate: TypeAlias = JobSeen | JobGone | Outage | Recovered


def about(news: JobUpdate) -> Hashable:
    """The job that it is about, or that it is about Slurm itself."""
    match news:
        case JobSeen(job):
            return job.id
        case JobGone(job_id):
            return job_id
        case _:
            return type(news).__name__
