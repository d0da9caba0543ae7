"""Jobs: submitted, granted, changed, ended; what is wrong leaves none."""

import pytest

from bridge.model.ids import SlurmJobId
from bridge.model.job import Gres, JobIdentity
from bridge.slurm import (
    EXTERNAL_JOB,
    InvalidRequest,
    JobChanges,
    JobDescription,
    JobEnded,
    JobNotFound,
    ServerTooOld,
    SlurmError,
    hostlist,
    identity,
    timelimit,
)
from tests.contract.ground import Ground, a_job, class_of, running


async def test_a_gang_gets_what_it_asked_for(ground: Ground) -> None:
    """Tasks, CPUs, memory, GPUs and EFA are granted to the unit, node by node."""
    client = ground.client
    async with ground.nodes(3) as nodes:
        mine = JobIdentity("cluster", "gang", 1, "Job/team/trän")
        job_id = await client.submit(
            a_job(
                nodes[0],
                tasks=4,
                cpus_per_task=3,
                nodes="2",
                tasks_per_node=2,
                tres_per_task="gres/gpu:2,gres/efa:1",
                admin_comment=identity.format(mine),
                time_limit_min=90,
            )
        )
        job = await running(client, job_id)
        assert identity.parse(job.admin_comment) == mine
        assert job.time_limit_min == 90
        assert len(job.nodes) == 2
        assert set(job.nodes) < set(nodes)
        for grant in job.grants:
            assert (grant.cpus, grant.memory_mib) == (6, 600)
            assert grant.gres == (Gres("gpu", "h100", 4), Gres("efa", "", 2))
        await client.cancel_job(job_id)
        await client.cancel_job(job_id)
        over = await client.get_job(job_id)
        assert over.state == "CANCELLED"
        assert over.grants == ()


_OWN: dict[str, object] = {"user_id": None, "group_id": None}
"""Of the token's user."""


async def test_a_job_starts_in_the_call_that_submits_it(ground: Ground) -> None:
    """On free nodes it runs when its id is known; its end frees the node."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        for _ in range(2):
            asked = a_job(nodes[0], tasks=2, tres_per_task="gres/gpu:4", **_OWN)
            job_id = await client.submit(asked, recover=False, at_once=True)
            job = await client.get_job(job_id)
            assert (job.state, job.nodes) == ("RUNNING", nodes)
            assert EXTERNAL_JOB in job.flags
            assert job.grants[0].gres == (Gres("gpu", "h100", 8),)
            await client.cancel_job(job_id)


async def test_a_job_that_cannot_start_at_once_waits_its_turn(ground: Ground) -> None:
    """On busy nodes, and behind others, it is queued, and starts when they have ended."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        whole = a_job(nodes[0], tasks=1, tres_per_task="gres/gpu:8", **_OWN)
        first, second, third = [await client.submit(whole, at_once=True) for _ in range(3)]
        assert (await client.get_job(first)).running
        assert (await client.get_job(second)).pending
        assert (await client.get_job(third)).pending
        await client.cancel_job(first)
        await running(client, second)
        assert (await client.get_job(third)).pending


async def test_a_job_of_another_user_is_that_users(ground: Ground) -> None:
    """Also where it might start at once, which Slurm offers for the token's user only."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        job_id = await client.submit(a_job(nodes[0]), recover=False, at_once=True)
        assert (await client.get_job(job_id)).raw["user_id"] == 1000
        await client.cancel_job(job_id)


async def test_a_waiting_job_can_be_changed(ground: Ground) -> None:
    """Constraints, excluded nodes, priority and limits change; lists can be cleared."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        job_id = await client.submit(a_job(nodes[0], hold=True, comment=nodes[0].split("-")[1]))
        job = await client.get_job(job_id)
        assert job.hold
        assert job.reason == "JobHeldUser"
        await client.update_job(
            job_id,
            JobChanges(excluded_nodes=nodes, constraints="", time_limit_min=timelimit.UNLIMITED),
        )
        job = await client.get_job(job_id)
        assert hostlist.expand(job.excluded_nodes) == nodes
        assert job.constraints == ""
        assert job.time_limit_min is None
        await client.update_job(
            job_id, JobChanges(excluded_nodes=(), constraints=class_of(nodes[0]), time_limit_min=5)
        )
        job = await client.get_job(job_id)
        assert (job.excluded_nodes, job.time_limit_min) == ("", 5)
        await client.update_job(job_id, JobChanges(hold=False))
        assert (await running(client, job_id)).nodes == nodes


