"""All parts of one process: in which order they begin, and how they end."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
import structlog

from bridge import config, slurm
from bridge.app import App
from bridge.app.connections import Connections
from bridge.app.controlling import Controlling
from bridge.clock import SystemClock
from bridge.kube.api.client import KubeClient
from bridge.kube.objects import volumes
from bridge.server import certificates
from bridge.server.tls import CertificateFiles
from tests.unit.app.api import MINE, Api, a_raw_pod
from tests.unit.kube.apiserver import ApiServer, connected
from tests.unit.slurm import recorded
from tests.unit.slurm.slurmrestd import Slurmrestd

SETTINGS = config.Settings.model_validate(
    {
        "slurmRestApi": "http://slurm",
        "partition": "p",
        "server": {"listen": "127.0.0.1:0", "metricsListen": "127.0.0.1:0"},
        "api": {"listen": "127.0.0.1:0"},
    }
)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """A traceback on a terminal reads files, which blocks the loop."""
    with structlog.testing.capture_logs():
        yield


class Slurm(Slurmrestd):
    """Has no nodes, and keeps what was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.when = self._answer

    def _answer(self, request: httpx2.Request) -> httpx2.Response | None:
        call = "/".join(request.url.path.split("/")[3:])
        self.asked.append(call)
        if call.startswith(("job", "ping")):
            return None
        return recorded.well(nodes=[], partitions=[], associations=[], conf={})


class Running:
    """An App between both test servers."""

    def __init__(self, app: App, api: Api, rest: Slurm) -> None:
        self.app, self.api, self.rest = app, api, rest
        self.stop = asyncio.Event()
        self.work = asyncio.ensure_future(app.run(self.stop))

    async def until(self, what: str) -> None:
        """The readiness probe says so; "" for ready."""
        async with asyncio.timeout(10):
            while not _says(await self.ready(), what):  # noqa: ASYNC110  (it has no event)
                await asyncio.sleep(0.01)

    async def ready(self) -> str:
        """What keeps the process from being ready, or from its work."""
        if not self.app.probes.port:
            return "not listening"
        async with httpx2.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{self.app.probes.port}/readyz")
        return answer.text if answer.status_code != 200 or "[!]" in answer.text else ""


def _says(said: str, what: str) -> bool:
    return what in said if what else not said


def certificate_files(folder: Path) -> CertificateFiles:
    made = certificates.Folder(folder)
    certificates.ensure(made, hosts=["localhost"], now_s=time.time())
    return CertificateFiles(made.server, made.server_key, made.ca)


async def built(folder: Path, kube: KubeClient, rest: Slurm) -> App:
    token = slurm.TokenSource.fixed("secret")
    client = slurm.SlurmClient(endpoints=["http://slurm"], token=token, transport=rest.server())
    connections = Connections(
        kube=kube, client=client, token=token, cluster_uid="cluster", user="bridge",
        files=await asyncio.to_thread(certificate_files, folder / "tls"),
    )  # fmt: skip
    return App(SETTINGS, connections, clock=SystemClock())


def controlling(it: Running) -> Controlling:
    """Its controller."""
    assert it.app.controlling is not None
    return it.app.controlling


@asynccontextmanager
async def running(folder: Path, *, held: str = "") -> AsyncIterator[Running]:
    """`held`: a path whose list is not answered."""
    async with ApiServer() as server, connected(server, folder) as kube:
        api, rest = Api(server), Slurm()
        api.held = {held}
        api.items = {MINE: [a_raw_pod("web")]}
        it = Running(await built(folder, kube, rest), api, rest)
        try:
            yield it
        finally:
            it.stop.set()
            await asyncio.wait_for(it.work, 10)
            await it.app.close()
            api.close()


async def test_a_process_is_ready_when_its_gangs_decide(tmp_path: Path) -> None:
    """Everything was listed, and recovery has found whose jobs are whose."""
    async with running(tmp_path) as it:
        await it.until("")
        assert it.app.controller.recovered
        assert list(it.app.controller.gangs.machines) == ["uid-web"]


async def test_before_everything_was_listed_nothing_is_begun_in_slurm(tmp_path: Path) -> None:
    """A node that is not listed yet would be taken for one that is gone, and deleted."""
    async with running(tmp_path, held=volumes.CLAIMS_PATH) as it:
        await it.until("not listed yet: claims")
        assert not it.app.controller.recovered
        assert set(it.rest.asked) <= {"ping/", "jobs/state/"}


async def test_a_process_that_is_told_to_stop_is_not_ready_and_ends(tmp_path: Path) -> None:
    """Its parts end with it; pods and jobs stay as they are."""
    async with running(tmp_path) as it:
        await it.until("")
        before = dict(it.rest.jobs)
        it.stop.set()
        await asyncio.wait_for(it.work, 10)
        assert it.rest.jobs == before


async def test_a_part_that_fails_ends_neither_the_process_nor_the_others(tmp_path: Path) -> None:
    """It is counted, and started again."""
    async with running(tmp_path) as it:
        controlling(it).nodes.run = fail  # type: ignore[method-assign]
        await it.until("")
        failures = it.app.metrics.part_failures.labels("nodes")
        async with asyncio.timeout(5):
            while not failures._value.get():  # noqa: ASYNC110  (it has no event)
                await asyncio.sleep(0.01)
        assert not it.work.done()


async def fail() -> None:
    raise RuntimeError("mistake")
