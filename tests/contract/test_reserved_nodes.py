"""What reservations mean to jobs: who may start on their nodes, who waits, who ends."""

import pytest

from bridge.model.ids import SlurmJobId, SlurmNodeName
from bridge.slurm import (
    InUse,
    InvalidRequest,
    JobChanges,
    NotFound,
    RejectedByPolicy,
    ReservationFields,
    SlurmClient,
    SlurmError,
)
from tests.contract.ground import Ground, a_job, running, until
from tests.contract.reserving import in_s, reserved

ROOT: dict[str, object] = {"user_id": "0", "group_id": "0"}
"""Whom the reservations of these tests are for; jobs are somebody else's unless they say so."""
_FOR_OTHERS = "ReqNodeNotAvail, May be reserved for other job"


async def waits(
    client: SlurmClient, job_id: SlurmJobId, reason: str, description: str = ""
) -> None:
    """Until the job waits for that reason, in those words."""

    async def said() -> bool:
        job = await client.get_job(job_id)
        return (job.state, job.reason, job.description) == ("PENDING", reason, description)

    await until(said, f"job {job_id} waits: {reason}")


async def _is(ground: Ground, node: SlurmNodeName, state: str) -> bool:
    return state in (await ground.client.get_node(node)).states


async def test_nodes_with_jobs_are_not_reserved(ground: Ground) -> None:
    """When those would still run then; with IGNORE_JOBS they are, and the jobs run on."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        job_id = await client.submit(a_job(nodes[0], time_limit_min=30))
        await running(client, job_id)
        with pytest.raises(InUse):
            async with reserved(client, nodes, start_s=in_s(600)):
                pass
        async with reserved(client, nodes, start_s=in_s(3600)) as name:
            with pytest.raises(InUse):
                await client.update_reservation(name, ReservationFields(start_s=in_s(600)))
        async with reserved(client, nodes, flags=("IGNORE_JOBS",)):
            assert (await client.get_job(job_id)).running


async def test_a_reserved_node_is_for_jobs_that_name_it(ground: Ground) -> None:
    """Others wait and say so; strangers may not name it; it stays while jobs name it."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        async with reserved(client, nodes) as name:
            beside = await client.submission(a_job(nodes[0], time_limit_min=5))
            assert "reserved" in " ".join(beside.warnings)
            await waits(client, beside.id, "ReqNodeNotAvail", _FOR_OTHERS)
            inside = await client.submit(a_job(nodes[0], reservation=name, **ROOT))
            job = await running(client, inside)
            assert (job.nodes, job.raw["resv_name"]) == (nodes, name)
            await until(lambda: _is(ground, nodes[0], "RESERVED"), "node is RESERVED")
            assert (await client.get_node(nodes[0])).reservation == name
            with pytest.raises(RejectedByPolicy) as denied:
                await client.submit(a_job(nodes[0], reservation=name))
            assert denied.value.number == 2052
            with pytest.raises(InUse) as busy:
                await client.delete_reservation(name)
            assert busy.value.number == 2055
            assert (await client.get_job(beside.id)).pending
        await running(client, beside.id)


async def test_root_may_use_any_reservation(ground: Ground) -> None:
    """As SlurmUser may, though not named in it."""
    client = ground.client
    async with ground.nodes(1) as nodes, reserved(client, nodes, users=("daemon",)) as name:
        for user in (ROOT, {"user_id": None, "group_id": None}):
            job_id = await client.submit(a_job(nodes[0], reservation=name, **user))
            assert (await running(client, job_id)).nodes == nodes


async def test_a_job_that_cannot_fit_a_reservation_is_refused(ground: Ground) -> None:
    """It asks for other nodes, or for more of them."""
    client = ground.client
    async with ground.nodes(2) as nodes, reserved(client, nodes[:1]) as name:
        for more in ({"tasks": 2, "nodes": "2"}, {"required_nodes": nodes[1:]}):
            with pytest.raises(InvalidRequest) as caught:
                await client.submit(a_job(nodes[0], reservation=name, **ROOT, **more))
            assert caught.value.number == 2014


