"""Reservations: made, changed, removed, ended, and what they mean to jobs."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bridge.model.ids import SlurmJobId, SlurmNodeName
from bridge.slurm import (
    AlreadyExists,
    InvalidRequest,
    JobChanges,
    NodeBusy,
    NotFound,
    RejectedByPolicy,
    ReservationFields,
    SlurmClient,
    SlurmError,
)
from tests.contract.ground import PARTITION, Ground, a_job, class_of, running, until

ROOT: dict[str, object] = {"user_id": "0", "group_id": "0"}
"""Whom the reservations of these tests are for; jobs are somebody else's unless they say so."""


@asynccontextmanager
async def reserved(
    client: SlurmClient, nodes: tuple[SlurmNodeName, ...] | None, **fields: object
) -> AsyncIterator[str]:
    """A reservation of an hour from now on; its jobs end with the test."""
    name = f"r-{secrets.token_hex(3)}"
    said = {
        "start_s": int(time.time()),
        "duration_min": 60,
        "users": ("root",),
        "nodes": nodes,
        **fields,
    }
    await client.create_reservation(name, ReservationFields(**said))  # type: ignore[arg-type]
    try:
        yield name
    finally:
        async for job in client.each_job(lambda states: bool(states & {"PENDING", "RUNNING"})):
            if job.raw["resv_name"] == name:
                await client.cancel_job(job.id)
        await until(lambda: _deleted(client, name), "reservation deleted")


async def _deleted(client: SlurmClient, name: str) -> bool:
    try:
        await client.delete_reservation(name)
    except NotFound:
        return True
    except InvalidRequest:  # its jobs are still ending
        return False
    return True


async def waits(
    client: SlurmClient, job_id: SlurmJobId, reason: str, description: str = ""
) -> None:
    """Until the job waits for that reason, in those words."""

    async def said() -> bool:
        job = await client.get_job(job_id)
        return (job.state, job.reason, job.description) == ("PENDING", reason, description)

    await until(said, f"job {job_id} waits: {reason}")


async def test_a_reservations_life(ground: Ground) -> None:
    """It is as it was made, as it was changed, and then gone."""
    client, name = ground.client, f"r-{secrets.token_hex(3)}"
    start_s = int(time.time()) + 3600
    wanted = ReservationFields(
        start_s=start_s, duration_min=60, users=("root",), partition=PARTITION
    )
    async with ground.nodes(2) as nodes:
        with pytest.raises(NotFound):
            await client.get_reservation(name)
        with pytest.raises(NotFound):
            await client.update_reservation(name, ReservationFields(duration_min=5))
        fields = ReservationFields(
            start_s=start_s, duration_min=60, users=("root",), nodes=nodes, flags=("IGNORE_JOBS",)
        )
        await client.create_reservation(name, fields)
        try:
            with pytest.raises(AlreadyExists):
                await client.create_reservation(name, wanted)
            made = await client.get_reservation(name)
            assert (made.start_s, made.end_s) == (start_s, start_s + 3600)
            assert (made.users, made.node_count) == (("root",), 2)
            assert "IGNORE_JOBS" in made.flags
            await client.update_reservation(
                name, ReservationFields(duration_min=120, users=("root", "daemon"))
            )
            changed = {one.name: one for one in await client.list_reservations()}[name]
            assert changed.end_s == start_s + 7200
            assert set(changed.users) == {"root", "daemon"}
            assert changed.nodes == made.nodes
        finally:
            await client.delete_reservation(name)
    with pytest.raises(NotFound):
        await client.delete_reservation(name)


@pytest.mark.parametrize(
    ("wrong", "number"),
    [
        ({"nodes": ("nope",)}, 2018),
        ({"users": ("nobody-of-that-name",)}, -1),
        ({"flags": ("NOPE",)}, 9207),
        ({"users": ()}, 2053),
        ({"partition": "nope"}, 2000),
        ({"duration_min": None}, 2053),
        ({"start_s": None}, 2053),
        ({"start_s": int(time.time()) - 7200}, 2054),
        ({"nodes": None}, 2053),
        ({"nodes": None, "node_count": 1, "features": "no-such-feature"}, 2014),
    ],
)
async def test_a_mistake_makes_none(ground: Ground, wrong: dict[str, object], number: int) -> None:
    """Unknown nodes, users, flags and partitions, no time or a past one, nobody, no nodes."""
    client, name = ground.client, f"r-{secrets.token_hex(3)}"
    async with ground.nodes(1) as nodes:
        said: dict[str, object] = {
            "start_s": int(time.time()) + 60,
            "duration_min": 10,
            "nodes": nodes,
            "users": ("root",),
            **wrong,
        }
        with pytest.raises(InvalidRequest) as caught:
            await client.create_reservation(name, ReservationFields(**said))  # type: ignore[arg-type]
        assert caught.value.number == number
        assert name not in {one.name for one in await client.list_reservations()}


