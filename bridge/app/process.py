"""One process with all parts: built, started, stopped."""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import TypeVar

import structlog
import uvloop

from bridge import config, names, slurm, telemetry
from bridge.admission.associations import Associations
from bridge.admission.identity_validator import IdentityValidator
from bridge.admission.namespaces import NamespaceKeeper
from bridge.admission.reader_process import ReaderProcess
from bridge.admission.review import MOST_BYTES, Reviewer
from bridge.admission.scope import Scope
from bridge.admission.turns import ReviewTurns
from bridge.app import ending, rules
from bridge.app.binder import KubeBinder
from bridge.app.connections import Connections, connect
from bridge.app.lasting import lasting
from bridge.app.readiness import Age
from bridge.app.watches import Watches
from bridge.capacity.controller import CapacityController
from bridge.clock import Clock, SystemClock
from bridge.controller import GangController, GangRules, Outages, Surroundings
from bridge.extender.scoring import NodeScores
from bridge.extender.service import Extender
from bridge.kube.api.events import EventRecorder
from bridge.lifecycle.events import NewNodes
from bridge.model.ids import GangId
from bridge.nodes.controller import NodeController
from bridge.server import addresses, descriptors
from bridge.server.budget import Budget
from bridge.server.connections import Limits
from bridge.server.https import HttpsServer, Route
from bridge.server.listener import Shared
from bridge.server.metrics import ServerMetrics
from bridge.server.probes import ProbesServer
from bridge.server.tls import CertificateFiles, Tls
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState

log = structlog.get_logger(__name__)

_GANGS_S = 30.0
"""The loop that drives the gangs goes round every second."""
_SLURM_AWAY_S = 15.0
"""A Slurm that is away for a moment, as for a restart, is no reason to be not ready."""
_DRAIN_S = 8.0
_STOP_S = 5.0
"""What is in flight, then everything else, has this long to end: 20 s in all at the most."""
_END_S = 25.0
"""After this time the process ends, whatever it still does; Kubernetes gives a pod 30 s."""
_LEAVE_S = 1.0
T = TypeVar("T")


def run(settings: config.Settings) -> int:
    """`slurm-bridge run`: all of ours in one process, until SIGTERM or SIGINT. The exit code."""
    telemetry.configure(level=settings.log_level, log_format=settings.log_format)
    descriptors.raise_limit()
    return uvloop.run(_main(settings))


