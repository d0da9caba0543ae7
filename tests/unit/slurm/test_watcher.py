import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import structlog

from bridge.model.ids import SlurmJobId, SlurmNodeName
from bridge.model.job import NodeGrant
from bridge.slurm import (
    Job,
    JobGone,
    JobNotFound,
    JobSeen,
    JobWatcher,
    MalformedAnswer,
    NotAuthorised,
    Outage,
    Recovered,
    SlurmError,
    Unavailable,
)
from bridge.slurm.updates import JobUpdate

from .clocks import ManualClock

_ONE, _TWO = SlurmJobId(1), SlurmJobId(2)
_GRANT = NodeGrant(SlurmNodeName("n1"), 1, 100)


class FakeSlurm:
    """Jobs by id; every call takes `cost_s` of the clock and is counted."""

    def __init__(self, clock: ManualClock) -> None:
        self.jobs: dict[SlurmJobId, Job] = {}
        self.hidden: set[SlurmJobId] = set()
        """Missing in the list, but still readable."""
        self.error: SlurmError | None = None
        self.read_errors: dict[SlurmJobId, Exception] = {}
        self.cost_s = 0.0
        self.lists = 0
        self.reads: list[SlurmJobId] = []
        self._clock = clock

    def put(self, job_id: SlurmJobId, state: str = "PENDING", **fields: Any) -> Job:
        """There is such a job now."""
        holds: dict[str, Any] = (
            {"nodes": ("n1",), "grants": (_GRANT,)} if state == "RUNNING" else {}
        )
        job = Job(id=job_id, name=f"job-{job_id}", states=frozenset({state}), **{**holds, **fields})
        self.jobs[job_id] = job
        return job

    async def job_states_if_changed(
        self, before: bytes
    ) -> tuple[dict[SlurmJobId, frozenset[str]] | None, bytes]:
        self.lists += 1
        self._clock.now_s += self.cost_s
        if self.error is not None:
            raise self.error
        states = {key: job.states for key, job in self.jobs.items() if key not in self.hidden}
        body = repr(sorted((key, sorted(states)) for key, states in states.items())).encode()
        return (None if body == before else states), body

    async def get_job(self, job_id: SlurmJobId) -> Job:
        self.reads.append(job_id)
        if self.error is not None:
            raise self.error
        if job_id in self.read_errors:
            raise self.read_errors[job_id]
        if job_id not in self.jobs:
            raise JobNotFound(f"no job {job_id}")
        return replace(self.jobs[job_id], raw={"big": "answer"})


@dataclass
class World:
    """A watcher under a clock that the test turns."""

    clock: ManualClock
    slurm: FakeSlurm
    watcher: JobWatcher
    news: list[JobUpdate]

    async def pass_time(self, seconds: float) -> None:
        await self.clock.advance(seconds)

    def told(self) -> list[JobUpdate]:
        """What was told since the last time."""
        told, self.news[:] = list(self.news), []
        return told


@asynccontextmanager
async def _world(
    prepare: Callable[[FakeSlurm], object] = lambda _: None, **settings: Any
) -> AsyncIterator[World]:
    clock = ManualClock()
    slurm = FakeSlurm(clock)
    prepare(slurm)
    news: list[JobUpdate] = []
    watcher = JobWatcher(slurm, clock=clock, jitter=lambda: 0.5, **settings)
    watcher.subscribe(news.append)
    task = asyncio.create_task(watcher.run())
    world = World(clock, slurm, watcher, news)
    await world.pass_time(0)
    try:
        yield world
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_syncs_with_the_first_list() -> None:
    """`states` has every job of the cluster, `jobs` only tracked ones: nobody tracks any."""
    async with _world(lambda slurm: slurm.put(_ONE)) as world:
        await world.watcher.wait_for_sync()
        assert world.watcher.states == {_ONE: frozenset({"PENDING"})}
        assert world.watcher.healthy
        assert dict(world.watcher.jobs) == {}
        await world.pass_time(60)
        assert world.slurm.reads == []
        assert world.told() == []


