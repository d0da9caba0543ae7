"""Jobs of Slurm that are not the bridge's, read when somebody asks for the queue.

Slurm's list of states is there anyway; what a job is costs a request each. So they are read a few
at a time and kept while their state stays the same, at most for a while.
"""

import asyncio
from collections.abc import Iterator
from typing import Final

from bridge import slurm
from bridge.clock import Clock
from bridge.model.ids import SlurmJobId
from bridge.slurm.jobs import Job

_KEPT_S: Final = 30.0
_MOST_READS: Final = 100
"""For one question: the others are read with the next ones."""
_AT_ONCE: Final = 4
_PAUSE_S: Final = 5.0
"""Between two such rounds, however many ask: twenty reads a second at the most."""


class NativeJobs:
    """The live jobs that the watcher does not track."""

    def __init__(
        self, *, client: slurm.SlurmClient, watcher: slurm.JobWatcher, clock: Clock
    ) -> None:
        self._client = client
        self._watcher = watcher
        self._clock = clock
        self._known: dict[SlurmJobId, tuple[float, Job]] = {}
        self._reading = asyncio.Lock()
        self._refreshed_s = float("-inf")
        self.unread = 0
        """Live jobs that were not read yet, after the last refresh."""

    def jobs(self) -> Iterator[Job]:
        """Those that were read, and are still native and alive."""
        for job_id, (_, job) in self._known.items():
            if job_id not in self._watcher.jobs and not job.ended:
                yield job

    async def refresh(self) -> None:
        """Reads what is new, has changed or is old. A Slurm that does not answer leaves what was
        read before."""
        async with self._reading:
            states, now_s = self._watcher.states, self._clock.monotonic()
            if now_s - self._refreshed_s < _PAUSE_S:
                return
            self._refreshed_s = now_s
            live = {
                job_id: said
                for job_id, said in states.items()
                if job_id not in self._watcher.jobs and not slurm.over(said)
            }
            for job_id in self._known.keys() - live.keys():
                del self._known[job_id]
            due = [job_id for job_id, said in live.items() if self._is_due(job_id, said, now_s)]
            due.sort(key=lambda job_id: (job_id in self._known, job_id))
            gate = asyncio.Semaphore(_AT_ONCE)
            reads = (self._read(job_id, now_s, gate) for job_id in due[:_MOST_READS])
            await asyncio.gather(*reads)
            self.unread = sum(job_id not in self._known for job_id in live)

    def _is_due(self, job_id: SlurmJobId, said: frozenset[str], now_s: float) -> bool:
        known = self._known.get(job_id)
        return known is None or known[1].states != said or now_s - known[0] > _KEPT_S

    async def _read(self, job_id: SlurmJobId, now_s: float, gate: asyncio.Semaphore) -> None:
        async with gate:
            try:
                self._known[job_id] = (now_s, await self._client.get_job(job_id))
            except slurm.SlurmError:
                return