async def test_jobs_end_before_a_reservation_begins(ground: Ground) -> None:
    """Those that would not wait, unless they get a shorter limit; its own wait for its begin."""
    client = ground.client
    async with ground.nodes(1) as nodes, reserved(client, nodes, start_s=in_s(600)) as name:
        short = await client.submit(a_job(nodes[0], time_limit_min=5))
        await running(client, short)
        long = await client.submit(a_job(nodes[0], time_limit_min=30))
        await waits(client, long, "ReqNodeNotAvail", _FOR_OTHERS)
        its = await client.submission(a_job(nodes[0], reservation=name, time_limit_min=5, **ROOT))
        assert "not usable now" in " ".join(its.warnings)
        await waits(client, its.id, "Reservation")
        await client.update_job(long, JobChanges(time_limit_min=3))
        await running(client, long)
        await client.update_job(its.id, JobChanges(reservation=""))
        assert (await running(client, its.id)).raw["resv_name"] == ""


async def test_maintenance_is_told_apart(ground: Ground) -> None:
    """A job that waits for its end says so; only jobs that name it run meanwhile."""
    client = ground.client
    async with ground.nodes(1) as nodes, reserved(client, nodes, flags=("MAINT",)) as name:
        beside = await client.submit(a_job(nodes[0]))
        await waits(client, beside, "ReqNodeNotAvail", "ReqNodeNotAvail, Reserved for maintenance")
        await running(client, await client.submit(a_job(nodes[0], reservation=name, **ROOT)))
        await until(lambda: _is(ground, nodes[0], "MAINTENANCE"), "node is in maintenance")


async def test_a_waiting_job_can_be_moved_into_a_reservation(ground: Ground) -> None:
    """If there is one of that name, for its user."""
    client = ground.client
    async with ground.nodes(1) as nodes, reserved(client, nodes) as name:
        stranger = await client.submit(a_job(nodes[0]))
        its = await client.submit(a_job(nodes[0], **ROOT))
        for job_id, where, number in ((its, "nope", 2053), (stranger, name, 2052)):
            with pytest.raises(SlurmError) as caught:
                await client.update_job(job_id, JobChanges(reservation=where))
            assert caught.value.number == number
        await client.update_job(its, JobChanges(reservation=name))
        assert (await running(client, its)).nodes == nodes
        assert (await client.get_job(stranger)).pending


async def test_a_reservations_end_ends_its_jobs(ground: Ground) -> None:
    """Whatever their limit; those that still wait for it are held, everybody else may start."""
    client = ground.client
    async with ground.nodes(1) as nodes, reserved(client, nodes) as name:
        whole = a_job(nodes[0], cpus_per_task=63, reservation=name, time_limit_min=500, **ROOT)
        first, second = await client.submit(whole), await client.submit(whole)
        beside = await client.submit(a_job(nodes[0]))
        await running(client, first)
        await waits(client, second, "Resources")
        await client.update_reservation(name, ReservationFields(end_s=in_s(1)))
        gone = f"Reservation {name} was deleted"
        await waits(client, second, "ReservationDeleted", gone)
        assert (await client.get_job(second)).hold
        ended = await client.get_job(first)
        assert (ended.state, ended.reason) == ("TIMEOUT", "TimeLimit")
        await running(client, beside)
        with pytest.raises(NotFound):
            await client.get_reservation(name)


async def test_a_node_in_a_reservation_that_has_begun_is_not_deleted(ground: Ground) -> None:
    """Before it begins, it is, and its name stays in the list."""
    client = ground.client
    async with ground.nodes(2) as nodes:
        first, _ = nodes
        definition = ground.definition(first, first.split("-")[1], leaf=0)
        async with reserved(client, nodes, flags=("MAINT",), start_s=in_s(3600)) as name:
            await client.delete_node(first)
            assert (await client.get_reservation(name)).node_count == 2
            await client.create_node(definition)
        async with reserved(client, nodes, flags=("MAINT",)):
            await until(lambda: _is(ground, first, "RESERVED"), "it has begun")
            with pytest.raises(InUse):
                await client.delete_node(first)
