"""What concerns the jobs in Slurm, in the order in which it was decided."""

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

from bridge.controller.job_updater import JobUpdater
from bridge.controller.pool import Pool
from bridge.lifecycle import instructions as do
from bridge.model.ids import GangId, SlurmJobId
from bridge.model.job import JobIdentity, JobSpec

SPEC = JobSpec(JobIdentity("c", "g", 0, "o"), name="x", tasks=1, cpus_per_task=1, partition="p")


class Slow:
    """A slurmrestd that answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = asyncio.Semaphore(0)

    async def update_job(self, job_id: SlurmJobId, changes: Any) -> None:
        self.asked.append(f"{job_id}: {changes.constraints}")
        await self.may_answer.acquire()


def wishes(job_id: int, *constraints: str) -> list[do.UpdateJob]:
    specs = [replace(SPEC, constraints=one) for one in ("", *constraints)]
    return [do.UpdateJob(SlurmJobId(job_id), old, new) for old, new in pairwise(specs)]


async def test_changes_of_a_job_are_made_one_after_the_other_and_only_the_newest() -> None:
    """However fast they come and however slow Slurm is: none overtakes another, none piles up."""
    slurm = Slow()
    pool = Pool(workers=8)
    writer = JobUpdater(
        client=cast("Any", slurm), pool=pool, handle=lambda *_: None, failed=lambda *_: None
    )
    work = asyncio.create_task(pool.run())
    first, *later = wishes(7, "a", *(f"b{at}" for at in range(1000)), "z")
    writer.update(GangId("g"), first, tenant="team")
    await asyncio.sleep(0.01)
    for one in later:
        writer.update(GangId("g"), one, tenant="team")
    (other,) = wishes(8, "c")
    writer.update(GangId("h"), other, tenant="team")
    await asyncio.sleep(0.01)
    assert slurm.asked == ["7: a", "8: c"]
    for _ in range(4):
        slurm.may_answer.release()
        await asyncio.sleep(0.01)
    assert slurm.asked == ["7: a", "8: c", "7: z"]
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
