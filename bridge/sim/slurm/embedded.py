"""The facade: a Slurm in this process, spoken to over real HTTP on loopback."""

import asyncio
import secrets
import tempfile
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from bridge.clock import Clock, SystemClock
from bridge.sim.slurm.answers import Answer
from bridge.sim.slurm.behaviour import Behaviour
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.dbd.control import Control
from bridge.sim.slurm.dbd.database import Database
from bridge.sim.slurm.description import Site
from bridge.sim.slurm.faults import Faults
from bridge.sim.slurm.partition import STANDARD, Partition
from bridge.sim.slurm.rest import VERSIONS, Rest
from bridge.sim.slurm.topology import Tree

_KEPT_REQUESTS = 10_000
TOKEN_HEADER = "X-SLURM-USER-TOKEN"
USERS = {"root": 0, "daemon": 1, "slurm": 64030, "nobody": 65534}


class EmbeddedSlurm:
    """`async with EmbeddedSlurm() as slurm:` gives `slurm.url`, `slurm.token_file`, and
    `slurm.cluster`, the pure core, to look at and to act on from outside (an admin's scancel).

    Nothing runs in the background: each request first lets happen what was due by then, so a
    test moves its clock and asks again.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        partitions: Iterable[Partition] = STANDARD,
        topology: Tree | None = None,
        behaviour: Behaviour | None = None,
        licenses: Mapping[str, int] | None = None,
        users: Mapping[str, int] | None = None,
        versions: tuple[str, ...] = VERSIONS,
        cluster_name: str = "embedded",
        accounting: bool = False,
        enforce: Iterable[str] = (),
    ) -> None:
        """With `accounting` there is a slurmdbd; `enforce` is AccountingStorageEnforce."""
        self._clock = clock or SystemClock()
        self._host, self._port = host, port
        database = Database(cluster_name) if accounting else None
        self._control = Control(database, enforce) if database else None
        self.cluster = Cluster(
            partitions=partitions,
            tree=topology if topology is not None else Tree("topo"),
            behaviour=behaviour,
            licenses=licenses,
            policy=self._control,
        )
        self.rest = Rest(
            self.cluster,
            site=Site(users=users or USERS),
            cluster_name=cluster_name,
            versions=versions,
            database=database,
        )
        self.faults = Faults()
        self.requests: deque[tuple[str, str]] = deque(maxlen=_KEPT_REQUESTS)
        """Method and path of each request that arrived, the latest last."""
        self._tokens: set[str] = set()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._runner: web.AppRunner | None = None
        self.url = ""

    @property
    def token_file(self) -> Path:
        """A file with a valid token."""
        if self._folder is None:
            raise RuntimeError("EmbeddedSlurm is not running: use `async with`")
        return Path(self._folder.name) / "token"

    @property
    def controller_up(self) -> bool:
        """Whether slurmctld answers slurmrestd; set it to let it go down and come back."""
        return self.rest.controller_up

    @controller_up.setter
    def controller_up(self, up: bool) -> None:
        self.rest.controller_up = up

    def enforce(self, *what: str) -> None:
        """Have slurmctld enforce `associations`, `limits`, `qos`, or nothing. Needs accounting."""
        if self._control is None:
            raise RuntimeError("this EmbeddedSlurm has no accounting")
        self._control.enforced = frozenset(what)
        self.cluster.limits_changed(self.now())

    def now(self) -> float:
        """The cluster's time."""
        return self._clock.time()

    def start_slurmd(self, name: str, conf: str) -> None:
        """A node that runs batch jobs registers itself, as `slurmd -Z -N name --conf conf` does.

        Raises Refused.
        """
        self.cluster.add_nodes(f"NodeName={name} {conf} State=UNKNOWN", self.now())

    def stop_slurmd(self, name: str) -> None:
        """That node's slurmd ends and the node is deleted. Raises Refused."""
        self.cluster.remove_node(name, self.now())

    async def rotate_token(self) -> None:
        """A new token is in the file, the old ones are void."""
        token = secrets.token_urlsafe(48)
        self._tokens = {token}
        await asyncio.to_thread(self.token_file.write_text, token + "\n")

    def expire_tokens(self) -> None:
        """Every token is void, also the one in the file."""
        self._tokens = set()

    async def __aenter__(self) -> Self:
        self._folder = await asyncio.to_thread(
            tempfile.TemporaryDirectory, prefix="embedded-slurm-"
        )
        await self.rotate_token()
        application = web.Application(client_max_size=64 * 1024**2)
        application.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._folder is not None:
            await asyncio.to_thread(self._folder.cleanup)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        lose_answer = False
        for fault in self.faults.meeting(request.method, request.path):
            if fault.kind == "delay":
                await self._clock.sleep(fault.delay_s)
            elif fault.kind == "status":
                return web.Response(status=fault.status, text=fault.text)
            elif fault.kind == "refuse":
                return _break(request)
            else:
                lose_answer = True
        token = request.headers.get(TOKEN_HEADER)
        if not token:
            return _respond(Answer(401, "Authentication failure", plain=True))
        answer = self.rest.handle(
            request.method,
            request.path,
            query=request.query,
            body=await request.read(),
            authentic=token in self._tokens,
            now=self._clock.time(),
        )
        return _break(request) if lose_answer else _respond(answer)


def _respond(answer: Answer) -> web.Response:
    if answer.plain:
        response = web.Response(status=answer.status, text=answer.body)
        response.force_close()
        return response
    return web.Response(
        status=answer.status, body=answer.body.encode(), content_type="application/json"
    )


def _break(request: web.Request) -> web.Response:
    """The connection ends without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