async def test_who_needs_a_new_list_waits_for_one() -> None:
    """Without jobs to watch the next look is seconds away: it comes at once."""
    async with _world() as world:
        await world.clock.advance(30.0)
        lists, now_s = world.slurm.lists, world.clock.now_s
        world.slurm.put(_ONE)
        waiting = asyncio.create_task(world.watcher.wait_for_look())
        await world.clock.advance(0.1)
        assert waiting.done()
        assert world.slurm.lists <= lists + 2
        assert world.watcher.seen_s >= now_s
        assert _ONE in world.watcher.states


async def test_a_tracked_job_is_read_at_once() -> None:
    """Its whole content is told; the 20 KB of raw data are not kept."""
    async with _world(lambda slurm: slurm.put(_ONE)) as world:
        world.watcher.track(_ONE)
        await world.pass_time(0)
        (seen,) = world.told()
        assert seen == JobSeen(world.slurm.jobs[_ONE])
        assert world.watcher.jobs[_ONE].job.raw == {}


async def test_a_change_of_state_is_told_within_one_interval() -> None:
    """The list shows it, the job is read at once."""
    async with _world(lambda slurm: slurm.put(_ONE)) as world:
        world.watcher.track(_ONE)
        await world.pass_time(10)
        world.told()
        world.slurm.put(_ONE, "RUNNING")
        await world.pass_time(0.5)
        (seen,) = world.told()
        assert isinstance(seen, JobSeen)
        assert seen.job.running


async def test_after_a_poke_the_change_is_told_within_the_quick_interval() -> None:
    """An idle Slurm starts a job in a tenth of a second: nobody waits half a second to hear it."""
    async with _world(lambda slurm: slurm.put(_ONE), poll_quick_s=0.05) as world:
        world.watcher.track(_ONE)
        await world.pass_time(10.01)
        world.told()
        world.watcher.trigger()
        await world.pass_time(0.2)
        world.slurm.put(_ONE, "RUNNING")
        await world.pass_time(0.06)
        assert any(isinstance(one, JobSeen) and one.job.running for one in world.told())


async def test_jobs_of_others_are_not_read() -> None:
    """Only tracked jobs cost a reading, whatever the others do."""
    async with _world(lambda slurm: slurm.put(_ONE)) as world:
        world.watcher.track(_ONE)
        await world.pass_time(1)
        for number in range(100, 200):
            world.slurm.put(SlurmJobId(number), "RUNNING")
        await world.pass_time(20)
        assert set(world.slurm.reads) == {_ONE}
        assert len(world.watcher.states) == 101


async def test_what_changes_without_a_state_change_is_read_again() -> None:
    """Reason, expected start, preemption and node list are seen within seconds."""
    async with _world(lambda slurm: slurm.put(_ONE, reason="Priority")) as world:
        world.watcher.track(_ONE)
        await world.pass_time(1)
        world.told()
        world.slurm.put(_ONE, reason="Resources", start_s=1_800_000_000)
        await world.pass_time(3)
        (seen,) = world.told()
        assert isinstance(seen, JobSeen)
        assert seen.job.reason == "Resources"


async def test_the_same_content_is_told_once() -> None:
    """Reading a job again tells nothing when nothing is new."""
    async with _world(lambda slurm: slurm.put(_ONE)) as world:
        world.watcher.track(_ONE)
        await world.pass_time(30)
        assert len(world.told()) == 1
        assert len(world.slurm.reads) > 2


async def test_reading_again_keeps_to_its_budget_oldest_first() -> None:
    """A thousand jobs are read round robin, no faster than allowed, each before any twice."""
    ids = [SlurmJobId(number) for number in range(1, 201)]

    def prepare(slurm: FakeSlurm) -> None:
        for job_id in ids:
            slurm.put(job_id)

    async with _world(prepare, detail_gets_per_s=20.0) as world:
        for job_id in ids:
            world.watcher.track(job_id)
        await world.pass_time(1)
        world.slurm.reads.clear()
        await world.pass_time(100)
        assert len(world.slurm.reads) <= 20 * 12 + 2 * 90 + 20
        assert sorted(world.slurm.reads[:200]) == ids
        oldest_s = world.watcher.oldest_details_s
        assert oldest_s is not None
        assert world.clock.now_s - oldest_s < 200 / 2


