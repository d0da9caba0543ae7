"""One process: its parts by what it is to do, started, stopped.

A part is imported only by a process that has it: a webhook or an extender starts sooner, and is
smaller.
"""

import asyncio
import contextlib
import enum
import signal
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog
import uvloop

from bridge import config, telemetry
from bridge.app import ending
from bridge.app.connections import Connections, connect
from bridge.app.parts import Begin, Tools
from bridge.clock import Clock, SystemClock
from bridge.kube.api.lease import Lease, LostLease
from bridge.server import addresses, descriptors
from bridge.server.budget import Budget
from bridge.server.connections import Limits
from bridge.server.https import HttpsServer
from bridge.server.listener import Shared
from bridge.server.metrics import ServerMetrics
from bridge.server.probes import ProbesServer
from bridge.server.tls import Tls

if TYPE_CHECKING:
    from bridge.app.controlling import Controlling
    from bridge.app.extending import Extending
    from bridge.app.reviewing import Reviewing
    from bridge.app.serving_api import ApiSide
    from bridge.app.serving_rpc import RpcSide
    from bridge.controller import GangController

log = structlog.get_logger(__name__)

_DRAIN_S = 8.0
_STOP_S = 5.0
"""What is in flight, then everything else, has this long to end: 20 s in all at the most."""
_END_S = 25.0
"""After this time the process ends, whatever it still does; Kubernetes gives a pod 30 s."""
_LEAVE_S = 1.0
LOST_LEASE = 1
"""Exit code of a controller that does not lead any more; started again, it waits for the Lease."""
T = TypeVar("T")


class Role(enum.Enum):
    """What a process does: one of the three, or all of them."""

    ALL = "run"
    CONTROLLER = "controller"
    EXTENDER = "extender"
    WEBHOOK = "webhook"


def run(settings: config.Settings, role: Role = Role.ALL) -> int:
    """Run the process until SIGTERM or SIGINT. The exit code."""
    telemetry.configure(level=settings.log_level, log_format=settings.log_format)
    descriptors.raise_limit()
    return uvloop.run(_main(settings, role))


async def _main(settings: config.Settings, role: Role) -> int:
    clock = SystemClock()
    stop = asyncio.Event()

    def begin_to_stop() -> None:
        if not stop.is_set():
            stop.set()
            ending.stop_within(_END_S)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, begin_to_stop)
    code = 0
    app = await _unless(stop, App.build(settings, clock=clock, role=role))
    if app is None:
        log.info("bridge.stopped")
    else:
        try:
            await app.run(stop)
        except LostLease as error:
            log.warning("bridge.leads_no_more", error=str(error))
            code = LOST_LEASE
        except Exception:
            log.exception("bridge.crashed")
            raise
        finally:
            await app.close()
    ending.leave_within(_LEAVE_S, code)
    return code


async def _unless(stop: asyncio.Event, work: Coroutine[None, None, T]) -> T | None:
    """What `work` returns or raises; None when the stop comes before."""
    working = asyncio.create_task(work, name="start")
    stopped = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        await _cancelled([working, stopped])


