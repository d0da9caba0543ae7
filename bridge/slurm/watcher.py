"""Watches jobs: everyone else gets changes pushed.

Slurm has no watch. `/jobs/state/` is cheap (80 bytes a job) and tells which jobs changed state;
those are read in full at once. What changes without a state change is read again under a budget
(see rereads). An answer that equals the last one to the byte isn't even parsed.

A job is gone only when a healthy list lacks it and reading it says the same. A Slurm that doesn't
answer changes nothing of what is known.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

import structlog

from bridge.clock import Clock, SystemClock, sleep_until_triggered
from bridge.errors import BridgeError
from bridge.model.ids import SlurmJobId
from bridge.slurm.errors import JobNotFound, SlurmError
from bridge.slurm.jobs import Job
from bridge.slurm.listeners import Listeners, Listening
from bridge.slurm.pace import Pace, back_off
from bridge.slurm.rereads import Rereads
from bridge.slurm.updates import (
    JobGone,
    JobSeen,
    JobUpdate,
    Outage,
    PollTick,
    Recovered,
    Watched,
    about,
)

log = structlog.get_logger(__name__)

__all__ = ["JobWatcher", "Watched", "JobSeen", "JobGone", "Outage", "Recovered", "Source"]

_REREAD_TICK_S = 0.25
_HURRY_FOR_S = 3.0
"""So long the looks are quick for a job that could not be read whole; then it waits its turn."""


class Source(Protocol):
    """What is watched: a SlurmClient."""

    async def job_states_if_changed(
        self, before: bytes
    ) -> tuple[dict[SlurmJobId, frozenset[str]] | None, bytes]: ...

    async def get_job(self, job_id: SlurmJobId) -> Job: ...


class JobWatcher:
    """The jobs of one cluster that somebody tracks."""

    def __init__(
        self,
        client: Source,
        *,
        clock: Clock | None = None,
        poll_quick_s: float = 0.05,
        poll_interval_s: float = 0.5,
        max_interval_s: float = 5.0,
        detail_gets_per_s: float = 20.0,
        concurrency: int = 8,
        all_jobs: bool = False,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`all_jobs`: track each job that Slurm lists, not only those that are asked for.

        Times in seconds; `detail_gets_per_s` bounds what is read without a change of state.
        """
        self._client = client
        self._clock = clock or SystemClock()
        self._quick_s = poll_quick_s
        self._concurrency = concurrency
        self._pace = Pace(
            quick_s=poll_quick_s, interval_s=poll_interval_s, longest_s=max_interval_s
        )
        self._back_off = back_off(longest_s=max_interval_s, jitter=jitter)
        self._tick = PollTick()
        self._body = b""
        self._states: Mapping[SlurmJobId, frozenset[str]] = {}
        self._jobs: dict[SlurmJobId, Watched] = {}
        self._tracked: dict[SlurmJobId, float] = {}
        self._rereads = Rereads(gets_per_s=detail_gets_per_s)
        self._urgent: OrderedDict[SlurmJobId, None] = OrderedDict()
        self._later: OrderedDict[SlurmJobId, None] = OrderedDict()
        self._unsettled: set[SlurmJobId] = set()
        self._unsettled_since: dict[SlurmJobId, float] = {}
        self._asked_for: dict[SlurmJobId, frozenset[str] | None] = {}
        self._listeners: Listeners[JobUpdate] = Listeners(about)
        self._all_jobs = all_jobs
        self._triggered = asyncio.Event()
        self._work = asyncio.Event()
        self._looked = asyncio.Event()
        self._healthy = False
        self._problem = ""
        self._failing_since_s = 0.0

    # -- what callers see ----------------------------------------------------------------------

    @property
    def jobs(self) -> Mapping[SlurmJobId, Watched]:
        """The tracked jobs that have been read, with their age."""
        return self._jobs

    @property
    def states(self) -> Mapping[SlurmJobId, frozenset[str]]:
        """States of all jobs of the cluster, as Slurm last listed them."""
        return self._states

    @property
    def seen_s(self) -> float:
        """Monotonic time at which that list was asked for; minus infinity before the first."""
        return self._tick.seen_s

    @property
    def healthy(self) -> bool:
        """Whether the last look succeeded."""
        return self._healthy

    @property
    def problem(self) -> str:
        """Why the last look failed; "" when it did not."""
        return self._problem

    @property
    def longest_pause_s(self) -> float:
        """Time between two looks at the most, beside what they take themselves."""
        return self._pace.longest_s

    @property
    def poll_cost_s(self) -> float:
        """What a look takes, smoothed."""
        return self._pace.cost_s

    @property
    def oldest_details_s(self) -> float | None:
        """Monotonic time of the oldest reading among the jobs that are still re-read."""
        return self._rereads.oldest_s

    @property
    def details_age_s(self) -> float:
        """Seconds since the oldest of those readings was asked for; 0 when there is none."""
        oldest_s = self.oldest_details_s
        return 0.0 if oldest_s is None else self._clock.monotonic() - oldest_s

    def track(self, job_id: SlurmJobId) -> None:
        """Follow this job: it is read now and after each change."""
        if job_id not in self._tracked:
            self._tracked[job_id] = self._clock.monotonic()
            self._ask_for(job_id)

    def untrack(self, job_id: SlurmJobId) -> None:
        """Forget this job; nothing more is told of it."""
        self._tracked.pop(job_id, None)
        self._jobs.pop(job_id, None)
        self._asked_for.pop(job_id, None)
        self._unsettled.discard(job_id)
        self._unsettled_since.pop(job_id, None)
        self._rereads.drop(job_id)
        self._urgent.pop(job_id, None)
        self._later.pop(job_id, None)

    def reread(self, job_id: SlurmJobId) -> None:
        """Something of this job was changed that its state does not show: read it now."""
        if job_id in self._tracked:
            self._ask_for(job_id)

    def trigger(self) -> None:
        """Something was done in Slurm: look soon."""
        self._pace.hurry()
        self._triggered.set()

    def subscribe(self, callback: Callable[[JobUpdate], None]) -> Callable[[], None]:
        """`callback` is called for all news, in the event loop; it must not block. Gives what ends
        that."""
        return self._listeners.subscribe(callback)

    def listen(self) -> Listening[JobUpdate]:
        """The same as an async iterator: `async with … as news: async for one in news:`.

        To one that is slow only the newest of each job is told.
        """
        return self._listeners.listen()

    async def wait_for(self, job_id: SlurmJobId, wanted: Callable[[Job], bool]) -> Job:
        """Until a tracked job is as wanted. Raises JobNotFound when Slurm doesn't know it (more).

        Bound it with `asyncio.timeout`.
        """
        async with self.listen() as news:
            self.track(job_id)
            known = self._jobs.get(job_id)
            if known is not None and wanted(known.job):
                return known.job
            async for one in news:
                match one:
                    case JobSeen(job) if job.id == job_id and wanted(job):
                        return job
                    case JobGone(gone) if gone == job_id:
                        raise JobNotFound(f"waiting for job {job_id}: Slurm has forgotten it")
        raise AssertionError("news never ends")

    async def wait_for_sync(self) -> None:
        """Until Slurm has listed its jobs once."""
        if self.seen_s == float("-inf"):
            await self._looked.wait()

    async def wait_for_look(self) -> None:
        """Until Slurm has listed its jobs once more, asked from now on."""
        called_s = self._clock.monotonic()
        while self.seen_s < called_s:
            self._looked.clear()
            self.trigger()
            await self._looked.wait()

    async def run(self) -> None:
        """Watch until cancelled; no error ends it."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_forever())
            group.create_task(self._reread_forever())
            for _ in range(self._concurrency):
                group.create_task(self._read_forever())

    # -- the list of states --------------------------------------------------------------------

    async def _look_forever(self) -> None:
        while True:
            try:
                await self._look()
            except SlurmError as error:
                pause_s = self._failed(error)
            except Exception as error:  # a bug must not blind the bridge
                log.exception("watcher.look_crashed")
                pause_s = self._failed(SlurmError(f"listing the states of jobs: {error!r}"))
            else:
                pause_s = self._pace.pause_s(watching=bool(self._tracked))
            await self._pause(pause_s)

    async def _look(self) -> None:
        started_s = self._clock.monotonic()
        states, self._body = await self._client.job_states_if_changed(self._body)
        took_s = self._clock.monotonic() - started_s
        changed = False
        if states is not None:
            self._states = states
            for job_id in states if self._all_jobs else ():
                self.track(job_id)
            changed = self._compare()
        self._tick.seen_s = started_s
        if changed:
            self._rereads.state_changed(started_s)
        self._pace.looked(took_s=took_s, changed=changed)
        self._succeeded()
        unsettled, self._unsettled = self._unsettled, set()
        for job_id in unsettled:
            self._ask_for(job_id)
            if started_s - self._unsettled_since[job_id] < _HURRY_FOR_S:
                self._pace.hurry()

    def _compare(self) -> bool:
        """Ask for the tracked jobs whose states the new list has otherwise. Whether any has."""
        changed = False
        for job_id in self._tracked:
            listed = self._states.get(job_id)
            watched = self._jobs.get(job_id)
            if watched is not None and watched.job.states == listed:
                watched.in_step = True
                continue
            if watched is not None:
                watched.fall_behind()
            # Once per state: should reading it say something else for good, it is not asked again.
            if listed is None or self._asked_for.get(job_id) != listed:
                self._asked_for[job_id] = listed
                self._ask_for(job_id)
                changed = True
        return changed

    async def _pause(self, seconds: float) -> None:
        """Wait; a trigger ends it early, unless Slurm is away."""
        if self._back_off.failures:
            await self._clock.sleep(seconds)
            return
        await sleep_until_triggered(self._clock, seconds, self._triggered)
        if self._triggered.is_set():
            self._triggered.clear()
            await self._clock.sleep(self._quick_s)

    # -- outages -------------------------------------------------------------------------------

    def _failed(self, error: SlurmError) -> float:
        """Note a failure; the pause before the next try."""
        pause_s = self._back_off.next_s()
        self._problem = str(error)
        if self._back_off.failures == 1:
            self._healthy = False
            self._failing_since_s = self._clock.monotonic()
            self._listeners.tell(Outage(error))
        return pause_s

    def _succeeded(self) -> None:
        failures = self._back_off.failures
        self._back_off.reset()
        self._healthy = True
        self._problem = ""
        self._looked.set()
        self._work.set()
        if failures:
            after_s = self._clock.monotonic() - self._failing_since_s
            self._listeners.tell(Recovered(after_s=after_s, failures=failures))

    # -- whole jobs ----------------------------------------------------------------------------

    def _ask_for(self, job_id: SlurmJobId) -> None:
        self._urgent[job_id] = None
        self._later.pop(job_id, None)
        self._work.set()

    def _ask_again(self, job_id: SlurmJobId) -> None:
        """With the next look, which comes soon when this is new."""
        if job_id not in self._tracked:
            return
        now_s = self._clock.monotonic()
        self._unsettled.add(job_id)
        if now_s - self._unsettled_since.setdefault(job_id, now_s) < _HURRY_FOR_S:
            self.trigger()

    async def _read_forever(self) -> None:
        while True:
            while self._back_off.failures or not (self._urgent or self._later):
                self._work.clear()
                await self._work.wait()
            queue = self._urgent or self._later
            job_id, _ = queue.popitem(last=False)
            try:
                await self._read(job_id)
            except Exception:  # a bug must not end the reading of all jobs
                log.exception("watcher.read_crashed", slurm_job=job_id)
                self._ask_again(job_id)

    async def _read(self, job_id: SlurmJobId) -> None:
        started_s = self._clock.monotonic()
        try:
            job = await self._client.get_job(job_id)
        except JobNotFound:
            self._missing(job_id)
        except BridgeError as error:
            # Whether Slurm is away, the next look will tell.
            log.debug("watcher.read_failed", slurm_job=job_id, error=str(error))
            self._ask_again(job_id)
        else:
            if job_id in self._tracked:
                self._keep(replace(job, raw={}), started_s)

    def _keep(self, job: Job, fetched_s: float) -> None:
        before = self._jobs.get(job.id)
        if before is not None and before.fetched_s > fetched_s:
            return  # two readings crossed: the later one counts
        self._jobs[job.id] = Watched(
            job,
            fetched_s=fetched_s,
            in_step=self._states.get(job.id) == job.states,
            tick=self._tick,
        )
        self._rereads.keep(job, fetched_s, self._clock.time())
        if job.state == "RUNNING" and not job.grants:
            self._ask_again(job.id)  # started a moment ago: its nodes follow
        else:
            self._unsettled_since.pop(job.id, None)
        if before is None or before.job != job:
            self._listeners.tell(JobSeen(job))

    def _missing(self, job_id: SlurmJobId) -> None:
        """Reading says that there is no such job; the list must have said so too."""
        tracked_s = self._tracked.get(job_id)
        if tracked_s is None:
            return
        if job_id in self._states or self.seen_s < tracked_s:
            self._ask_again(job_id)
            return
        watched = self._jobs.get(job_id)
        self.untrack(job_id)
        self._listeners.tell(JobGone(job_id, None if watched is None else watched.job))

    async def _reread_forever(self) -> None:
        while True:
            await self._clock.sleep(_REREAD_TICK_S)
            if self._back_off.failures or self._urgent:
                continue
            for job_id in self._rereads.take(self._clock.monotonic()):
                self._later[job_id] = None
                self._work.set()
