import httpx2
import pytest

from bridge.model.ids import SlurmJobId
from bridge.slurm import JobDescription, SlurmClient, TokenSource, Unavailable
from bridge.slurm.immediate import ImmediateStarts

from . import recorded
from .clocks import ImpatientClock, ManualClock
from .slurmrestd import Slurmrestd

_JOB = JobDescription(name="x", admin_comment="gang-1")


class Starts(Slurmrestd):
    """One that also takes `/job/allocate`: the next `free` jobs start, others get `number`."""

    def __init__(self, *, free: int = 0, number: int = 2016) -> None:
        super().__init__()
        self.free = free
        self.number = number
        self.asked = 0
        self.when = self._allocate

    def _allocate(self, request: httpx2.Request) -> httpx2.Response | None:
        if not request.url.path.endswith("/job/allocate"):
            return None
        self.asked += 1
        self.free -= 1
        if self.free >= 0:
            return recorded.well(job_id=self.add("RUNNING", admin_comment="gang-1"))
        self.add("FAILED", admin_comment="gang-1", state_reason="BadConstraints")
        return recorded.refused(self.number, status=422)

    def client(self, clock: ManualClock | ImpatientClock | None = None) -> SlurmClient:
        return SlurmClient(
            endpoints=["http://slurm"],
            token=TokenSource.fixed("secret"),
            clock=clock or ImpatientClock(),
            transport=self.server(),
        )

    def state(self, job_id: SlurmJobId) -> str:
        state: str = self.jobs[job_id]["job_state"][0]
        return state


async def test_a_job_starts_in_the_call_that_submits_it() -> None:
    """Where nodes are free its id is that of a job that runs, and nothing else was made."""
    rest = Starts(free=1)
    async with rest.client() as client:
        job_id = await client.submit(_JOB, immediate=True)
    assert rest.state(job_id) == "RUNNING"
    assert len(rest.jobs) == 1


async def test_the_request_says_immediately() -> None:
    """Without it slurmrestd would answer only when the job starts."""
    rest = Starts(free=1)
    server = rest.server()
    async with SlurmClient(
        endpoints=["http://slurm"],
        token=TokenSource.fixed("secret"),
        clock=ImpatientClock(),
        transport=server,
    ) as client:
        await client.submit(_JOB, recover=False, immediate=True)
    assert [body["job"]["immediate"] for body in server.bodies() if body] == [True]


@pytest.mark.parametrize("number", [2013, 2016, 2050, 2125, 9202])
async def test_a_job_that_cannot_start_now_is_queued(number: int) -> None:
    """Whatever Slurm has against the start (priority, nodes, limits): the queue has the word."""
    rest = Starts(number=number)
    async with rest.client() as client:
        assert rest.state(await client.submit(_JOB, immediate=True)) == "PENDING"


async def test_nobody_is_asked_to_start_at_once_unless_told() -> None:
    """A plain submit goes to the queue."""
    rest = Starts(free=1)
    async with rest.client() as client:
        await client.submit(_JOB)
    assert not rest.asked


@pytest.mark.parametrize(
    "job",
    [
        JobDescription(name="x", admin_comment="gang-1", user_id="alice"),
        JobDescription(name="x", admin_comment="gang-1", group_id="1000"),
        JobDescription(name="x", admin_comment="gang-1", script="#!/bin/sh"),
    ],
)
async def test_jobs_of_others_and_scripts_go_to_the_queue(job: JobDescription) -> None:
    """Slurm would start them as jobs of the bridge's own user."""
    rest = Starts(free=1)
    async with rest.client() as client:
        assert rest.state(await client.submit(job, immediate=True)) == "PENDING"
    assert not rest.asked


async def test_behind_others_it_is_not_asked() -> None:
    """While any job waits a start would be refused and leave a FAILED job behind."""
    rest = Starts(free=1)
    rest.add("PENDING")
    async with rest.client() as client:
        await client.job_states()
        assert rest.state(await client.submit(_JOB, immediate=True)) == "PENDING"
    assert not rest.asked


async def test_after_a_refusal_it_is_asked_again_only_later() -> None:
    """A burst into a full cluster makes one FAILED job, not one for each of its jobs."""
    rest, clock = Starts(), ManualClock()
    async with rest.client(clock) as client:
        for number in range(5):
            await client.submit(JobDescription(name="x", admin_comment=f"{number}"), immediate=True)
        assert rest.asked == 1


async def test_a_refused_start_is_not_taken_for_a_lost_submit() -> None:
    """Its FAILED job carries the identity too; the job in the queue is the one that is found."""
    rest = Starts()
    lost = False

    def lose(request: httpx2.Request) -> None:
        nonlocal lost
        if request.url.path.endswith("/job/submit") and not lost:
            lost = True
            raise httpx2.ReadError("lost on its way")

    rest.after = lose
    async with rest.client() as client:
        assert rest.state(await client.submit(_JOB, immediate=True)) == "PENDING"


async def test_when_only_the_refused_start_is_found_the_job_is_submitted() -> None:
    """A submit that was lost on its way there leaves nothing but the FAILED job."""
    rest = Starts()

    def drop(request: httpx2.Request) -> httpx2.Response | None:
        if request.url.path.endswith("/job/submit") and rest.asked == 1 and not dropped:
            dropped.append(True)
            raise httpx2.ReadError("lost on its way")
        return rest._allocate(request)

    dropped: list[bool] = []
    rest.when = drop
    async with rest.client() as client:
        with pytest.raises(Unavailable, match="no job of it so far"):
            await client.submit(_JOB, immediate=True)
        assert rest.state(await client.submit(_JOB, immediate=True)) == "PENDING"


def test_pauses_grow_from_two_seconds_to_a_minute() -> None:
    """Each refusal in a row doubles the time without a question; a start ends that."""
    asking, now_s = ImmediateStarts(), 100.0
    pauses = []
    for _ in range(8):
        asking.refused(now_s)
        pauses.append(next(s for s in range(1000) if asking.worth_asking(now_s + s)))
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]
    asking.granted()
    asking.refused(now_s)
    assert asking.worth_asking(now_s + 2.0)


def test_a_slurm_that_always_defers_is_left_alone() -> None:
    """Asked again after ten minutes: its settings may have changed."""
    asking = ImmediateStarts()
    asking.refused(0.0, always=True)
    assert not asking.worth_asking(599.0)
    assert asking.worth_asking(600.0)


def test_one_waiting_job_is_enough_to_wait_behind() -> None:
    """It is the whole queue that counts, other people's jobs too."""
    asking = ImmediateStarts()
    asking.listed([{"RUNNING"}, {"PENDING", "REQUEUED"}])
    assert not asking.worth_asking(0.0)
    asking.listed([{"RUNNING"}, {"CANCELLED"}])
    assert asking.worth_asking(0.0)