@pytest.mark.parametrize(
    ("fields", "error", "number"),
    [
        ({"partition": "nope"}, InvalidRequest, 2000),
        ({"tres_per_task": "gres/gpu:9"}, InvalidRequest, 2014),
        ({"tres_per_task": "gres/fpga:1"}, InvalidRequest, 2072),
        ({"constraints": "nope"}, InvalidRequest, 2029),
        ({"user_id": "nope"}, InvalidRequest, 2166),
        ({"reservation": "nope"}, InvalidRequest, 2053),
        ({"excluded_nodes": ("nope",)}, InvalidRequest, 2018),
        ({"flags": ("EXTERNAL_JOB", "NOPE")}, InvalidRequest, 9207),
        ({"others": {"nope": 1}}, InvalidRequest, 0),
        ({"others": {"tasks": "many"}}, InvalidRequest, 0),
    ],
)
async def test_a_mistake_leaves_no_job(
    ground: Ground, fields: dict[str, object], error: type[SlurmError], number: int
) -> None:
    """Each has its class and number, also where Slurm makes a job in spite of it."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        with pytest.raises(error) as caught:
            await client.submit(a_job(nodes[0], **fields))
        assert caught.value.number == number
        alive = {"PENDING", "RUNNING"}
        for job_id, states in (await client.job_states()).items():
            if states & alive:
                assert (await client.get_job(job_id)).constraints != class_of(nodes[0])


async def test_unknown_ids_are_not_found(ground: Ground) -> None:
    """Reading and updating say so, cancelling is content."""
    client = ground.client
    unknown = SlurmJobId(67_000_000)
    with pytest.raises(JobNotFound):
        await client.get_job(unknown)
    with pytest.raises(JobNotFound):
        await client.update_job(unknown, JobChanges(comment="x"))
    await client.cancel_job(unknown)


async def test_many_are_cancelled_at_once(ground: Ground) -> None:
    """One request; jobs that ended or never were are cancelled enough."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        ids = [await client.submit(a_job(nodes[0])) for _ in range(3)]
        await client.cancel_job(ids[0])
        assert await client.cancel_jobs([*ids, SlurmJobId(66_000_000)]) == {}
        assert await client.cancel_jobs([]) == {}
        for job_id in ids:
            assert (await client.get_job(job_id)).state == "CANCELLED"


async def test_jobs_are_read_one_by_one(ground: Ground) -> None:
    """Those whose states are wanted, in order."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        ids = [await client.submit(a_job(nodes[0], hold=held)) for held in (True, False, True)]
        await running(client, ids[1])
        waiting = [job.id async for job in client.each_job(lambda states: "PENDING" in states)]
        assert [one for one in waiting if one in ids] == [ids[0], ids[2]]
        await client.cancel_jobs(ids)


@pytest.mark.only_real("the emulator counts cores, it does not number them")
async def test_a_layout_tells_cores_and_devices(ground: Ground) -> None:
    """As many as were granted, and only while the job runs."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        job_id = await client.submit(a_job(nodes[0], tasks=3, tres_per_task="gres/gpu:2"))
        await running(client, job_id)
        (layout,) = await client.get_layout(job_id)
        assert (layout.node, layout.memory_mib, len(layout.cores)) == (nodes[0], 300, 3)
        assert len(layout.gres["gpu", "h100"]) == 6
        await client.cancel_job(job_id)
        for unknown, error in ((job_id, InvalidRequest), (SlurmJobId(66_000_000), JobNotFound)):
            with pytest.raises(error):
                await client.get_layout(unknown)


@pytest.mark.only_real("the emulator has no het jobs")
async def test_a_het_job_starts_together(ground: Ground) -> None:
    """Each component is a job that names the first; cancelling the first ends all."""
    client = ground.client
    async with ground.nodes(2) as nodes:
        components = [
            a_job(nodes[0], tres_per_task="gres/gpu:8", admin_comment=f"het {nodes[0]}"),
            a_job(nodes[0], cpus_per_task=2),
        ]
        first = (await client.submit_het(components)).id
        states = await client.job_states()
        mine = [one for one in sorted(states) if one >= first]
        assert mine == [first, first + 1]
        for job_id in mine:
            job = await running(client, SlurmJobId(job_id))
            assert job.het_job_id == first
        held = {(await client.get_job(SlurmJobId(job_id))).nodes for job_id in mine}
        assert held == {(nodes[0],), (nodes[1],)}
        await client.cancel_job(first)
        for job_id in mine:
            assert (await client.get_job(SlurmJobId(job_id))).state == "CANCELLED"
    with pytest.raises(InvalidRequest):
        await client.submit_het([])


