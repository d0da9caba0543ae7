"""Leader election against a Lease that keeps versions like the API server does."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge.kube.api.client import KubeClient
from bridge.kube.api.lease import Lease, LostLease, Terms
from tests.unit.kube.apiserver import ApiServer, HeldClock, JumpClock, connected, until

COLLECTION = "/apis/coordination.k8s.io/v1/namespaces/slurm-bridge/leases"
PATH = COLLECTION + "/controller"


class Stored:
    """The Lease as the API server keeps it: a version that grows, and preconditions."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.away = False

    def serve(self, server: ApiServer) -> None:
        """Answer for it."""
        server.on("GET", PATH, self._get)
        server.on("POST", COLLECTION, self._post)
        server.on("PATCH", PATH, self._patch)

    @property
    def holder(self) -> str:
        """Who holds it."""
        assert self.lease is not None
        return str(self.lease["spec"].get("holderIdentity"))

    def take(self, holder: str) -> None:
        """Somebody else writes its name into it."""
        self._store({"metadata": {}, "spec": {"holderIdentity": holder, "leaseTransitions": 4}})

    def _store(self, lease: dict[str, Any]) -> web.Response:
        self.version += 1
        lease["metadata"]["resourceVersion"] = str(self.version)
        self.lease = lease
        return web.json_response(lease)

    def _refuse(self, code: int, reason: str) -> web.Response:
        return web.json_response({"code": code, "reason": reason}, status=code)

    async def _get(self, _: ApiServer, __: web.Request) -> web.StreamResponse:
        if self.away:
            return self._refuse(503, "ServiceUnavailable")
        return web.json_response(self.lease) if self.lease else self._refuse(404, "NotFound")

    async def _post(self, _: ApiServer, request: web.Request) -> web.StreamResponse:
        if self.away:
            return self._refuse(503, "ServiceUnavailable")
        if self.lease:
            return self._refuse(409, "AlreadyExists")
        return self._store(json.loads(await request.read()))

    async def _patch(self, _: ApiServer, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        if self.away or self.lease is None:
            return self._refuse(503, "ServiceUnavailable")
        if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            return self._refuse(409, "Conflict")
        spec = {**self.lease["spec"], **body["spec"]}
        return self._store({"metadata": {**self.lease["metadata"]}, "spec": spec})


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[tuple[Stored, KubeClient]]:
    """A server with no Lease yet."""
    async with ApiServer() as server, connected(server, folder) as client:
        stored = Stored()
        stored.serve(server)
        async with asyncio.timeout(30):  # who waits for an office must not wait for ever
            yield stored, client


def candidate(client: KubeClient, clock: JumpClock, identity: str) -> Lease:
    """One of those who want to lead."""
    return Lease(
        client,
        namespace="slurm-bridge",
        name="controller",
        identity=identity,
        clock=clock,
        terms=Terms(duration_s=15, renew_deadline_s=10, retry_s=2),
    )


async def test_first(tmp_path: Path) -> None:
    """Where there is no Lease, the first candidate makes one and leads."""
    async with stage(tmp_path) as (stored, client):
        lease = candidate(client, JumpClock(), "a")
        assert not lease.leading
        await lease.acquire()
        assert (lease.leading, lease.holder, stored.holder) == (True, "a", "a")
        assert stored.lease is not None
        assert stored.lease["spec"]["leaseDurationSeconds"] == 15
        assert stored.lease["spec"]["renewTime"].endswith("Z")


async def test_second_waits_for_silence(tmp_path: Path) -> None:
    """A second candidate leads only when it has seen no renewal for the whole duration."""
    async with stage(tmp_path) as (stored, client):
        stored.take("a")
        clock = JumpClock()
        began = clock.now
        lease = candidate(client, clock, "b")
        await lease.acquire()
        assert stored.holder == "b"
        assert clock.now - began > 15
        assert stored.lease is not None
        assert stored.lease["spec"]["leaseTransitions"] == 5


async def test_second_does_not_trust_clocks(tmp_path: Path) -> None:
    """However old the holder's own times are, a Lease that moves is alive."""
    async with stage(tmp_path) as (stored, client):
        stored.take("a")
        clock = HeldClock()
        lease = candidate(client, clock, "b")
        waiting = asyncio.create_task(lease.acquire())
        for _ in range(20):
            await until(lambda: clock.sleepers == 1)
            stored.take("a")
            clock.advance(3)
        assert not waiting.done()
        waiting.cancel()


async def test_released(tmp_path: Path) -> None:
    """What was given up is taken at once."""
    async with stage(tmp_path) as (stored, client):
        first, second = (candidate(client, JumpClock(), name) for name in "ab")
        await first.acquire()
        await first.release()
        assert (first.leading, stored.holder) == (False, "")
        clock = JumpClock()
        began = clock.now
        lease = candidate(client, clock, "b")
        await lease.acquire()
        assert clock.now == began
        assert not second.leading


async def test_race(tmp_path: Path) -> None:
    """Of many that see a free Lease at once, one leads."""
    async with stage(tmp_path) as (stored, client):
        clock = HeldClock()
        leases = [candidate(client, clock, str(number)) for number in range(8)]
        tasks = [asyncio.create_task(lease.acquire()) for lease in leases]
        await until(lambda: clock.sleepers == 7)
        assert [lease.leading for lease in leases].count(True) == 1
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert stored.holder in "01234567"


async def test_renews(tmp_path: Path) -> None:
    """The leader writes again and again, also after somebody touched the Lease."""
    async with stage(tmp_path) as (stored, client):
        clock = HeldClock()
        lease = candidate(client, clock, "a")
        await lease.acquire()
        holding = asyncio.create_task(lease.hold())
        for turn in range(10):
            await until(lambda: clock.sleepers == 1)
            if turn == 5:
                stored.version += 1
                assert stored.lease is not None
                stored.lease["metadata"]["resourceVersion"] = str(stored.version)
            before = stored.version
            clock.advance(2)
            await until(lambda before=before: stored.version > before)  # type: ignore[misc]
        assert lease.leading
        holding.cancel()


async def test_server_away(tmp_path: Path) -> None:
    """Without the API server the office ends by our own clock, before another may take it."""
    async with stage(tmp_path) as (stored, client):
        clock = JumpClock()
        lease = candidate(client, clock, "a")
        await lease.acquire()
        stored.away = True
        began = clock.now
        with pytest.raises(LostLease, match="held by a"):
            await lease.hold()
        assert clock.now - began == pytest.approx(10)
        assert not lease.leading


async def test_taken(tmp_path: Path) -> None:
    """A Lease that another holds is lost at the next look."""
    async with stage(tmp_path) as (stored, client):
        lease = candidate(client, JumpClock(), "a")
        await lease.acquire()
        stored.take("b")
        with pytest.raises(LostLease, match="held by b"):
            await lease.hold()
        assert stored.holder == "b"


async def test_stopped_process(tmp_path: Path) -> None:
    """A process that was stopped for long is out of office before it does anything."""
    async with stage(tmp_path) as (stored, client):
        clock = HeldClock()
        lease = candidate(client, clock, "a")
        await lease.acquire()
        before = stored.version
        clock.now += 11
        assert not lease.leading
        with pytest.raises(LostLease):
            await asyncio.gather(lease.hold(), until_sleeping_then(clock))
        assert stored.version == before


async def until_sleeping_then(clock: HeldClock) -> None:
    """Wake whoever sleeps."""
    await until(lambda: clock.sleepers > 0)
    clock.advance(2)


async def test_work_while_leading(tmp_path: Path) -> None:
    """The work runs while we lead; when it ends the office is given up."""
    async with stage(tmp_path) as (stored, client):
        lease = candidate(client, HeldClock(), "a")
        seen: list[bool] = []

        async def work() -> None:
            seen.append(lease.leading)

        await lease.lead(work)
        assert (seen, stored.holder) == ([True], "")


async def test_work_ends_with_the_office(tmp_path: Path) -> None:
    """When the office is lost the work is cancelled before anything else."""
    async with stage(tmp_path) as (stored, client):
        clock = HeldClock()
        lease = candidate(client, clock, "a")
        cancelled = asyncio.Event()

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        leading = asyncio.create_task(lease.lead(work))
        await until(lambda: clock.sleepers == 1)
        stored.take("b")
        clock.advance(2)
        with pytest.raises(LostLease):
            await leading
        assert cancelled.is_set()
        assert stored.holder == "b"


async def test_failing_work(tmp_path: Path) -> None:
    """What the work raises is raised, and the office given up."""
    async with stage(tmp_path) as (stored, client):

        async def work() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await candidate(client, HeldClock(), "a").lead(work)
        assert stored.holder == ""


async def test_cancelled_while_leading(tmp_path: Path) -> None:
    """A leader that is told to stop stops its work and gives the office up."""
    async with stage(tmp_path) as (stored, client):
        started = asyncio.Event()

        async def work() -> None:
            started.set()
            await asyncio.Event().wait()

        leading = asyncio.create_task(candidate(client, HeldClock(), "a").lead(work))
        await started.wait()
        leading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leading
        assert stored.holder == ""