async def test_jobs_that_hold_nodes_are_read_again_more_rarely() -> None:
    """Their records are large and seldom change; yet a crowd that waits doesn't keep them out."""

    def prepare(slurm: FakeSlurm) -> None:
        slurm.put(_ONE, "RUNNING")
        for number in range(2, 202):
            slurm.put(SlurmJobId(number))

    async with _world(prepare, detail_gets_per_s=20.0) as world:
        world.watcher.track(_ONE)
        await world.pass_time(60)
        assert world.slurm.reads.count(_ONE) <= 7
        for number in range(2, 202):
            world.watcher.track(SlurmJobId(number))
        world.slurm.reads.clear()
        await world.pass_time(600)
        assert _ONE in world.slurm.reads


async def test_ended_jobs_are_not_read_again() -> None:
    """What is over does not change."""
    async with _world(lambda slurm: slurm.put(_ONE, "COMPLETED")) as world:
        world.watcher.track(_ONE)
        await world.pass_time(60)
        assert world.slurm.reads == [_ONE]


async def test_each_healthy_list_makes_unchanged_jobs_fresh() -> None:
    """`seen_s` follows the lists although nothing is read: the bind relies on it."""
    async with _world(lambda slurm: slurm.put(_ONE, "RUNNING"), detail_gets_per_s=0.001) as world:
        world.watcher.track(_ONE)
        await world.pass_time(20)
        watched = world.watcher.jobs[_ONE]
        assert world.clock.now_s - watched.seen_s <= 0.5
        assert world.clock.now_s - watched.fetched_s >= 19


async def test_freshness_counts_from_the_question_not_from_the_answer() -> None:
    """What a slow Slurm says was true when it was asked, at the earliest."""
    async with _world(lambda slurm: slurm.put(_ONE, "RUNNING")) as world:
        world.watcher.track(_ONE)
        await world.pass_time(1)
        world.slurm.cost_s = 1.5
        await world.pass_time(10)
        watched = world.watcher.jobs[_ONE]
        assert world.watcher.seen_s == watched.seen_s or watched.fetched_s == watched.seen_s
        assert world.watcher.poll_cost_s > 0.4
        assert world.watcher.seen_s <= world.clock.now_s - 1.5


async def test_a_job_that_the_list_contradicts_is_no_longer_fresh() -> None:
    """Until the new state was read, `seen_s` stays at the last confirmation."""
    async with _world(lambda slurm: slurm.put(_ONE, "RUNNING")) as world:
        world.watcher.track(_ONE)
        await world.pass_time(5)
        world.slurm.read_errors[_ONE] = MalformedAnswer("half an answer")
        world.slurm.put(_ONE, "CANCELLED")
        await world.pass_time(10)
        watched = world.watcher.jobs[_ONE]
        assert watched.job.running
        assert world.clock.now_s - watched.seen_s >= 9
        world.told()
        del world.slurm.read_errors[_ONE]
        await world.pass_time(1)
        assert [type(one) for one in world.told()] == [JobSeen]
        assert world.watcher.jobs[_ONE].job.ended


async def test_a_purged_job_is_gone() -> None:
    """The list lacks it and reading it says so: told once, with what was last known of it."""
    async with _world(lambda slurm: slurm.put(_ONE, "COMPLETED")) as world:
        world.watcher.track(_ONE)
        await world.pass_time(1)
        (seen,) = world.told()
        assert isinstance(seen, JobSeen)
        del world.slurm.jobs[_ONE]
        await world.pass_time(20)
        assert world.told() == [JobGone(_ONE, seen.job)]
        assert _ONE not in world.watcher.jobs


