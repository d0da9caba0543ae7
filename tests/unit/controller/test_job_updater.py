"""Changes of waiting jobs, in the order in which they were decided."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise

import pytest

from bridge import slurm
from bridge.controller.job_updater import JobUpdater
from bridge.controller.pool import Pool
from bridge.lifecycle import instructions as do
from bridge.model.ids import GangId, SlurmJobId
from bridge.model.job import JobSpec
from tests.unit.controller.doubles import SPEC, Heard, Slurm, a_double, at_work, unavailable
from tests.unit.slurm.clocks import settle


class Slow(Slurm):
    """Answers a change when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = asyncio.Semaphore(0)

    async def update_job(self, job_id: SlurmJobId, changes: slurm.JobChanges) -> None:
        try:
            await super().update_job(job_id, changes)
        finally:
            await self.may_answer.acquire()


class Updating:
    def __init__(self) -> None:
        self.slurm, self.heard, self.pool = Slow(), Heard(), Pool(8)
        self.updater = JobUpdater(
            client=a_double(self.slurm), pool=self.pool,
            handle=self.heard.handle, failed=self.heard.failed,
        )  # fmt: skip

    async def update(self, gang_id: str, *instructions: do.UpdateJob) -> None:
        for one in instructions:
            self.updater.update(GangId(gang_id), one, tenant="team")
        await settle()

    async def answer(self, times: int = 1) -> None:
        for _ in range(times):
            self.slurm.may_answer.release()
            await settle()


@asynccontextmanager
async def updating() -> AsyncIterator[Updating]:
    it = Updating()
    async with at_work(it.pool.run):
        yield it


def at(constraints: str) -> JobSpec:
    return replace(SPEC, constraints=constraints)


def changes(job_id: int, *constraints: str) -> list[do.UpdateJob]:
    """One change after the other, from "" to the last."""
    specs = [at(one) for one in ("", *constraints)]
    return [do.UpdateJob(SlurmJobId(job_id), old, new) for old, new in pairwise(specs)]


async def test_changes_of_a_job_are_made_one_after_the_other_and_only_the_newest() -> None:
    """However fast they come and however slow Slurm is: none overtakes another, none piles up."""
    async with updating() as it:
        first, *later = changes(7, "a", *(f"b{number}" for number in range(1000)), "z")
        await it.update("g", first)
        await it.update("g", *later)
        await it.update("h", *changes(8, "c"))
        assert it.slurm.asked == ["update 7: a", "update 8: c"]
        await it.answer(4)
        assert it.slurm.asked == ["update 7: a", "update 8: c", "update 7: z"]


async def test_changes_that_wait_are_one_from_the_first_that_slurm_has_to_the_last() -> None:
    """What was left out in between is not asked for: back where it began, nothing changes."""
    async with updating() as it:
        await it.update("g", *changes(7, "a", "b"), do.UpdateJob(SlurmJobId(7), at("b"), at("")))
        assert it.slurm.asked == ["update 7: None"], "from what it was to the same"


async def test_a_change_of_what_is_not_known_stays_one() -> None:
    """After a restart nobody knows what the job was told: all is said anew."""
    async with updating() as it:
        first, second = changes(7, "a", "b")
        await it.update("g", first, replace(second, old=None))
        assert it.slurm.asked == ["update 7: b"]


@pytest.mark.parametrize("error", [slurm.InvalidRequest("refused"), unavailable()])
async def test_a_gang_is_told_that_its_change_was_not_made(error: Exception) -> None:
    """Slurm may have the job as it was; the change that waits is made all the same."""
    async with updating() as it:
        it.slurm.errors["update"] = [error]
        first, second = changes(7, "a", "b")
        await it.update("g", first)
        await it.update("g", second)
        await it.answer(2)
        assert it.heard.kinds("g") == ["UpdateFailed"]
        assert it.slurm.asked == ["update 7: a", "update 7: b"]


async def test_a_mistake_of_ours_is_the_gangs_fault_and_blocks_no_later_change() -> None:
    """The job is not "being changed" for ever."""
    async with updating() as it:
        it.slurm.errors["update"] = [RuntimeError("mistake")]
        first, second = changes(7, "a", "b")
        await it.update("g", first)
        await it.answer()
        assert it.heard.faults == [("g", "mistake")]
        await it.update("g", second)
        assert it.slurm.asked == ["update 7: a", "update 7: b"]


async def test_all_components_of_a_het_job_are_changed() -> None:
    """Their ids follow the first's; one that is refused ends it."""
    async with updating() as it:
        old = replace(SPEC, also=(SPEC, SPEC))
        new = replace(at("a"), also=(at("b"), at("c")))
        await it.update("g", do.UpdateJob(SlurmJobId(7), old, new))
        await it.answer(3)
        assert it.slurm.asked == ["update 7: a", "update 8: b", "update 9: c"]
