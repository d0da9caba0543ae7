"""Jobs that make room are found in time, and asking costs nothing while nobody waits."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from bridge.model.ids import SlurmJobId
from bridge.slurm import Job, PreemptionWatch, Unavailable
from bridge.slurm.accounting import Qos, QosLimits
from bridge.slurm.updates import PollTick, Watched

from .clocks import ManualClock

_STRANGER = SlurmJobId(999)


class Cluster:
    """Jobs that a watcher tracks, and Slurm, which is asked; `asked` says whom and when."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.jobs: dict[SlurmJobId, Watched] = {}
        self.states: Mapping[SlurmJobId, frozenset[str]] = {}
        self.healthy = True
        self.making_room: set[int] = set()
        self.asked: list[tuple[int, float]] = []
        self.reread_s: dict[int, float] = {}
        self.away = False

    def put(self, job_id: int, *, grace_s: int = 60, **fields: Any) -> None:
        """A running job of ours, in a partition with that GraceTime."""
        of = SlurmJobId(job_id)
        known: dict[str, Any] = {"preemptable_s": 1, "partition": str(grace_s), **fields}
        job = Job(id=of, name="", states=frozenset({"RUNNING"}), **known)
        self.jobs[of] = Watched(job, fetched_s=0.0, in_step=True, tick=PollTick())
        self.states = {**self.states, of: job.states}

    def wait(self) -> None:
        """Somebody else's job waits in the queue."""
        self.states = {**self.states, _STRANGER: frozenset({"PENDING"})}

    async def list_qos(self) -> tuple[Qos, ...]:
        if self.away:
            raise Unavailable("no answer")
        return (Qos(1, "low", QosLimits(grace_s=30)), Qos(2, "normal", QosLimits(grace_s=0)))

    async def makes_room(self, job_id: SlurmJobId) -> bool:
        self.asked.append((job_id, self.clock.now_s))
        if self.away:
            raise Unavailable("no answer")
        return job_id in self.making_room

    def reread(self, job_id: SlurmJobId) -> None:
        self.reread_s[job_id] = self.clock.now_s
        self.put(job_id, preempt_s=1)


@asynccontextmanager
async def _watching() -> AsyncIterator[Cluster]:
    clock = ManualClock()
    cluster = Cluster(clock)
    watch = PreemptionWatch(cluster, cluster, grace_s=lambda job: float(job.partition), clock=clock)
    task = asyncio.create_task(watch.run())
    try:
        yield cluster
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_nobody_is_asked_while_no_job_waits() -> None:
    """A job makes room only for one that waits, whoever's that is."""
    async with _watching() as cluster:
        cluster.put(1)
        await cluster.clock.advance(60)
        assert not cluster.asked
        cluster.wait()
        await cluster.clock.advance(1)
        assert cluster.asked


async def test_a_preemption_is_noticed_within_a_tenth_of_its_grace() -> None:
    """And not asked for more often than that."""
    async with _watching() as cluster:
        cluster.put(1, grace_s=100)
        cluster.put(2, grace_s=10)
        cluster.wait()
        await cluster.clock.advance(30)
        times = {job: sum(one == job for one, _ in cluster.asked) for job in (1, 2)}
        assert times[1] == 3
        assert 20 <= times[2] <= 31
        cluster.making_room = {1}
        began_s = cluster.clock.now_s
        await cluster.clock.advance(10.5)
        assert cluster.reread_s[1] - began_s <= 10.5


async def test_a_job_that_makes_room_is_seldom_alone() -> None:
    """All others are asked at once when one was found."""
    async with _watching() as cluster:
        for job_id in range(1, 11):
            cluster.put(job_id, grace_s=600)
        cluster.wait()
        await cluster.clock.advance(3)
        cluster.put(11, grace_s=5)
        cluster.making_room = set(range(1, 12))
        began_s = cluster.clock.now_s
        await cluster.clock.advance(3)
        assert cluster.reread_s.keys() == set(range(1, 12))
        assert max(cluster.reread_s.values()) - began_s < 3


async def test_jobs_that_cannot_be_preempted_with_grace_are_not_asked() -> None:
    """No GraceTime, no preemption at all, exempt for a while, or known already."""
    async with _watching() as cluster:
        cluster.put(1, grace_s=0)
        cluster.put(2, preemptable_s=None)
        cluster.put(3, preemptable_s=2_000_000_000)
        cluster.put(4, preempt_s=1)
        cluster.wait()
        await cluster.clock.advance(60)
        assert not cluster.asked


async def test_the_grace_may_be_that_of_a_qos() -> None:
    """Under preempt/qos; it is read now and then, as long as somebody waits."""
    async with _watching() as cluster:
        cluster.put(1, grace_s=0, qos="low")
        cluster.put(2, grace_s=0, qos="normal")
        cluster.wait()
        await cluster.clock.advance(30)
        assert {job for job, _ in cluster.asked} == {1}
        assert 8 <= len(cluster.asked) <= 10


async def test_the_shorter_grace_counts_where_partition_and_qos_have_one() -> None:
    """PreemptType says which of them Slurm grants; a look for the longer one may be too late."""
    async with _watching() as cluster:
        cluster.put(1, grace_s=600, qos="low")
        cluster.put(2, grace_s=5, qos="low")
        cluster.wait()
        await cluster.clock.advance(30)
        times = {job: sum(one == job for one, _ in cluster.asked) for job in (1, 2)}
        assert 8 <= times[1] <= 10
        assert times[2] >= 40


async def test_requests_are_bounded_and_everybody_has_a_turn() -> None:
    """However many jobs there are, and however short their grace."""
    async with _watching() as cluster:
        for job_id in range(1, 401):
            cluster.put(job_id, grace_s=5)
        cluster.wait()
        await cluster.clock.advance(20)
        assert len(cluster.asked) <= 405
        assert len({job for job, _ in cluster.asked}) >= 395


async def test_a_slurm_that_does_not_answer_is_asked_again() -> None:
    """The watcher tells of the outage; meanwhile nobody is asked."""
    async with _watching() as cluster:
        cluster.put(1, grace_s=10)
        cluster.wait()
        cluster.away = True
        await cluster.clock.advance(3)
        cluster.healthy = False
        asked = len(cluster.asked)
        await cluster.clock.advance(30)
        assert len(cluster.asked) == asked
        cluster.healthy, cluster.away, cluster.making_room = True, False, {1}
        await cluster.clock.advance(2)
        assert cluster.reread_s