async def test_a_job_that_only_the_list_lacks_is_not_gone() -> None:
    """Reading it is the proof: a list made before the submit must not end a new job."""
    async with _world(lambda slurm: slurm.hidden.add(_ONE)) as world:
        world.slurm.put(_ONE)
        world.watcher.track(_ONE)
        await world.pass_time(10)
        assert [type(one) for one in world.told()] == [JobSeen]
        assert _ONE in world.watcher.jobs


async def test_an_id_that_never_was_is_gone() -> None:
    """Somebody tracked a job that a lost slurmctld state has forgotten."""
    async with _world() as world:
        world.watcher.track(_TWO)
        await world.pass_time(2)
        assert world.told() == [JobGone(_TWO, None)]


@pytest.mark.parametrize("error", [Unavailable("away"), NotAuthorised("token expired")])
async def test_an_outage_is_told_once_and_ends_nothing(error: SlurmError) -> None:
    """What is known stays, nobody is gone, and the recovery is told with its length."""
    async with _world(lambda slurm: slurm.put(_ONE, "RUNNING")) as world:
        world.watcher.track(_ONE)
        await world.pass_time(1)
        world.told()
        world.slurm.error = error
        await world.pass_time(60)
        assert world.told() == [Outage(error)]
        assert not world.watcher.healthy
        assert world.watcher.problem == str(error)
        assert world.clock.now_s - world.watcher.seen_s >= 59
        assert world.watcher.jobs[_ONE].job.running
        assert world.watcher.states == {_ONE: frozenset({"RUNNING"})}
        assert world.clock.now_s - world.watcher.jobs[_ONE].seen_s >= 59
        world.slurm.error = None
        await world.pass_time(6)
        (recovered,) = world.told()
        assert isinstance(recovered, Recovered)
        assert 59 <= recovered.after_s <= 66
        assert recovered.failures > 5
        assert world.watcher.healthy
        assert world.watcher.problem == ""


async def test_an_outage_is_asked_about_ever_less_often() -> None:
    """Back-off grows to the longest interval; jobs aren't read meanwhile, triggers don't hurry."""
    async with _world(lambda slurm: slurm.put(_ONE)) as world:
        world.watcher.track(_ONE)
        await world.pass_time(1)
        world.slurm.error = Unavailable("away")
        world.slurm.lists = 0
        world.slurm.reads.clear()
        await world.pass_time(60)
        world.watcher.trigger()
        await world.pass_time(0.1)
        assert 12 <= world.slurm.lists <= 25
        assert len(world.slurm.reads) <= 8


async def test_an_outage_at_the_start_delays_the_sync() -> None:
    """Nothing is known before Slurm has answered once."""

    def prepare(slurm: FakeSlurm) -> None:
        slurm.error = Unavailable("away")
        slurm.put(_ONE)

    async with _world(prepare) as world:
        world.watcher.track(_ONE)
        await world.pass_time(10)
        waiting = asyncio.create_task(world.watcher.wait_for_sync())
        await world.pass_time(0)
        assert not waiting.done()
        world.slurm.error = None
        await world.pass_time(6)
        assert waiting.done()
        assert [type(one) for one in world.told()] == [Outage, Recovered, JobSeen]


async def test_a_job_that_ended_during_an_outage_is_told_after_it() -> None:
    """The first list after the outage is compared with what was known before."""
    async with _world(lambda slurm: slurm.put(_ONE, "RUNNING")) as world:
        world.watcher.track(_ONE)
        await world.pass_time(1)
        world.slurm.error = Unavailable("away")
        await world.pass_time(30)
        world.told()
        world.slurm.put(_ONE, "TIMEOUT")
        world.slurm.error = None
        await world.pass_time(6)
        kinds = world.told()
        assert [type(one) for one in kinds] == [Recovered, JobSeen]
        assert world.watcher.jobs[_ONE].job.state == "TIMEOUT"


