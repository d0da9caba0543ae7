"""Requests, a few at a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from bridge.controller.pool import Pool
from tests.unit.controller.doubles import at_work
from tests.unit.slurm.clocks import settle


@asynccontextmanager
async def working(workers: int) -> AsyncIterator[Pool]:
    pool = Pool(workers)
    async with at_work(pool.run):
        yield pool


def doing(done: list[str], what: str, held: asyncio.Event | None = None) -> Callable[
    [], Awaitable[None]
]:  # fmt: skip
    async def work() -> None:
        done.append(what)
        if held is not None:
            await held.wait()
            done.append(f"{what} ends")

    return work


async def test_the_urgent_come_first_within_a_tenant_and_tenants_take_turns() -> None:
    """However many the other has queued."""
    done = list[str]()
    pool = Pool(1)
    for number in range(3):
        pool.add(doing(done, f"flood {number}"), tenant="flood", urgency=2)
    pool.add(doing(done, "flood, urgent"), tenant="flood", urgency=0)
    pool.add(doing(done, "team"), tenant="team", urgency=2)
    async with at_work(pool.run):
        await settle()
    assert done == ["flood, urgent", "team", "flood 0", "flood 1", "flood 2"]


async def test_no_more_are_in_flight_than_there_are_workers() -> None:
    """The others wait their turn."""
    done, held = list[str](), asyncio.Event()
    async with working(2) as pool:
        for number in range(3):
            pool.add(doing(done, str(number), held), tenant="team", urgency=0)
        await settle()
        assert done == ["0", "1"]
        held.set()
        await settle()
        assert "2 ends" in done


async def test_what_escapes_from_a_request_is_told_and_stops_nobody(
    logged: list[dict[str, Any]],
) -> None:
    """To whoever asked for it; or, where nobody wants to know, to the log. Also where the telling
    itself fails."""

    async def mistake() -> None:
        raise RuntimeError("mistake")

    def worse(_: Exception) -> None:
        raise RuntimeError("worse")

    told, done = list[Exception](), list[str]()
    async with working(1) as pool:
        pool.add(mistake, tenant="team", urgency=0, failed=told.append)
        pool.add(mistake, tenant="team", urgency=0, failed=worse)
        pool.add(mistake, tenant="team", urgency=0)
        pool.add(doing(done, "later"), tenant="team", urgency=0)
        await settle()
    assert [str(error) for error in told] == ["mistake"]
    assert [line["event"] for line in logged] == ["work.failed_unexpectedly"] * 2
    assert done == ["later"]


async def test_a_drained_pool_ends_what_is_in_flight_and_starts_nothing() -> None:
    """What is left undone is found in Slurm and in the pods by the next start."""
    done, held = list[str](), asyncio.Event()
    async with working(1) as pool:
        for what in ("in flight", "queued"):
            pool.add(doing(done, what, held), tenant="team", urgency=0)
        await settle()
        draining = asyncio.create_task(pool.drain())
        await settle()
        assert not draining.done()
        held.set()
        await draining
        pool.add(doing(done, "late"), tenant="team", urgency=0)
        await settle()
    assert done == ["in flight", "in flight ends"]


async def test_a_pool_without_work_is_drained_at_once() -> None:
    """Nothing is in flight."""
    async with working(1) as pool:
        await asyncio.wait_for(pool.drain(), 1)