async def test_a_job_shrinks_to_the_nodes_it_keeps(ground: Ground) -> None:
    """The others are not its any more; to none it can't shrink."""
    client = ground.client
    async with ground.nodes(2) as nodes:
        job_id = await client.submit(a_job(nodes[0], tasks=2, nodes="2", tasks_per_node=1))
        await running(client, job_id)
        await client.shrink_job(job_id, [nodes[1]])
        job = await running(client, job_id)
        assert [grant.node for grant in job.grants] == [nodes[1]]
        with pytest.raises(InvalidRequest):
            await client.shrink_job(job_id, [])
        await client.cancel_job(job_id)


async def test_a_job_without_a_limit_has_no_end(ground: Ground) -> None:
    """Slurm says it ends in a year; one with a limit ends then."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        for limit_min, shown_min in ((timelimit.UNLIMITED, None), (7, 7)):
            asked = a_job(nodes[0], time_limit_min=limit_min)
            job = await running(client, await client.submit(asked))
            assert job.start_s is not None
            ends_s = None if shown_min is None else job.start_s + 60 * shown_min
            assert (job.time_limit_min, job.end_s) == (shown_min, ends_s)


async def test_a_job_tells_since_when_others_may_push_it_out(ground: Ground) -> None:
    """From its start where its partition allows it; before that nobody can."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        job_id = await client.submit(a_job(nodes[0], hold=True, comment=nodes[0].split("-")[1]))
        assert (await client.get_job(job_id)).preemptable_s is None
        await client.update_job(job_id, JobChanges(hold=False))
        job = await running(client, job_id)
        assert job.preemptable_s == job.start_s


@pytest.mark.only_real("the emulator's partitions have no PreemptMode of their own")
async def test_a_job_that_nobody_may_push_out_tells_so(ground: Ground) -> None:
    """Its partition has PreemptMode=OFF."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        job = await running(client, await client.submit(a_job(nodes[0], partition="high")))
        assert job.preemptable_s is None


async def test_a_signal_leaves_the_job_running(ground: Ground) -> None:
    """One that Slurm doesn't know would end the job, and is never sent."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        job_id = await client.submit(a_job(nodes[0]))
        await running(client, job_id)
        await client.signal_job(job_id, "SIGUSR1")
        with pytest.raises(InvalidRequest, match="USR1"):
            await client.signal_job(job_id, "NOPE")
        assert (await client.get_job(job_id)).running
        await client.cancel_job(job_id)
        with pytest.raises(JobEnded):
            await client.signal_job(job_id, "TERM")
    with pytest.raises(JobNotFound):
        await client.signal_job(SlurmJobId(66_000_000), "TERM")


@pytest.mark.only_real("the emulator has external jobs only, no batch jobs")
async def test_a_batch_job_is_requeued(ground: Ground) -> None:
    """Under its id, held where that is said; no external job, none that waits, none in v0.0.44."""
    client = ground.client
    if ground.version == "v0.0.44":
        with pytest.raises(ServerTooOld):
            await client.requeue_job(SlurmJobId(1))
        return
    async with ground.nodes(1) as nodes:
        external = await client.submit(a_job(nodes[0], hold=True))
        with pytest.raises(InvalidRequest):
            await client.requeue_job(external)
    script = JobDescription(
        name="contract", script="#!/bin/sh\ntrue\n", flags=(), partition="debug", user_id="1000",
        group_id="1000", memory_per_cpu_mib=1,
    )  # fmt: skip
    job_id = await client.submit(script)
    with pytest.raises(InvalidRequest):
        await client.requeue_job(job_id)
    await client.cancel_job(job_id)
    await client.requeue_job(job_id, hold=True)
    job = await client.get_job(job_id)
    assert (job.state, job.hold) == ("PENDING", True)
    await client.cancel_job(job_id)
    with pytest.raises(JobNotFound):
        await client.requeue_job(SlurmJobId(66_000_000))