async def test_one_unreadable_job_stops_no_other() -> None:
    """A job whose answer can't be understood is tried again; the others go on."""

    def prepare(slurm: FakeSlurm) -> None:
        slurm.put(_ONE)
        slurm.put(_TWO)
        slurm.read_errors[_ONE] = MalformedAnswer("gres_detail tells of 3 nodes")

    async with _world(prepare) as world:
        world.watcher.track(_ONE)
        world.watcher.track(_TWO)
        await world.pass_time(5)
        assert set(world.watcher.jobs) == {_TWO}
        world.slurm.read_errors.clear()
        await world.pass_time(1)
        assert set(world.watcher.jobs) == {_ONE, _TWO}


async def test_a_job_that_stays_unreadable_does_not_hurry_for_ever() -> None:
    """It is tried with each look at the resting pace, so the others cost no more than before."""

    def prepare(slurm: FakeSlurm) -> None:
        slurm.put(_ONE)
        slurm.read_errors[_ONE] = MalformedAnswer("gres_detail tells of 3 nodes")

    async with _world(prepare) as world:
        world.watcher.track(_ONE)
        await world.pass_time(10)
        world.slurm.lists = 0
        world.slurm.reads.clear()
        await world.pass_time(60)
        assert world.slurm.lists <= 121
        assert len(world.slurm.reads) <= 121


async def test_a_started_job_without_nodes_is_read_until_it_has_them() -> None:
    """RUNNING plus a node list is the grant; the list follows a moment later."""
    async with _world(lambda slurm: slurm.put(_ONE)) as world:
        world.watcher.track(_ONE)
        await world.pass_time(10)
        world.slurm.put(_ONE, "RUNNING", nodes=(), grants=())
        await world.pass_time(0.5)
        assert not world.watcher.jobs[_ONE].job.running
        world.slurm.put(_ONE, "RUNNING")
        await world.pass_time(0.12)
        assert world.watcher.jobs[_ONE].job.running


async def test_an_untracked_job_is_forgotten() -> None:
    """Nothing is told of it any more, and nothing is read."""
    async with _world(lambda slurm: slurm.put(_ONE)) as world:
        world.watcher.track(_ONE)
        await world.pass_time(1)
        world.watcher.untrack(_ONE)
        world.told()
        world.slurm.reads.clear()
        world.slurm.put(_ONE, "RUNNING")
        await world.pass_time(30)
        assert world.told() == []
        assert world.slurm.reads == []
        assert dict(world.watcher.jobs) == {}


async def test_a_subscriber_that_raises_harms_nobody() -> None:
    """The mistake is logged; the others hear the news and the watching goes on."""
    async with _world(lambda slurm: slurm.put(_ONE)) as world:

        def broken(_: JobUpdate) -> None:
            raise KeyError("mine")

        world.watcher.subscribe(broken)
        late: list[JobUpdate] = []
        world.watcher.subscribe(late.append)
        world.watcher.track(_ONE)
        with structlog.testing.capture_logs() as logged:
            await world.pass_time(1)
        assert [one["event"] for one in logged] == ["watcher.subscriber_failed"]
        assert len(world.told()) == len(late) == 1
        assert world.watcher.healthy


async def test_a_bug_in_the_client_is_an_outage_not_an_end() -> None:
    """Whatever a look raises, the next one comes."""
    async with _world(lambda slurm: slurm.put(_ONE)) as world:
        await world.pass_time(1)
        world.slurm.error = ZeroDivisionError("bug")  # type: ignore[assignment]
        with structlog.testing.capture_logs() as logged:
            await world.pass_time(10)
        assert {one["event"] for one in logged} == {"watcher.look_crashed"}
        assert [type(one) for one in world.told()] == [Outage]
        world.slurm.error = None
        await world.pass_time(6)
        assert world.watcher.healthy


async def test_at_rest_it_costs_little() -> None:
    """Ten minutes with one waiting job: two lists a second at most, one reading a second."""
    async with _world(lambda slurm: slurm.put(_ONE)) as world:
        world.watcher.track(_ONE)
        await world.pass_time(20)
        world.slurm.lists = 0
        world.slurm.reads.clear()
        await world.pass_time(600)
        assert world.slurm.lists <= 1210
        assert len(world.slurm.reads) <= 300