class App:
    """The parts of one process."""

    def __init__(
        self,
        settings: config.Settings,
        connections: Connections,
        *,
        clock: Clock,
        role: Role = Role.ALL,
        lease: Lease | None = None,
        lease_namespace: str = "",
    ) -> None:
        """`lease`: of a controller that only acts while it holds it; None acts at once."""
        self.settings = settings
        self.role = role
        self._connections = connections
        self._clock = clock
        self._lease = lease
        self._stopping = False
        self._tools = Tools.of(clock)
        self.metrics = self._tools.metrics
        self.controlling = self._controlling()
        self.reviewing = self._reviewing()
        self.extending = self._extending(lease_namespace)
        self.rpc = self._rpc()
        self.api = self._api()
        self._server_metrics = ServerMetrics(self.metrics)
        self._shared = Shared(Budget(settings.server.memory_mib << 20))
        self.https = self._https() if self.reviewing or self.extending else None
        self.probes = self._probes()

    @classmethod
    async def build(
        cls, settings: config.Settings, *, clock: Clock, role: Role = Role.ALL
    ) -> "App":
        """Reach both sides as far as needed. Raises ConfigError and Unreachable."""
        connections = await connect(settings, clock=clock)
        lease: Lease | None = None
        namespace = ""
        if role in (Role.CONTROLLER, Role.EXTENDER):
            from bridge.app import leading

            namespace = await leading.namespace(settings)
        if role is Role.CONTROLLER:
            lease = leading.lease(settings, connections.kube, namespace=namespace, clock=clock)
            connections.write_only_while(partial(getattr, lease, "leading"))
        return cls(
            settings, connections, clock=clock, role=role, lease=lease, lease_namespace=namespace
        )

    @property
    def controller(self) -> "GangController":
        """That of this process. Raises LookupError if it has none."""
        if self.controlling is None:
            raise LookupError(f"slurm-bridge {self.role.value} has no controller")
        return self.controlling.controller

    @property
    def https_port(self) -> int:
        """The port of webhook and extender; 0 before it listens, or if the process has neither."""
        return self.https.port if self.https is not None else 0

    # -- the parts -----------------------------------------------------------------------------

    def _controlling(self) -> "Controlling | None":
        if self.role not in (Role.ALL, Role.CONTROLLER):
            return None
        from bridge.app.controlling import Controlling

        return Controlling(
            self.settings,
            self._connections,
            self._tools,
            identities_changed=self._identities_changed,
        )

    def _identities_changed(self) -> None:
        if self.reviewing is not None:
            self.reviewing.associations.trigger()

    def _reviewing(self) -> "Reviewing | None":
        if self.role not in (Role.ALL, Role.WEBHOOK):
            return None
        from bridge.app.reviewing import Reviewing

        return Reviewing(
            self.settings,
            self._connections,
            self._tools,
            namespaces=self.controlling.cluster.namespaces if self.controlling else None,
        )

    def _extending(self, lease_namespace: str) -> "Extending | None":
        if self.role not in (Role.ALL, Role.EXTENDER):
            return None
        from bridge.app.extending import Extending

        here = self.controlling
        if here is None:
            from bridge.app.following import follower

            placements = follower(
                self.settings, self._connections, self._tools, lease_namespace=lease_namespace
            )
            return Extending(self._connections, self._tools, placements=placements, scores=None)
        from bridge.app import rules
        from bridge.extender.scoring import NodeScores

        weights = rules.score_weights(self.settings)
        return Extending(
            self._connections,
            self._tools,
            placements=here.controller.placements,
            scores=NodeScores(here.cluster, here.slurm_state, weights),
        )

    def _rpc(self) -> "RpcSide | None":
        if self.controlling is None or self._lease is None:
            return None
        from bridge.app.serving_rpc import RpcSide

        return RpcSide(self.settings, self._connections, self._tools, self.controlling, self._lease)

    def _api(self) -> "ApiSide | None":
        if self.controlling is None:
            return None
        from bridge.app.serving_api import ApiSide

        return ApiSide(self.settings, self._connections, self._tools, self.controlling, self._lease)

    def _https(self) -> HttpsServer:
        parts = [one for one in (self.reviewing, self.extending) if one is not None]
        return HttpsServer(
            address=addresses.parse(self.settings.server.listen),
            routes=[route for part in parts for route in part.routes],
            tls=Tls(self._connections.files),
            metrics=self._server_metrics,
            shared=self._shared,
            limits=Limits(connections=self._most_connections()),
            clock=self._clock,
        )

    def _most_connections(self) -> int:
        wanted = self.settings.server.max_connections
        room = descriptors.room_for(wanted)
        if room < wanted:
            log.warning("server.few_descriptors", max_connections=wanted, possible=room)
        return room

    def _probes(self) -> ProbesServer:
        checks: dict[str, Callable[[], str]] = {
            "stopping": lambda: "stopping" if self._stopping else ""
        }
        notes: dict[str, Callable[[], str]] = {}
        for part in (self.controlling, self.reviewing, self.extending):
            if part is not None:
                checks.update(part.checks)
        if self.controlling is not None:
            # Behind a Service with failurePolicy Fail, nobody could create a pod without Slurm.
            serves_webhook = self.reviewing is not None
            (notes if serves_webhook else checks).update(self.controlling.slurm_checks)
        return ProbesServer(
            address=addresses.parse(self.settings.server.metrics_listen),
            checks=checks,
            notes=notes,
            registry=self.metrics.registry,
            metrics=self._server_metrics,
            shared=self._shared,
            clock=self._clock,
        )

    # -- life ------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Serve and drive until `stop` is set. Raises LostLease when a controller leads no more."""
        async with contextlib.AsyncExitStack() as serving:
            await serving.enter_async_context(self.probes)
            if self.https is not None:
                await serving.enter_async_context(self.https)
            for side in (self.rpc, self.api):
                if side is not None:
                    await serving.enter_async_context(side.server)
            log.info(
                "bridge.started",
                role=self.role.value,
                https_port=self.https_port,
                probes_port=self.probes.port,
            )
            work = asyncio.create_task(self._work(), name="work")
            stopped = asyncio.create_task(stop.wait(), name="stop")
            try:
                await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
                self._stopping = True
                log.info("bridge.stopping")
                if work.done():
                    await work  # raises what ended it
                await self._drain()
            finally:
                await _cancelled([work, stopped])
        log.info("bridge.stopped")

    async def _drain(self) -> None:
        """What is in flight is answered; then the next controller need not wait."""
        if self.controlling is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_S):
                    await self.controlling.drain()
        if self._lease is not None:
            await self._lease.release()

    async def _work(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                await self._begin(Begin(group, self._tools), group)
        except* LostLease as lost:
            raise lost.exceptions[0] from None

    async def _begin(self, begin: Begin, group: asyncio.TaskGroup) -> None:
        for part in (self.controlling, self.reviewing, self.extending, self.rpc, self.api):
            if part is not None:
                part.watch(begin)
        if self.https is not None:
            begin("certificate", self.https.watch_certificate)
        if self.reviewing is not None:
            group.create_task(self._review(self.reviewing, begin), name="reviewing")
        if self.controlling is not None:
            if self._lease is not None:
                await self.controlling.wait_for_kubernetes()
                await self._lease.acquire()
                group.create_task(self._lease.hold(), name="lease")
            await self.controlling.drive(begin)

    async def _review(self, reviewing: "Reviewing", begin: Begin) -> None:
        if self.controlling is not None:
            await self.controlling.wait_for_kubernetes()
        await reviewing.drive(begin)

    async def close(self) -> None:
        """Let go of the connections, and of the process that reads."""
        if self.reviewing is not None:
            await self.reviewing.close()
        await self._connections.client.close()
        await self._connections.kube.close()


async def _cancelled(tasks: Iterable[asyncio.Task[object]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=_STOP_S)
