"""Watches for preemption with GraceTime, so that the grace is the job's and not the watcher's.

A job that makes room for another one is RUNNING as before: only its own record tells, by its
preempt_time. So jobs that may be preempted with grace have to be asked one by one. What keeps that
cheap:
- A job makes room for one that waits, and this one waits until the grace is over. While no job of
  the cluster waits, nobody is asked.
- A job is asked as often as a tenth of its grace, not more often than every half second.
- One that makes room is seldom alone: then all others are asked at once.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import structlog

from bridge.clock import Clock, SystemClock
from bridge.errors import BridgeError
from bridge.model.ids import SlurmJobId
from bridge.slurm.accounting.qos import Qos
from bridge.slurm.jobs import Job
from bridge.slurm.updates import Watched

log = structlog.get_logger(__name__)

_TICK_S = 0.25
_SHARE = 0.1
"""Of a job's grace: the most that passes before its preemption is noticed."""
_LEAST_S = 0.5
_QOS_S = 60.0
"""Between two readings of the QOS."""


class PreemptionSource(Protocol):
    """Who is asked: a SlurmClient."""

    async def makes_room(self, job_id: SlurmJobId) -> bool: ...

    async def list_qos(self) -> tuple[Qos, ...]: ...


class TrackedJobs(Protocol):
    """Whose jobs they are: a JobWatcher."""

    @property
    def jobs(self) -> Mapping[SlurmJobId, Watched]: ...

    @property
    def states(self) -> Mapping[SlurmJobId, frozenset[str]]: ...

    @property
    def healthy(self) -> bool: ...

    def reread(self, job_id: SlurmJobId) -> None: ...


class PreemptionWatch:
    """Has the watcher read those of its jobs that make room. `run` it in a task of yours."""

    def __init__(
        self,
        client: PreemptionSource,
        watcher: TrackedJobs,
        *,
        grace_s: Callable[[Job], float],
        asks_per_s: float = 20.0,
        clock: Clock | None = None,
    ) -> None:
        """`grace_s` says how much GraceTime the partition gives a job that makes room; 0 for none.
        That of its QOS is read here. `asks_per_s` bounds the requests."""
        self._client = client
        self._watcher = watcher
        self._grace_s = grace_s
        self._asks_per_s = asks_per_s
        self._clock = clock or SystemClock()
        self._asked_s: dict[SlurmJobId, float] = {}
        self._allowance = 0.0
        self._states: Mapping[SlurmJobId, frozenset[str]] = {}
        self._some_wait = False
        self._qos_grace_s: Mapping[str, int] = {}
        self._qos_read_s = float("-inf")

    async def run(self) -> None:
        """Watch until cancelled; no error of Slurm's ends it."""
        while True:
            await self._clock.sleep(_TICK_S)
            most = max(1.0, self._asks_per_s * _TICK_S)
            self._allowance = min(most, self._allowance + self._asks_per_s * _TICK_S)
            if self._watcher.healthy and self._somebody_waits():
                await self._read_qos()
                await self._ask(self._due())

    async def _read_qos(self) -> None:
        """Under preempt/qos the GraceTime is that of the QOS. Without slurmdbd there is none."""
        now_s = self._clock.monotonic()
        if now_s - self._qos_read_s < _QOS_S:
            return
        self._qos_read_s = now_s
        try:
            qos = await self._client.list_qos()
        except BridgeError as error:
            log.debug("preemption.no_qos", error=str(error))
            return
        self._qos_grace_s = {one.name: one.limits.grace_s for one in qos if one.limits.grace_s}

    async def _ask(self, job_ids: list[SlurmJobId]) -> None:
        for job_id in job_ids:
            if self._allowance < 1.0:
                return
            self._allowance -= 1.0
            self._asked_s[job_id] = self._clock.monotonic()
            try:
                makes_room = await self._client.makes_room(job_id)
            except BridgeError as error:  # the watcher tells of outages
                log.debug("preemption.not_asked", slurm_job=job_id, error=str(error))
                continue
            if makes_room:
                self._watcher.reread(job_id)
                self._asked_s = {job_id: self._clock.monotonic()}

    def _somebody_waits(self) -> bool:
        if self._watcher.states is not self._states:
            self._states = self._watcher.states
            self._some_wait = any("PENDING" in states for states in self._states.values())
        return self._some_wait

    def _due(self) -> list[SlurmJobId]:
        """The jobs to be asked now, the one that was asked longest ago first."""
        now_s = self._clock.monotonic()
        grace_of = dict(self._candidates())
        self._asked_s = {one: at_s for one, at_s in self._asked_s.items() if one in grace_of}
        due = [
            (self._asked_s.get(job_id, float("-inf")), job_id)
            for job_id, grace_s in grace_of.items()
            if now_s - self._asked_s.get(job_id, float("-inf")) >= max(_LEAST_S, grace_s * _SHARE)
        ]
        return [job_id for _, job_id in sorted(due)]

    def _candidates(self) -> Iterator[tuple[SlurmJobId, float]]:
        """The running jobs that may be told to make room and were not yet, with their grace."""
        now_epoch_s = self._clock.time()
        for job_id, watched in self._watcher.jobs.items():
            job = watched.job
            if job.state == "RUNNING" and job.preempt_s is None and job.preemptable(now_epoch_s):
                # Slurm grants the one that its PreemptType goes by; the shorter is safe for both.
                graces = (self._grace_s(job), self._qos_grace_s.get(job.qos, 0))
                if any(graces):
                    yield job_id, min(one for one in graces if one)
