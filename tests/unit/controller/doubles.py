"""What a part is built with where a test is about that part alone. Each keeps what it is told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import structlog

from bridge import slurm
from bridge.controller.active_gangs import ActiveGangs
from bridge.controller.faults import Faults
from bridge.controller.job_claims import JobClaims
from bridge.controller.timers import Timers
from bridge.errors import BridgeError
from bridge.lifecycle import events as ev
from bridge.lifecycle.machine import GangMachine
from bridge.lifecycle.tuning import Tuning
from bridge.model.gang import Gang
from bridge.model.ids import GangId, SlurmJobId
from bridge.model.job import JobIdentity, JobSpec
from bridge.slurm import identity
from bridge.telemetry import Metrics, OutageLog
from tests.unit.slurm.clocks import ManualClock

CLUSTER = "cluster"
SPEC = JobSpec(JobIdentity(CLUSTER, "g", 0, "Job/team/train"), "x", 1, 1, partition="p")


@dataclass
class Heard:
    """What a part tells the others: events for gangs, faults met at them, gangs to look at."""

    events: list[tuple[str, ev.Event]] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)
    dirty: list[GangId] = field(default_factory=list)

    def handle(self, gang_id: GangId, event: ev.Event) -> None:
        self.events.append((gang_id, event))

    def failed(self, gang_id: GangId, error: Exception) -> None:
        self.faults.append((gang_id, str(error)))

    def mark_dirty(self, gang_ids: Iterable[GangId]) -> None:
        self.dirty.extend(sorted(gang_ids))

    def kinds(self, gang_id: str) -> list[str]:
        """The events of one gang, by their names."""
        return [type(event).__name__ for gang, event in self.events if gang == gang_id]


@dataclass
class Recorder:
    """Keeps events of Kubernetes: reason and note."""

    told: list[tuple[str, str]] = field(default_factory=list)

    def emit(self, *, reason: str, note: str, **_: object) -> None:
        self.told.append((reason, note))


class Slurm:
    """Jobs by id, and the requests that were made; `errors` are raised one by one before that."""

    def __init__(self, clock: ManualClock | None = None) -> None:
        self._clock = clock or ManualClock()
        self.jobs: dict[int, slurm.Job] = {}
        self.asked: list[str] = []
        self.asked_s: list[float] = []
        self.errors: dict[str, list[Exception]] = {}

    def _ask(self, call: str, what: object) -> None:
        self.asked.append(f"{call} {what}")
        self.asked_s.append(self._clock.now_s)
        if self.errors.get(call):
            raise self.errors[call].pop(0)

    async def get_job(self, job_id: SlurmJobId) -> slurm.Job:
        self._ask("get", job_id)
        if job_id not in self.jobs:
            raise slurm.JobNotFound(f"no job {job_id}")
        return self.jobs[job_id]

    async def cancel_job(self, job_id: SlurmJobId) -> None:
        self._ask("cancel", job_id)

    async def update_job(self, job_id: SlurmJobId, changes: slurm.JobChanges) -> None:
        self._ask("update", f"{job_id}: {changes.constraints}")


class Watcher:
    """Tells of jobs when a test says so."""

    def __init__(self) -> None:
        self.jobs: dict[SlurmJobId, Any] = {}
        self.states: Mapping[SlurmJobId, frozenset[str]] = {}
        self.tracked: set[SlurmJobId] = set()
        self.triggered = 0
        self._callbacks: list[Callable[[object], None]] = []

    def subscribe(self, callback: Callable[[object], None]) -> None:
        self._callbacks.append(callback)

    def track(self, job_id: SlurmJobId) -> None:
        self.tracked.add(job_id)

    def untrack(self, job_id: SlurmJobId) -> None:
        self.tracked.discard(job_id)

    def trigger(self) -> None:
        self.triggered += 1

    def tell(self, event: object) -> None:
        """Something new of Slurm."""
        for callback in self._callbacks:
            callback(event)


def a_slurm_job(job_id: int, gang: str = "", state: str = "PENDING", **fields: Any) -> slurm.Job:
    """A job as Slurm has it; of a gang of this cluster, or of somebody else's."""
    comment = identity.format(JobIdentity(CLUSTER, gang, 0, "Job/team/train")) if gang else "theirs"
    job = slurm.Job(
        id=SlurmJobId(job_id), name="x", states=frozenset({state}), admin_comment=comment
    )
    return replace(job, **fields)


def a_machine(gang_id: str, job_id: int | None = None, gang: Gang | None = None) -> GangMachine:
    """A gang's machine that decides, with a job or without."""
    machine = GangMachine(GangId(gang_id), single=False, tuning=Tuning())
    if gang is not None:
        machine.handle(ev.MembersSeen(gang, ()), 0.0)
    if job_id is not None:
        machine.handle(ev.Adopted(SlurmJobId(job_id), 0), 0.0)
    machine.release()
    return machine


class Kept:
    """What is kept of gangs, as the parts share it."""

    def __init__(self, clock: ManualClock, *machines: GangMachine) -> None:
        self.faults = Faults()
        self.claims = JobClaims()
        self.timers = Timers(later=clock.later, clock=clock)
        self.metrics = Metrics()
        self.gangs = ActiveGangs(
            faults=self.faults, claims=self.claims, timers=self.timers, metrics=self.metrics
        )
        self.gangs.machines.update({machine.id: machine for machine in machines})

    def outage(self, clock: ManualClock) -> OutageLog:
        """The account of an outage, and whether there is one: `lasting_s`."""
        return OutageLog("it", logger=structlog.get_logger(), clock=clock, metrics=self.metrics)


@asynccontextmanager
async def at_work(part: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """The part runs until the end of the block."""
    work = asyncio.ensure_future(part())
    try:
        yield
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def unavailable() -> BridgeError:
    """Slurm does not answer."""
    return slurm.Unavailable("asking Slurm: no answer")


def a_double(of: object) -> Any:
    """Where a part asks for the real thing."""
    return cast("Any", of)
