"""`bridge.slurm` where answers get lost, tokens rotate and daemons stop; see also tests/contract.

Runs against the slurmrestd of $SLURM_REST_URL with the token in $SLURM_JWT_FILE (the stack's env
file sets both; $SLURM_TOPOLOGY names a topology and its root), or on a stack of its own. What
stops slurmctld or compares with scontrol wants the latter.
"""

import asyncio
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from bridge.clock import SystemClock
from bridge.slurm import (
    JobGone,
    NotAuthorised,
    Outage,
    Recovered,
    SlurmClient,
    TokenSource,
    Unavailable,
    hostlist,
)
from tests.contract.ground import Ground, a_job, until, watching
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]

PORT_BASE = 29500
TOPOLOGY = os.environ.get("SLURM_TOPOLOGY", "fabric:root")
CLOCK = SystemClock()


@pytest.fixture(scope="module")
def own() -> Iterator[Stack | None]:
    """A stack of this module's own, unless a slurmrestd is given."""
    if os.environ.get("SLURM_REST_URL"):
        yield None
        return
    if os.geteuid() != 0:
        pytest.skip("the stack mounts and chroots: needs root; or set SLURM_REST_URL")
    with Stack.fresh("slurm", PORT_BASE) as stack:
        yield stack


@pytest.fixture
def only_own(own: Stack | None) -> Stack:
    """The own stack; what is done to it can't be done to somebody's Slurm."""
    if own is None:
        pytest.skip("stops daemons: runs only on a stack of its own (unset SLURM_REST_URL)")
    return own


class Transport(httpx2.AsyncBaseTransport):
    """The way to the real one, that can hide REST versions and lose answers."""

    def __init__(self, hidden: tuple[str, ...] = ()) -> None:
        self._real = httpx2.AsyncHTTPTransport()
        self._hidden = hidden
        self.lose: Callable[[httpx2.Request], bool] = lambda _: False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        for version in self._hidden:
            if request.url.path.startswith(f"/slurm/{version}/"):
                url = request.url.copy_with(path="/slurm/v0.0.1/ping/")
                request = httpx2.Request(request.method, url, headers=request.headers)
        response = await self._real.handle_async_request(request)
        if self.lose(request):
            await response.aread()
            raise httpx2.ReadError("lost on its way")
        return response

    async def aclose(self) -> None:
        await self._real.aclose()


def _client(
    own: Stack | None, *, transport: Transport | None = None, token_file: Path | None = None
) -> SlurmClient:
    url = os.environ["SLURM_REST_URL"] if own is None else own.slurm_url
    known = os.environ["SLURM_JWT_FILE"] if own is None else str(own.slurm_token_file)
    return SlurmClient(
        endpoints=[url],
        token=TokenSource.from_file(token_file or known),
        timeout_s=30.0,
        clock=CLOCK,
        transport=transport,
    )


def _ground(client: SlurmClient) -> Ground:
    return Ground(client, "the newest", real=True, topology=TOPOLOGY)


async def test_a_lost_answer_is_found_again(own: Stack | None) -> None:
    """The submit was carried out, its answer never came: the id is found, there is one job."""
    transport = Transport()
    async with _client(own, transport=transport) as client, _ground(client).nodes(1) as nodes:
        lost: list[str] = []

        def lose(request: httpx2.Request) -> bool:
            if not request.url.path.endswith("/job/submit") or lost:
                return False
            lost.append(request.url.path)
            return True

        transport.lose = lose
        comment = f"e2e-{secrets.token_hex(8)}"
        before = set(await client.job_states())
        job_id = await client.submit(a_job(nodes[0], admin_comment=comment))
        assert lost
        new = set(await client.job_states()) - before
        carrying = [one for one in new if (await client.get_job(one)).admin_comment == comment]
        assert carrying == [job_id]


async def test_a_wrong_token_is_refused_until_it_is_right(
    own: Stack | None, tmp_path: Path
) -> None:
    """No restart: the next call after the rotation succeeds."""
    known = Path(os.environ["SLURM_JWT_FILE"]) if own is None else own.slurm_token_file
    file = tmp_path / "token"
    file.write_text("eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl")
    async with _client(own, token_file=file) as client:
        for call in (client.ping, client.job_states, client.list_partitions):
            with pytest.raises(NotAuthorised):
                await call()
        file.write_text(known.read_text())
        await client.job_states()


async def test_a_restart_of_slurmctld_ends_no_job(only_own: Stack) -> None:
    """An outage and its end are told; the job is the same after it, and nobody was gone."""
    async with (
        _client(only_own) as client,
        _ground(client).nodes(1) as nodes,
        watching(client) as (watcher, news),
    ):
        job_id = await client.submit(a_job(nodes[0], admin_comment="survivor"))
        watcher.track(job_id)
        await until(lambda: job_id in watcher.jobs and watcher.jobs[job_id].job.running, "runs")
        news.clear()
        only_own.stop("slurmctld", kill=False)
        await until(lambda: any(isinstance(one, Outage) for one in news), "outage told")
        with pytest.raises(Unavailable):
            await client.get_job(job_id)
        with pytest.raises(Unavailable):
            await client.cancel_job(job_id)
        assert watcher.jobs[job_id].job.running
        await asyncio.to_thread(only_own.start, "slurmctld")
        await until(lambda: any(isinstance(one, Recovered) for one in news), "recovery told")
        assert not any(isinstance(one, JobGone) for one in news)
        assert (await client.get_job(job_id)).running


async def test_a_purged_job_is_gone(own: Stack | None) -> None:
    """Slurm forgets an ended job after MinJobAge: told once, with how it ended."""
    async with (
        _client(own) as client,
        _ground(client).nodes(1) as nodes,
        watching(client) as (watcher, news),
    ):
        job_id = await client.submit(a_job(nodes[0], hold=True, comment=nodes[0].split("-")[1]))
        watcher.track(job_id)
        await client.cancel_job(job_id)
        await until(lambda: any(isinstance(one, JobGone) for one in news), "gone", within_s=180)
        (gone,) = [one for one in news if isinstance(one, JobGone)]
        assert gone.job_id == job_id
        assert gone.last is not None
        assert gone.last.state == "CANCELLED"


def test_host_lists_are_scontrols(only_own: Stack) -> None:
    """scontrol expands what we compress to the same names, and we what it compresses."""
    for names in (
        ["n1", "n2", "n3", "n7"],
        ["n08", "n09", "n10", "n11", "n1"],
        [f"ip-10-0-{a}-{b}.us-west-2.compute.internal" for a in (1, 2, 11) for b in (0, 7, 249)],
        ["a1b3", "a1b4", "a2b3", "login", "x-0-y"],
    ):
        ours = hostlist.compress(names)
        assert sorted(only_own.slurm("scontrol", "show", "hostnames", ours).split()) == sorted(
            names
        )
        theirs = only_own.slurm("scontrol", "show", "hostlistsorted", ",".join(names)).strip()
        assert sorted(hostlist.expand(theirs)) == sorted(names)