async def test_no_two_have_a_node_at_a_time(ground: Ground) -> None:
    """Unless one of them is for maintenance or may overlap; one after the other is fine."""
    client = ground.client
    async with ground.nodes(1) as nodes, reserved(client, nodes, start_s=_in_s(600)):
        with pytest.raises(InvalidRequest) as caught:
            async with reserved(client, nodes, start_s=_in_s(1200)):
                pass
        assert caught.value.number == 2058
        for allowed in ({"flags": ("OVERLAP",)}, {"flags": ("MAINT",)}, {"start_s": _in_s(4200)}):
            async with reserved(client, nodes, **{"start_s": _in_s(1200), **allowed}):
                pass


async def test_nodes_are_found_by_their_number(ground: Ground) -> None:
    """Of a feature, and none that somebody else has reserved."""
    client = ground.client
    async with ground.nodes(2) as nodes, reserved(client, nodes[:1], start_s=_in_s(600)):
        of_class = class_of(nodes[0])
        async with reserved(
            client, None, start_s=_in_s(600), node_count=1, features=of_class
        ) as name:
            found = await client.get_reservation(name)
            assert (found.nodes, found.node_count, found.core_count) == (nodes[1], 1, 63)
            assert found.partition == PARTITION
        with pytest.raises(InvalidRequest) as caught:
            async with reserved(client, None, start_s=_in_s(600), node_count=2, features=of_class):
                pass
        assert caught.value.number == 2014


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ({"nodes": ("nope",)}, 2053),
        ({"users": ("nobody-of-that-name",)}, 2010),
        ({"partition": "nope"}, 2000),
        ({"start_s": int(time.time()) + 3600}, 2104),
        ({"flags": ("NOPE",)}, 9207),
        ({"end_s": int(time.time()) - 60}, 2054),
        ({"features": "any"}, 2036),
    ],
)
async def test_a_wrong_change_changes_nothing(
    ground: Ground, change: dict[str, object], number: int
) -> None:
    """Nor can the begin of one that has begun be moved."""
    client = ground.client
    async with ground.nodes(1) as nodes, reserved(client, nodes) as name:
        before = await client.get_reservation(name)
        with pytest.raises(InvalidRequest) as caught:
            await client.update_reservation(name, ReservationFields(**change))  # type: ignore[arg-type]
        assert caught.value.number == number
        assert await client.get_reservation(name) == before


async def test_a_later_start_moves_the_end(ground: Ground) -> None:
    """Of one that has not begun."""
    client, start_s = ground.client, _in_s(3600)
    async with ground.nodes(1) as nodes, reserved(client, nodes, start_s=start_s) as name:
        await client.update_reservation(name, ReservationFields(start_s=start_s + 60))
        found = await client.get_reservation(name)
        assert (found.start_s, found.end_s) == (start_s + 60, start_s + 3660)


async def test_nodes_with_jobs_are_not_reserved(ground: Ground) -> None:
    """When those would still run then; with IGNORE_JOBS they are, and the jobs run on."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        job_id = await client.submit(a_job(nodes[0], time_limit_min=30))
        await running(client, job_id)
        with pytest.raises(NodeBusy):
            async with reserved(client, nodes, start_s=_in_s(600)):
                pass
        async with reserved(client, nodes, start_s=_in_s(3600)) as name:
            with pytest.raises(NodeBusy):
                await client.update_reservation(name, ReservationFields(start_s=_in_s(600)))
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
            with pytest.raises(InvalidRequest) as busy:
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
    async with ground.nodes(1) as nodes, reserved(client, nodes, start_s=_in_s(600)) as name:
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
        await client.update_reservation(name, ReservationFields(end_s=_in_s(1)))
        gone = f"Reservation {name} was deleted"
        await waits(client, second, "ReservationDeleted", gone)
        assert (await client.get_job(second)).hold
        ended = await client.get_job(first)
        assert (ended.state, ended.reason) == ("TIMEOUT", "TimeLimit")
        await running(client, beside)
        with pytest.raises(NotFound):
            await client.get_reservation(name)


_FOR_OTHERS = "ReqNodeNotAvail, May be reserved for other job"


def _in_s(seconds: int) -> int:
    return int(time.time()) + seconds


async def _is(ground: Ground, node: SlurmNodeName, state: str) -> bool:
    return state in (await ground.client.get_node(node)).states
