"""Which Slurm the contract is held against: the emulator, or (`--stack=real`) the real daemons."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from bridge.clock import SystemClock
from bridge.sim.slurm import EmbeddedSlurm, embedded
from bridge.slurm import SlurmClient, TokenSource
from tests.arena import real
from tests.arena.embedded import PARTITIONS
from tests.contract.ground import PEOPLE, Ground
from tests.e2e.stack import Settings, Stack, layout
from tests.e2e.stack.slurm import NATIVE, NATIVE_NODE

ENFORCED = ("limits", "qos")
"""AccountingStorageEnforce where it is about that."""


class Transport(httpx2.AsyncBaseTransport):
    """The way to a slurmrestd of which all REST versions but one are hidden."""

    def __init__(self, version: str) -> None:
        self._real = httpx2.AsyncHTTPTransport()
        self._version = version

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        plugin, version = request.url.path.split("/")[1:3]
        if plugin == "slurm" and version != self._version:
            url = request.url.copy_with(path="/slurm/v0.0.1/ping/")
            request = httpx2.Request(request.method, url, headers=request.headers)
        return await self._real.handle_async_request(request)

    async def aclose(self) -> None:
        await self._real.aclose()


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack | None]:
    """The real stack: the one that is up, else one for this session."""
    if request.config.getoption("--stack") != "real":
        yield None
        return
    settings = Settings(name=real.NAME, port_base=real.PORT_BASE)
    was_up = layout.Layout.of(settings).mark.exists()
    started = Stack.up(settings)
    yield started
    if not was_up:
        started.down()


@pytest.fixture(scope="session")
def enforcing_stack(stack: Stack | None) -> Iterator[Stack | None]:
    """One more, that holds jobs to accounts and limits: those of all users, so it is not shared."""
    if stack is None:
        yield None
        return
    with Stack.fresh("limits", real.PORT_BASE + 20) as own:
        own.slurm_cluster.enforce(*ENFORCED)
        yield own


@pytest.fixture(autouse=True)
def _only_real(request: pytest.FixtureRequest, stack: Stack | None) -> None:
    """Skip, with the reason that the test's mark gives, what the emulator can't be asked."""
    mark = request.node.get_closest_marker("only_real")
    if mark is not None and stack is None:
        pytest.skip(mark.args[0])


@pytest.fixture(params=["v0.0.45", "v0.0.44"])
def version(request: pytest.FixtureRequest) -> str:
    """Each REST version that both know: the server then offers only that one."""
    chosen: str = request.param
    return chosen


@pytest.fixture
async def ground(stack: Stack | None, version: str) -> AsyncIterator[Ground]:
    """A client of that Slurm, and what tests need to know of it."""
    async with _ground(stack, version) as found:
        yield found


@pytest.fixture
async def enforcing(enforcing_stack: Stack | None, version: str) -> AsyncIterator[Ground]:
    """The same of a Slurm that enforces accounts, limits and QOS."""
    async with _ground(enforcing_stack, version, enforce=ENFORCED) as found:
        yield found


@asynccontextmanager
async def _ground(
    stack: Stack | None, version: str, *, enforce: tuple[str, ...] = ()
) -> AsyncIterator[Ground]:
    if stack is None:
        async with EmbeddedSlurm(
            partitions=PARTITIONS,
            licenses={"matlab": 4, "ansys": 2},
            users={**embedded.USERS, **PEOPLE, "games": 5},
            accounting=True,
            enforce=enforce,
        ) as slurm:
            slurm.start_slurmd(NATIVE_NODE, "CPUs=2 RealMemory=1000 Feature=native")
            token = TokenSource.from_file(slurm.token_file)
            async with _client(slurm.url, token, version) as client:
                yield Ground(client, version, real=False, topology="topo:root")
                await asyncio.sleep(0)
        return
    token = TokenSource.from_file(stack.slurm_token_file)
    async with _client(stack.slurm_url, token, version) as client:
        yield Ground(client, version, real=True, topology="fabric:root")


@pytest.fixture(scope="session")
def native(stack: Stack | None) -> str:
    """The partition of a node that runs batch jobs; in the emulator it is there always."""
    if stack is not None:
        stack.start_slurmd()
    return NATIVE


@pytest.fixture
def client(ground: Ground) -> SlurmClient:
    """The client alone."""
    return ground.client


def _client(url: str, token: TokenSource, version: str) -> SlurmClient:
    return SlurmClient(
        endpoints=[url],
        token=token,
        timeout_s=30.0,
        clock=SystemClock(),
        transport=Transport(version),
    )
