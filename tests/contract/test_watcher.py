"""The watcher: what is told of jobs."""

import asyncio

from bridge.clock import SystemClock
from bridge.model.ids import SlurmJobId
from bridge.slurm import (
    JobGone,
    JobSeen,
    Outage,
)
from tests.contract.ground import Ground, a_job, until, watching

CLOCK = SystemClock()


async def test_the_watcher_tells_a_jobs_life(ground: Ground) -> None:
    """Submitted, running with its grant, cancelled: each told, soon after it happened."""
    client = ground.client
    async with ground.nodes(1) as nodes, watching(client) as (watcher, news):
        job_id = await client.submit(a_job(nodes[0]))
        watcher.track(job_id)
        watcher.trigger()

        def states() -> list[str]:
            return [one.job.state for one in news if isinstance(one, JobSeen)]

        await until(lambda: "RUNNING" in states(), "told RUNNING", within_s=5)
        await until(lambda: watcher.jobs[job_id].job.grants, "with its grant", within_s=5)
        await until(lambda: CLOCK.monotonic() - watcher.jobs[job_id].seen_s < 1, "stays fresh")
        await client.cancel_job(job_id)
        watcher.trigger()
        await until(lambda: states()[-1] == "CANCELLED", "told CANCELLED", within_s=2)


async def test_two_hundred_jobs_at_once(ground: Ground) -> None:
    """All are submitted side by side, run, and are seen to; ids are all different."""
    client = ground.client
    async with ground.nodes(4) as nodes, watching(client) as (watcher, news):
        gate = asyncio.Semaphore(8)

        async def submit(number: int) -> SlurmJobId:
            async with gate:
                job_id = await client.submit(a_job(nodes[0], admin_comment=f"{nodes[0]} {number}"))
            watcher.track(job_id)
            watcher.trigger()
            return job_id

        ids = await asyncio.gather(*(submit(number) for number in range(200)))
        assert len(set(ids)) == 200
        await until(
            lambda: all(one in watcher.jobs and watcher.jobs[one].job.running for one in ids),
            "all seen running",
        )
        assert not any(isinstance(one, JobGone | Outage) for one in news)