async def test_a_burst_of_changes_is_read_side_by_side() -> None:
    """As many readings are on their way as allowed, never more."""
    on_the_way, most = 0, 0
    gate = asyncio.Event()

    class Slow(FakeSlurm):
        async def get_job(self, job_id: SlurmJobId) -> Job:
            nonlocal on_the_way, most
            on_the_way += 1
            most = max(most, on_the_way)
            await gate.wait()
            on_the_way -= 1
            return await super().get_job(job_id)

    clock = ManualClock()
    slurm = Slow(clock)
    watcher = JobWatcher(slurm, clock=clock, concurrency=4)
    task = asyncio.create_task(watcher.run())
    for number in range(1, 51):
        slurm.put(SlurmJobId(number))
        watcher.track(SlurmJobId(number))
    await clock.advance(1)
    assert most == on_the_way == 4
    gate.set()
    await clock.advance(1)
    assert len(watcher.jobs) == 50
    assert most == 4
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_all_jobs_are_tracked_when_that_is_wanted() -> None:
    """Those that are there and those that come, without asking for them."""
    async with _world(lambda slurm: slurm.put(_ONE), all_jobs=True) as world:
        await world.pass_time(1)
        world.slurm.put(_TWO, "RUNNING")
        await world.pass_time(6)
        assert [one.job.id for one in world.told() if isinstance(one, JobSeen)] == [_ONE, _TWO]


async def test_waiting_for_a_job_to_be_as_wanted() -> None:
    """It is tracked by that; who waits for what is already so doesn't wait."""
    async with _world(lambda slurm: slurm.put(_ONE)) as world:
        runs = asyncio.ensure_future(world.watcher.wait_for(_ONE, lambda job: job.running))
        await world.pass_time(1)
        assert not runs.done()
        world.slurm.put(_ONE, "RUNNING")
        await world.pass_time(6)
        assert runs.result() == world.slurm.jobs[_ONE]
        assert (await world.watcher.wait_for(_ONE, lambda job: job.running)).running


async def test_waiting_for_a_job_that_is_gone_ends() -> None:
    """Slurm has forgotten it before it was as wanted."""
    async with _world(lambda slurm: slurm.put(_ONE)) as world:
        waits = asyncio.ensure_future(world.watcher.wait_for(_ONE, lambda job: job.running))
        await world.pass_time(1)
        del world.slurm.jobs[_ONE]
        await world.pass_time(6)
        with pytest.raises(JobNotFound):
            await waits


async def test_the_age_of_details_is_that_of_the_oldest() -> None:
    """Nothing while nothing is re-read; it grows while Slurm is away."""
    async with _world(lambda slurm: slurm.put(_ONE)) as world:
        assert world.watcher.details_age_s == 0
        world.watcher.track(_ONE)
        await world.pass_time(0)
        world.slurm.error = Unavailable("away")
        await world.pass_time(100)
        assert world.watcher.details_age_s == 100


@pytest.mark.parametrize(("state", "reads"), [("PENDING", 120), ("RUNNING", 60)])
async def test_the_large_records_of_running_jobs_count_twice(state: str, reads: int) -> None:
    """At rest two small records a second are read again, or one large one."""

    def prepare(slurm: FakeSlurm) -> None:
        for number in range(1, 501):
            slurm.put(SlurmJobId(number), state)

    async with _world(prepare, all_jobs=True) as world:
        await world.pass_time(30)
        world.slurm.reads.clear()
        await world.pass_time(60)
        assert len(world.slurm.reads) == pytest.approx(reads, abs=3)


async def test_a_job_whose_nodes_were_changed_is_read_when_that_is_said() -> None:
    """Its state does not show it; a job that nobody tracks is not read."""
    async with _world(lambda slurm: slurm.put(_ONE, "RUNNING")) as world:
        world.watcher.track(_ONE)
        await world.pass_time(1)
        before = world.slurm.reads.count(_ONE)
        world.watcher.reread(_ONE)
        world.watcher.reread(_TWO)
        await world.pass_time(0)
        assert world.slurm.reads.count(_ONE) == before + 1
        assert _TWO not in world.slurm.reads