async def _main(settings: config.Settings) -> int:
    clock = SystemClock()
    stop = asyncio.Event()

    def begin_to_stop() -> None:
        if not stop.is_set():
            stop.set()
            ending.stop_within(_END_S)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, begin_to_stop)
    app = await _unless(stop, App.build(settings, clock=clock))
    if app is None:
        log.info("bridge.stopped")
    else:
        try:
            await app.run(stop)
        except Exception:
            log.exception("bridge.crashed")
            raise
        finally:
            await app.close()
    ending.leave_within(_LEAVE_S, 0)
    return 0


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
    """All parts of one process."""

    def __init__(
        self, settings: config.Settings, connections: Connections, *, clock: Clock
    ) -> None:
        self.settings = settings
        self._connections = connections
        self._clock = clock
        self._stopping = False
        self.metrics = telemetry.Metrics()
        self.cluster = KubeState(
            scheduler_name=settings.scheduler_name,
            class_ignore_keys=settings.nodes.class_ignore_keys,
            block_sizes=settings.placement.block_sizes,
            most_gang_pods=settings.gangs.max_pods,
            want=lambda api_version, kind: self._watches.want(api_version, kind),
        )
        self._slurm_state = SlurmState()
        self._recorder = EventRecorder(connections.kube, clock=clock, instance=socket.gethostname())
        self.watcher = self._build_watcher()
        outage = {
            side: telemetry.OutageLog(side, logger=log, clock=clock, metrics=self.metrics)
            for side in ("slurm", "kubernetes")
        }
        self.controller = self._build_controller(outage)
        self.nodes = self._build_nodes(outage["slurm"])
        self._capacity = self._build_capacity()
        self.associations = Associations(
            connections.client,
            namespaces=self.cluster.namespaces,
            interval_s=settings.identity.associations_interval_s,
            clock=clock,
        )
        self._watches = Watches(
            settings,
            kube=connections.kube,
            cluster=self.cluster,
            changes=self.controller.changes,
            nodes=self.nodes,
            namespaces=NamespaceKeeper(
                self.cluster.namespaces, recorder=self._recorder, changed=self._identities_changed
            ),
            recorder=self._recorder,
            outage=outage["kubernetes"],
            clock=clock,
        )
        self._show_ages()
        self._server_metrics = ServerMetrics(self.metrics)
        self._shared = Shared(Budget(settings.server.memory_mib << 20))
        self.reader_process = ReaderProcess()
        self.https = self._build_https(connections.files)
        self.probes = self._build_probes()

    @classmethod
    async def build(cls, settings: config.Settings, *, clock: Clock) -> "App":
        """Reach both sides as far as needed. Raises ConfigError and Unreachable."""
        return cls(settings, await connect(settings, clock=clock), clock=clock)

    # -- the parts -----------------------------------------------------------------------------

    def _build_watcher(self) -> slurm.JobWatcher:
        said = self.settings.slurm
        return slurm.JobWatcher(
            self._connections.client,
            clock=self._clock,
            poll_quick_s=said.poll_quick_s,
            poll_interval_s=said.poll_interval_s,
            detail_gets_per_s=said.detail_gets_per_s,
        )

    def _build_controller(self, outage: Mapping[str, telemetry.OutageLog]) -> GangController:
        return GangController(
            Surroundings(
                cluster=self.cluster,
                slurm_state=self._slurm_state,
                client=self._connections.client,
                watcher=self.watcher,
                kube=self._connections.kube,
                recorder=self._recorder,
                cluster_uid=self._connections.cluster_uid,
                scheduler_name=self.settings.scheduler_name,
                outages=Outages(slurm=outage["slurm"], kubernetes=outage["kubernetes"]),
                metrics=self.metrics,
                clock=self._clock,
            ),
            GangRules(
                translation=rules.translation(self.settings),
                limits=rules.shared_tasks(self.settings),
                tuning=rules.tuning(self.settings),
            ),
        )

    def _build_nodes(self, outage: telemetry.OutageLog) -> NodeController:
        return NodeController(
            cluster=self.cluster,
            slurm_state=self._slurm_state,
            client=self._connections.client,
            kube=self._connections.kube,
            recorder=self._recorder,
            rules=rules.registration(self.settings, self._connections.cluster_uid),
            scheduler_name=self.settings.scheduler_name,
            interval_s=self.settings.nodes.interval_s,
            outage=outage,
            metrics=self.metrics,
            changed=self.controller.changes.nodes_changed,
            slurm_room_changed=self.controller.changes.slurm_room_changed,
            classes_in_use=self.controller.gangs.classes_in_use,
            clock=self._clock,
        )

    def _build_capacity(self) -> CapacityController:
        def tell(gang_id: GangId, note: str, *, event: str, here: bool) -> None:
            self.controller.handle(gang_id, NewNodes(note, event, here))

        return CapacityController(
            rules.capacity(self.settings),
            cluster=self.cluster,
            slurm_state=self._slurm_state,
            kube=self._connections.kube,
            needs=self.controller.lacking_nodes,
            tell=tell,
            clock=self._clock,
        )

    def _build_probes(self) -> ProbesServer:
        return ProbesServer(
            address=addresses.parse(self.settings.server.metrics_listen),
            checks={
                "stopping": lambda: "stopping" if self._stopping else "",
                "kubernetes": self._watches.missing,
                **{name: age.check for name, age in self._ages().items()},
                "recovery": lambda: (
                    "" if self.controller.recovered else "gangs and jobs are being matched"
                ),
            },
            registry=self.metrics.registry,
            metrics=self._server_metrics,
            shared=self._shared,
            clock=self._clock,
        )

    def _ages(self) -> Mapping[str, Age]:
        """What must not be long ago, by the name of its check."""
        watcher, clock = self.watcher, self._clock
        request_s = 2 * self.settings.slurm.request_timeout_s  # as slurm.http bounds one
        return {
            "slurm": Age(
                what="the list of Slurm's jobs",
                of=lambda: clock.monotonic() - watcher.seen_s,
                most_s=max(_SLURM_AWAY_S, watcher.longest_pause_s + request_s),
                why=lambda: watcher.problem,
                look_at="slurmrestd, the token file and the log (outage.began)",
            ),
            "gangs": Age(
                what="the last round of the gangs",
                of=lambda: self.controller.alive_s,
                most_s=_GANGS_S,
                look_at="the log",
            ),
        }

    def _build_https(self, files: CertificateFiles) -> HttpsServer:
        reviewer = Reviewer(
            pods=Scope.from_settings(self.settings),
            namespaces=self.cluster.namespaces,
            identity_validator=IdentityValidator(
                rules=rules.identities(self.settings),
                partition=self.settings.partition,
                associations=self.associations,
            ),
            bridge_users=frozenset({self._connections.user}),
            turns=ReviewTurns(self.reader_process, clock=self._clock),
        )
        extender = Extender(
            placements=self.controller.placements,
            binder=KubeBinder(self._connections.kube),
            clock=self._clock,
            scores=NodeScores(self.cluster, self._slurm_state, rules.score_weights(self.settings)),
            metrics=self.metrics,
        )
        return HttpsServer(
            address=addresses.parse(self.settings.server.listen),
            routes=[
                Route(names.MUTATE_PATH, reviewer.mutate, max_body_bytes=MOST_BYTES),
                Route(names.VALIDATE_PATH, reviewer.validate, max_body_bytes=MOST_BYTES),
                Route(names.FILTER_PATH, extender.filter, client_certificate=True),
                Route(names.PRIORITIZE_PATH, extender.prioritize, client_certificate=True),
                Route(names.BIND_PATH, extender.bind, client_certificate=True),
            ],
            tls=Tls(files),
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

    def _show_ages(self) -> None:
        metrics, watcher = self.metrics, self.watcher
        metrics.age(metrics.poll_age, of=lambda: self._clock.monotonic() - watcher.seen_s)
        metrics.age(metrics.details_age, of=lambda: watcher.details_age_s)
        metrics.age(metrics.token_age, of=partial(self._connections.token.age_s, self._clock))
        for one in self._watches.reflectors:
            metrics.age(metrics.watch_age, one.name, of=partial(getattr, one, "last_contact_s"))

    def _identities_changed(self, namespaces: frozenset[str]) -> None:
        """Jobs that wait are told, those that were refused for it are tried again."""
        self.associations.trigger()
        if any(pod.namespace in namespaces for pod in self.cluster.pods.values()):
            self.controller.changes.nodes_changed()

    # -- life ------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Serve and drive until `stop` is set."""
        async with self.probes, self.https:
            log.info("bridge.started", https_port=self.https.port, probes_port=self.probes.port)
            work = asyncio.create_task(self._work(), name="work")
            stopped = asyncio.create_task(stop.wait(), name="stop")
            try:
                await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
                self._stopping = True
                log.info("bridge.stopping")
                if work.done():
                    await work  # raises what ended it
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_DRAIN_S):
                        await self.controller.drain()
            finally:
                await _cancelled([work, stopped])
        log.info("bridge.stopped")

    async def _work(self) -> None:
        """Each part is begun under the name that it has in the log and in the metrics."""
        async with asyncio.TaskGroup() as group:
            self._begin(group, "feeds", self._watches.run)
            self._begin(group, "events", self._recorder.run)
            self._begin(group, "certificate", self.https.watch_certificate)
            self._begin(group, "watcher", self.watcher.run)
            self._begin(group, "runner", self.controller.run)
            await self._watches.wait_for_sync()
            gc.collect()
            gc.freeze()  # what was listed lives long: no collection needs to walk it again
            self._begin(group, "nodes", self.nodes.run)
            self._begin(group, "associations", self.associations.run)
            await self.watcher.wait_for_sync()
            self._begin(group, "recovery", self.controller.recovery.run)
            self._begin(group, "capacity", self._capacity.run)

    def _begin(
        self, group: asyncio.TaskGroup, name: str, run: Callable[[], Awaitable[None]]
    ) -> None:
        part = lasting(name, run, clock=self._clock, metrics=self.metrics)
        group.create_task(part, name=name)

    async def close(self) -> None:
        """Let go of the connections, and of the process that reads."""
        await self.reader_process.close()
        await self._connections.client.close()
        await self._connections.kube.close()


async def _cancelled(tasks: Iterable[asyncio.Task[object]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=_STOP_S)
