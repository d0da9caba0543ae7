"""What the contract's tests stand on: nodes of their own, and waiting."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from bridge.clock import SystemClock
from bridge.model.ids import SlurmJobId, SlurmNodeName
from bridge.model.job import Gres
from bridge.slurm import (
    InUse,
    Job,
    JobDescription,
    JobNotFound,
    JobWatcher,
    NodeDefinition,
    NotFound,
    SlurmClient,
)
from bridge.slurm.updates import JobUpdate

PARTITION = "slurm-bridge"
PEOPLE = {"alice": 10001, "bob": 10002}
"""Whom slurmctld's host knows by these numbers, and the accounting not yet."""
GPUS = (Gres("gpu", "h100", 8), Gres("efa", "", 4))


@dataclass(frozen=True)
class Ground:
    """A Slurm, through a client that speaks one version."""

    client: SlurmClient
    version: str
    real: bool
    topology: str

    def definition(self, name: str, run: str, *, leaf: int = 0) -> NodeDefinition:
        """An 8-GPU node of a class of the test's own."""
        return NodeDefinition(
            name=name,
            address="127.0.0.1",
            cpus=63,
            memory_mib=64_000,
            features=(PARTITION, f"class-{run}"),
            topology=f"{self.topology}:spine-{run}:leaf-{run}-{leaf}",
            gres=GPUS,
        )

    @asynccontextmanager
    async def nodes(
        self, count: int, gres: tuple[Gres, ...] = GPUS
    ) -> AsyncIterator[tuple[SlurmNodeName, ...]]:
        """So many of them, for as long as the test runs; its jobs end with them."""
        run = secrets.token_hex(3)
        names = tuple(SlurmNodeName(f"t-{run}-{number}.x.internal") for number in range(count))
        for number, name in enumerate(names):
            defined = self.definition(name, run, leaf=number % 2)
            await self.client.create_node(replace(defined, gres=gres))
        try:
            yield names
        finally:
            await self._end_jobs(run)
            for name in names:
                await until(lambda name=name: self._deleted(name), "node deleted")  # type: ignore[misc]

    async def _end_jobs(self, run: str) -> None:
        for job_id in await self.client.job_states():
            try:
                job = await self.client.get_job(job_id)
            except JobNotFound:
                continue
            if job.comment == run or f"class-{run}" in job.constraints:
                await self.client.cancel_job(job_id)

    async def _deleted(self, name: SlurmNodeName) -> bool:
        try:
            await self.client.delete_node(name)
        except InUse:
            return False
        except NotFound:
            pass
        return True


def class_of(node: SlurmNodeName) -> str:
    """The class that only the test's nodes have."""
    return f"class-{node.split('-')[1]}"


def a_job(node: SlurmNodeName, **fields: object) -> JobDescription:
    """A job for the nodes of this test."""
    said: dict[str, object] = {
        "name": "contract",
        "partition": PARTITION,
        "tasks": 1,
        "cpus_per_task": 1,
        "memory_per_cpu_mib": 100,
        "constraints": class_of(node),
        "user_id": "1000",
        "group_id": "1000",
        **fields,
    }
    return JobDescription(**said)  # type: ignore[arg-type]


def a_script(partition: str, line: str, **fields: object) -> JobDescription:
    """A batch job of one line, of a user whom Slurm's host knows."""
    said: dict[str, object] = {
        "name": "contract",
        "partition": partition,
        "script": f"#!/bin/sh\n{line}\n",
        "flags": (),
        "tasks": 1,
        "memory_per_cpu_mib": 1,
        "user_id": "10001",
        "group_id": "10001",
        **fields,
    }
    return JobDescription(**said)  # type: ignore[arg-type]


@asynccontextmanager
async def watching(client: SlurmClient) -> AsyncIterator[tuple[JobWatcher, list[JobUpdate]]]:
    """A watcher in step with Slurm, and all that it tells."""
    watcher = JobWatcher(client, clock=SystemClock())
    news: list[JobUpdate] = []
    watcher.subscribe(news.append)
    task = asyncio.create_task(watcher.run())
    try:
        await watcher.wait_for_sync()
        yield watcher, news
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def running(client: SlurmClient, job_id: SlurmJobId) -> Job:
    """The job, once it holds its nodes."""
    return await _once(client, job_id, "runs", lambda job: job.running and bool(job.grants))


async def waiting(client: SlurmClient, job_id: SlurmJobId, reason: str) -> Job:
    """The job, once it waits for that reason, and what it did before has ended."""

    def waits(job: Job) -> bool:
        return job.states == {"PENDING"} and job.reason == reason

    return await _once(client, job_id, f"waits for {reason}", waits)


async def ended(client: SlurmClient, job_id: SlurmJobId) -> Job:
    """The job, once nothing of it is left on its nodes."""

    def over(job: Job) -> bool:
        return job.ended and "COMPLETING" not in job.states

    return await _once(client, job_id, "has ended", over)


async def _once(
    client: SlurmClient, job_id: SlurmJobId, what: str, is_so: Callable[[Job], bool]
) -> Job:
    found: list[Job] = []

    async def look() -> bool:
        found[:] = [await client.get_job(job_id)]
        return is_so(found[0])

    await until(look, f"job {job_id} {what}")
    return found[0]


async def until(check: Callable[[], object], what: str, *, within_s: float = 60) -> None:
    """Ask again and again, also a coroutine's maker."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                result = check()
                if asyncio.iscoroutine(result):
                    result = await result
                if result:
                    return
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {within_s} s: {what}") from None
