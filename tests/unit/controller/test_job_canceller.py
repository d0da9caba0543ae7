"""Jobs that are to end, until Slurm has answered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from bridge.controller.job_canceller import JobCanceller
from bridge.controller.pool import Pool
from bridge.lifecycle import instructions as do
from bridge.model.ids import SlurmJobId
from tests.unit.controller.doubles import Kept, Slurm, a_double, at_work, unavailable
from tests.unit.slurm.clocks import ManualClock, settle

SEVEN = SlurmJobId(7)


class Cancelling:
    def __init__(self) -> None:
        self.clock, self.done = ManualClock(), list[None]()
        self.slurm = Slurm(self.clock)
        self.pool = Pool(2)
        self.outage = Kept(self.clock).outage(self.clock)
        self.canceller = JobCanceller(
            client=a_double(self.slurm), pool=self.pool, done=lambda: self.done.append(None),
            outage=self.outage, later=self.clock.later,
        )  # fmt: skip

    def cancel(self, job_id: int) -> None:
        self.canceller.cancel(do.CancelJob(SlurmJobId(job_id), "test"), tenant="team")


@asynccontextmanager
async def cancelling() -> AsyncIterator[Cancelling]:
    it = Cancelling()
    async with at_work(it.pool.run):
        yield it


async def test_a_job_is_ended_with_one_request_however_often_that_is_asked_for() -> None:
    """Until its end was seen; then the id may be another job's."""
    async with cancelling() as it:
        for _ in range(3):
            it.cancel(7)
        await settle()
        assert it.slurm.asked == ["cancel 7"]
        assert len(it.done) == 1, "the watcher is to look soon"
        assert it.canceller.is_cancelling(SEVEN)
        it.canceller.forget(SEVEN)
        it.canceller.cancel_leak(SEVEN)
        await settle()
        assert it.slurm.asked == ["cancel 7"] * 2


@pytest.mark.parametrize("error", [unavailable(), RuntimeError("ours")])
async def test_a_cancel_that_fails_is_tried_again_after_a_growing_time(error: Exception) -> None:
    """After 2, 4, 8 … 60 seconds, also where the mistake is ours: the job must not stay."""
    async with cancelling() as it:
        it.slurm.errors["cancel"] = [error] * 9
        it.cancel(7)
        await it.clock.advance(400.0)
        waits = [later - earlier for earlier, later in pairwise(it.slurm.asked_s)]
        assert waits == [2, 4, 8, 16, 32, 60, 60, 60, 60]
        assert len(it.done) == 1


async def test_an_outage_is_told_and_a_mistake_of_ours_is_none() -> None:
    """The admin of Slurm has nothing to look at then."""
    async with cancelling() as it:
        it.slurm.errors["cancel"] = [RuntimeError("ours"), unavailable()]
        it.cancel(7)
        await settle()
        assert it.outage.lasting_s is None
        it.cancel(8)
        await settle()
        assert it.outage.lasting_s is not None


async def test_once_its_end_was_seen_a_job_is_not_asked_for_again() -> None:
    """It may have ended by itself while Slurm did not answer."""
    async with cancelling() as it:
        it.slurm.errors["cancel"] = [unavailable()] * 9
        it.cancel(7)
        await settle()
        it.canceller.forget(SEVEN)
        await it.clock.advance(2.0)  # what was asked for before it was seen is still asked
        assert len(it.slurm.asked) == 2
        await it.clock.advance(100.0)
        assert len(it.slurm.asked) == 2
