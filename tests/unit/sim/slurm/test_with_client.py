"""The bridge's own client against the emulator: both sides of one contract."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.clock import SystemClock
from bridge.model.ids import SlurmJobId, SlurmNodeName
from bridge.model.job import Gres, NodeGrant
from bridge.sim.slurm import EmbeddedSlurm
from bridge.slurm import (
    InUse,
    InvalidRequest,
    JobChanges,
    JobDescription,
    JobNotFound,
    NodeDefinition,
    NotAuthorised,
    NotFound,
    SlurmClient,
    TokenSource,
    Unavailable,
)

NODE = SlurmNodeName("gpu-1")


def a_node(name: str = NODE, *, leaf: str = "leaf") -> NodeDefinition:
    return NodeDefinition(
        name=name,
        address="127.0.0.1",
        cpus=16,
        memory_mib=64_000,
        features=("class-a",),
        topology=f"topo:root:{leaf}",
        gres=(Gres("gpu", "h100", 8), Gres("efa", "", 4)),
    )


def a_job(**said: Any) -> JobDescription:
    return JobDescription(
        **{"name": "test", "tasks": 1, "cpus_per_task": 1, "memory_per_cpu_mib": 100, **said}
    )


@asynccontextmanager
async def both(**options: Any) -> AsyncIterator[tuple[EmbeddedSlurm, SlurmClient]]:
    """An emulator with one node, and a client that reads its token file."""
    async with EmbeddedSlurm(**options) as slurm:
        token = TokenSource.from_file(slurm.token_file)
        async with SlurmClient(endpoints=[slurm.url], token=token, clock=SystemClock()) as client:
            await client.create_node(a_node())
            yield slurm, client


@pytest.mark.parametrize(
    ("offered", "spoken"),
    [(("v0.0.45", "v0.0.44"), "v0.0.45"), (("v0.0.44",), "v0.0.44")],
)
async def test_negotiation(offered: tuple[str, ...], spoken: str) -> None:
    """The newest version that both know."""
    async with both(versions=offered) as (_, client):
        assert await client.negotiate() == spoken
        await client.ping()


async def test_a_grant_is_read_as_it_was_given() -> None:
    """CPUs, memory and pieces of every GRES, node by node."""
    async with both() as (_, client):
        job_id = await client.submit(
            a_job(tasks=2, cpus_per_task=3, tres_per_task="gres/gpu:h100:2", admin_comment="x")
        )
        job = await client.get_job(job_id)
        assert job.running
        assert job.grants == (NodeGrant(NODE, 6, 600, (Gres("gpu", "h100", 4),)),)
        assert await client.job_states() == {job_id: frozenset({"RUNNING"})}


async def test_pending_jobs_are_changed_and_cancelled() -> None:
    """Priority, exclusions, constraints; cancelling twice is no error."""
    async with both() as (_, client):
        await client.create_node(a_node("gpu-2"))
        await client.submit(a_job(tasks=2, cpus_per_task=16))
        job_id = await client.submit(a_job(cpus_per_task=16))
        await client.update_job(job_id, JobChanges(priority=7, excluded_nodes=("gpu-1",)))
        job = await client.get_job(job_id)
        assert (job.pending, job.priority, job.excluded_nodes) == (True, 7, "gpu-1")
        await client.update_job(job_id, JobChanges(excluded_nodes=(), constraints="class-a"))
        job = await client.get_job(job_id)
        assert (job.excluded_nodes, job.constraints) == ("", "class-a")
        for _ in range(2):
            await client.cancel_job(job_id)
        assert (await client.get_job(job_id)).ended


async def test_nodes_are_drained_listed_and_deleted() -> None:
    """A busy node is not deleted, a deleted one not found."""
    async with both() as (_, client):
        job_id = await client.submit(a_job())
        with pytest.raises(InUse):
            await client.delete_node(NODE)
        await client.update_node(NODE, state="DRAIN", reason="cordoned")
        (node,) = await client.list_nodes()
        assert node.drained
        assert not node.idle
        assert node.gres == (Gres("gpu", "h100", 8), Gres("efa", "", 4))
        await client.cancel_job(job_id)
        await client.delete_node(NODE)
        with pytest.raises(NotFound):
            await client.get_node(NODE)


async def test_refusals_are_told_apart() -> None:
    """What can't work, what is unknown, what is not allowed, what is not there."""
    async with both() as (slurm, client):
        with pytest.raises(InvalidRequest):
            await client.submit(a_job(partition="nope"))
        with pytest.raises(JobNotFound):
            await client.get_job(SlurmJobId(99))
        slurm.controller_up = False
        with pytest.raises(Unavailable):
            await client.job_states()
        slurm.controller_up = True
        slurm.expire_tokens()
        with pytest.raises(NotAuthorised):
            await client.job_states()


async def test_a_lost_answer_makes_no_second_job() -> None:
    """The client looks for the job it may have made, and finds it."""
    async with both() as (slurm, client):
        await client.job_states()
        slurm.faults.lose_answer(path="/job/submit")
        job_id = await client.submit(a_job(admin_comment="only-once"))
        assert list(slurm.cluster.jobs) == [job_id]


async def test_counted_pieces() -> None:
    """GRES without device files are told by `(CNT:n)`."""
    async with both() as (_, client):
        job_id = await client.submit(a_job(tres_per_task="gres/gpu:1,gres/efa:2"))
        (grant,) = (await client.get_job(job_id)).grants
        assert grant.gres == (Gres("gpu", "h100", 1), Gres("efa", "", 2))
