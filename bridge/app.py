"""The composition root: builds every part, hands each what it needs, starts and stops them.

The only module that knows everyone. One process here: the controller, the extender and the
webhook share one truth, so the extender's verdict is never older than the controller's.

Starting: reflectors and watcher first; the gangs decide only when all of them have synced and
recovery has found whose jobs are whose. Stopping (SIGTERM): not ready at once, calls in flight are
answered, then everything ends; pods and jobs stay as they are.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog
import uvloop

from bridge import config, names, slurm, telemetry
from bridge.admission.associations import Associations
from bridge.admission.namespaces import NamespaceKeeper
from bridge.admission.people import People
from bridge.admission.review import Reviewer
from bridge.admission.scope import Scope
from bridge.clock import Clock, SystemClock
from bridge.errors import BadInput, ConfigError, Unreachable
from bridge.extender.scoring import NodeScores
from bridge.extender.service import Extender
from bridge.kube import namespaces as kube_namespaces
from bridge.kube import nodes as kube_nodes
from bridge.kube import pods as kube_pods
from bridge.kube import volumes as kube_volumes
from bridge.kube.client import KubeClient
from bridge.kube.errors import KubeError
from bridge.kube.events import EventRecorder
from bridge.kube.owner_watches import OwnerWatches
from bridge.kube.reflector import Change, Deleted, Reflector, Replaced, Upserted
from bridge.lifecycle.recovery import Recovery
from bridge.lifecycle.runner import Runner
from bridge.lifecycle.states import Tuning
from bridge.model import quantity
from bridge.model.devices import ResourceMap
from bridge.model.ids import NodeName, PodUid
from bridge.model.node import Node
from bridge.model.owner import Owner, OwnerKey, Settled
from bridge.model.pod import Pod
from bridge.model.volume import ClaimKey
from bridge.nodes import definition
from bridge.nodes.controller import NodeController
from bridge.placement.score import ScoreWeights
from bridge.server import addresses, certificates
from bridge.server.https import HttpsServer, Route
from bridge.server.metrics import ServerMetrics
from bridge.server.probes import ProbesServer
from bridge.server.tls import CertificateFiles, Tls
from bridge.state.cluster import Cluster
from bridge.state.slurm_side import SlurmSide
from bridge.workloads import identity, jobspec, tasks

log = structlog.get_logger(__name__)

Row = TypeVar("Row")
_DRAIN_S = 8.0
_STOP_S = 5.0
"""What is in flight, then everything else, has this long to end: 20 s in all at the most."""
_KUBERNETES_WAIT_S = 30.0
_FREE_VOLUMES_S = 1.0


def run(settings: config.Settings) -> int:
    """`slurm-bridge run`: all of ours in one process, until SIGTERM or SIGINT. The exit code."""
    telemetry.configure(level=settings.log_level, log_format=settings.log_format)
    return uvloop.run(_main(settings))


async def _main(settings: config.Settings) -> int:
    clock = SystemClock()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = await App.build(settings, clock=clock)
    try:
        await app.run(stop)
    finally:
        await app.close()
    return 0


class KubeBinder:
    """The extender's requests to the API server."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def bind(self, *, namespace: str, name: str, uid: PodUid, node: NodeName) -> None:
        """POST the Binding."""
        await kube_pods.bind(self._client, namespace=namespace, name=name, uid=uid, node=node)

    async def node_of(self, *, namespace: str, name: str, uid: PodUid) -> NodeName | None:
        """Where the pod is bound, if it is this very pod."""
        raw = await self._client.get(f"/api/v1/namespaces/{namespace}/pods/{name}")
        pod = kube_pods.parse(raw)
        return (pod.node_name or None) if pod.uid == uid else None


class App:
    """All parts of one process."""

    def __init__(
        self,
        settings: config.Settings,
        *,
        clock: Clock,
        kube: KubeClient,
        client: slurm.SlurmClient,
        cluster_uid: str,
        user: str,
        files: CertificateFiles,
    ) -> None:
        self.settings = settings
        self._user = user
        self._clock = clock
        self._kube = kube
        self._client = client
        self.metrics = telemetry.Metrics()
        self.cluster = Cluster(
            scheduler_name=settings.scheduler_name,
            class_ignore_keys=settings.nodes.class_ignore_keys,
            block_sizes=settings.placement.block_sizes,
            want=lambda api_version, kind: self._owners.want(api_version, kind),
        )
        self._side = SlurmSide()
        self._recorder = EventRecorder(kube, clock=clock, instance=socket.gethostname())
        self.watcher = slurm.JobWatcher(
            client,
            clock=clock,
            poll_quick_s=settings.slurm.poll_quick_s,
            poll_interval_s=settings.slurm.poll_interval_s,
            detail_gets_per_s=settings.slurm.detail_gets_per_s,
        )
        outage = telemetry.OutageLog("slurm", logger=log, clock=clock, metrics=self.metrics)
        self._kube_outage = telemetry.OutageLog(
            "kubernetes", logger=log, clock=clock, metrics=self.metrics
        )
        self.runner = Runner(
            cluster=self.cluster,
            slurm_side=self._side,
            client=client,
            watcher=self.watcher,
            kube=kube,
            recorder=self._recorder,
            cluster_uid=cluster_uid,
            scheduler_name=settings.scheduler_name,
            rules=jobspec.Rules(
                partition=settings.partition,
                default_memory_mib=-(-quantity.whole(settings.defaults.memory) // (1 << 20)),
                exclusive=settings.defaults.exclusive,
                mcs_label=settings.mcs_label,
                resource_map=ResourceMap(settings.resource_map),
                gpu_type_label=settings.nodes.gpu_type_label,
                priority_classes={
                    name: jobspec.Precedence(one.partition, one.qos, one.nice or None)
                    for name, one in settings.priority_classes.items()
                },
                identity=_identity_rules(settings.identity),
            ),
            limits=tasks.Limits(
                riding=settings.gangs.ride_along_waste, maximum=settings.gangs.maximum_waste
            ),
            tuning=Tuning(
                condition_interval_s=settings.condition_interval_s,
                members_s=settings.gangs.members_timeout_s,
            ),
            outage=outage,
            kube_outage=self._kube_outage,
            metrics=self.metrics,
            clock=clock,
        )
        self.recovery = Recovery(self.runner, clock=clock)
        self.nodes = NodeController(
            cluster=self.cluster,
            slurm_side=self._side,
            client=client,
            kube=kube,
            recorder=self._recorder,
            rules=definition.Rules(
                cluster=cluster_uid,
                address=settings.nodes.address,
                topology=settings.nodes.topology,
                cpu_headroom_milli=settings.nodes.cpu_headroom_milli,
                memory_headroom_mib=settings.nodes.memory_headroom_mib,
                gpu_type_label=settings.nodes.gpu_type_label,
                resource_map=ResourceMap(settings.resource_map),
            ),
            scheduler_name=settings.scheduler_name,
            interval_s=settings.nodes.interval_s,
            outage=outage,
            metrics=self.metrics,
            changed=self.runner.classes_changed,
            classes_in_use=self.runner.classes_in_use,
            clock=clock,
        )
        self._owners = OwnerWatches(
            kube,
            clock=clock,
            sink=self._on_owner,
            settled=self._on_kind_settled,
            kinds=settings.workloads.role_kinds,
            outage=self._kube_outage,
        )
        self.associations = Associations(
            client,
            namespaces=self.cluster.namespaces,
            interval_s=settings.identity.associations_interval_s,
            clock=clock,
        )
        self._namespaces = NamespaceKeeper(
            self.cluster.namespaces, recorder=self._recorder, changed=self._identities_changed
        )
        self._reflectors = self._build_reflectors()
        self._show_ages()
        self.https = self._build_https(files)
        self._stopping = False
        self.probes = ProbesServer(
            address=addresses.parse(settings.server.metrics_listen),
            checks={
                "stopping": lambda: "stopping" if self._stopping else "",
                "kubernetes": self._kubernetes_missing,
                "slurm": lambda: "" if self.watcher.healthy else "Slurm does not answer",
                "recovery": lambda: (
                    "" if self.runner.recovered else "gangs and jobs are being matched"
                ),
            },
            registry=self.metrics.registry,
        )

    @classmethod
    async def build(cls, settings: config.Settings, *, clock: Clock) -> "App":
        """Reach both sides as far as needed. Raises ConfigError and Unreachable."""
        endpoints = settings.slurm.endpoints or tuple(filter(None, [settings.slurm_rest_api]))
        if not endpoints:
            raise ConfigError(
                "no Slurm to talk to: set slurm.endpoints (or slurmRestApi) to slurmrestd's URL"
            )
        token_file = settings.slurm.token_file or os.environ.get("SLURM_JWT_FILE", "")
        if not token_file:
            raise ConfigError(
                "no token for Slurm: set slurm.tokenFile (or SLURM_JWT_FILE) to a file with a JWT"
            )
        kube = await KubeClient.connect(settings.kubernetes, clock=clock)
        log.info("kubernetes.chosen", target=kube.target)
        cluster_uid = await _patiently(kube.cluster_uid, clock=clock)
        client = slurm.SlurmClient(
            endpoints=endpoints,
            token=slurm.TokenSource.from_file(token_file),
            user=settings.slurm.user,
            timeout_s=settings.slurm.request_timeout_s,
            tls=slurm.Tls(ca_file=settings.slurm.ca_file),
            proxy=settings.slurm.proxy,
            clock=clock,
        )
        files = await asyncio.to_thread(_certificates, settings, clock.time())
        return cls(
            settings,
            clock=clock,
            kube=kube,
            client=client,
            cluster_uid=cluster_uid,
            user=await _who_am_i(kube),
            files=files,
        )

    # -- the parts -----------------------------------------------------------------------------

    def _build_reflectors(self) -> list[Reflector[Any]]:
        ours = self.settings.scheduler_name
        told: Any = {"clock": self._clock, "outage": self._kube_outage}
        volumes = self.cluster.volumes
        return [
            Reflector(
                self._kube, path="/api/v1/nodes", parse=kube_nodes.parse, name="nodes",
                key=lambda node: node.name, sink=self._on_node, **told,
            ),
            Reflector(
                self._kube, path="/api/v1/namespaces", parse=kube_namespaces.parse,
                name="namespaces", key=lambda row: row.name, sink=self._namespaces.take, **told,
            ),
            Reflector(
                self._kube, path=kube_volumes.CLASSES_PATH, parse=kube_volumes.parse_class,
                name="storage-classes", key=lambda row: row.name, sink=self._volumes_sink(
                    volumes.replace_classes, volumes.upsert_class,
                    lambda row: volumes.remove_class(row.name),
                ), **told,
            ),
            Reflector(
                self._kube, path=kube_volumes.VOLUMES_PATH, parse=kube_volumes.parse_volume,
                name="volumes", key=lambda row: row.name, sink=self._volumes_sink(
                    volumes.replace_volumes, volumes.upsert_volume,
                    lambda row: volumes.remove_volume(row.name),
                ), **told,
            ),
            Reflector(
                self._kube, path=kube_volumes.CLAIMS_PATH, parse=kube_volumes.parse_claim,
                name="claims", key=lambda row: row.key, sink=self._volumes_sink(
                    volumes.replace_claims, volumes.upsert_claim,
                    lambda row: volumes.remove_claim(row.key),
                ), **told,
            ),
            Reflector(
                self._kube, path=kube_pods.PATH, name="pods",
                parse=kube_pods.parser(self.settings.workloads.pod_labels),
                key=lambda pod: pod.uid, sink=self._on_pod,
                params={"fieldSelector": f"spec.schedulerName={ours}"},
                refused=self._on_refused_pod, **told,
            ),
            Reflector(
                self._kube, path=kube_pods.PATH, parse=kube_pods.parse, name="other-pods",
                key=lambda pod: pod.uid, sink=self._on_other_pod,
                params={"fieldSelector": f"spec.schedulerName!={ours},spec.nodeName!="}, **told,
            ),
        ]  # fmt: skip

    def _build_https(self, files: CertificateFiles) -> HttpsServer:
        reviewer = Reviewer(
            pods=Scope.from_settings(self.settings),
            namespaces=self.cluster.namespaces,
            people=People(
                rules=_identity_rules(self.settings.identity),
                partition=self.settings.partition,
                associations=self.associations,
            ),
            bridge_users=frozenset(filter(None, [self._user])),
        )
        extender = Extender(
            verdicts=self.runner,
            binder=KubeBinder(self._kube),
            clock=self._clock,
            scores=NodeScores(self.cluster, self._side, _score_weights(self.settings.placement)),
            metrics=self.metrics,
        )
        guarded = files.client_ca is not None
        return HttpsServer(
            address=addresses.parse(self.settings.server.listen),
            routes=[
                Route(names.MUTATE_PATH, reviewer.mutate),
                Route(names.VALIDATE_PATH, reviewer.validate),
                Route(names.FILTER_PATH, extender.filter, client_certificate=guarded),
                Route(names.PRIORITIZE_PATH, extender.prioritize, client_certificate=guarded),
                Route(names.BIND_PATH, extender.bind, client_certificate=guarded),
            ],
            tls=Tls(files),
            metrics=ServerMetrics(self.metrics),
            clock=self._clock,
        )

    def _kubernetes_missing(self) -> str:
        waiting = [one.name for one in self._reflectors if not one.synced]
        return f"not listed yet: {', '.join(waiting)}" if waiting else ""

    def _show_ages(self) -> None:
        metrics, watcher = self.metrics, self.watcher
        metrics.age(metrics.poll_age, of=lambda: self._clock.monotonic() - watcher.seen_s)
        metrics.age(metrics.details_age, of=lambda: watcher.details_age_s)
        for one in self._reflectors:
            metrics.age(metrics.watch_age, one.name, of=partial(getattr, one, "last_contact_s"))

    # -- changes in Kubernetes -------------------------------------------------------------------

    def _on_pod(self, change: Change[Pod]) -> None:
        match change:
            case Replaced(rows):
                self.runner.touch(self.cluster.replace_pods(rows))
                self.runner.room_changed()
            case Upserted(row):
                self.runner.touch(self.cluster.upsert_pod(row))
                if row.ended:
                    self.runner.room_changed()
            case Deleted(row):
                self.runner.touch(self.cluster.remove_pod(row.uid))
                self.runner.room_changed()

    def _on_other_pod(self, change: Change[Pod]) -> None:
        match change:
            case Replaced(rows):
                self.cluster.replace_others(rows)
            case Upserted(row):
                self.cluster.upsert_other(row)
            case Deleted(row):
                self.cluster.remove_other(row.uid)
        self.runner.room_changed()

    def _on_refused_pod(self, raw: Mapping[str, object], error: BadInput) -> None:
        log.warning("pod.unreadable", field=error.field, error=str(error))

    def _on_owner(self, key: OwnerKey, change: Change[Owner]) -> None:
        match change:
            case Replaced(rows):
                self.runner.touch(self.cluster.replace_owners(key, rows))
            case Upserted(row):
                self.runner.touch(self.cluster.upsert_owner(row))
            case Deleted(row):
                self.runner.touch(self.cluster.remove_owner(row.uid))

    def _on_kind_settled(self, key: OwnerKey, how: Settled) -> None:
        self.runner.touch(self.cluster.settle_kind(key, how))

    def _volumes_sink(
        self,
        replace: Callable[[Iterable[Row]], set[ClaimKey]],
        upsert: Callable[[Row], set[ClaimKey]],
        remove: Callable[[Row], set[ClaimKey]],
    ) -> Callable[[Change[Row]], None]:
        def sink(change: Change[Row]) -> None:
            match change:
                case Replaced(rows):
                    claims = replace(rows)
                case Upserted(row):
                    claims = upsert(row)
                case Deleted(row):
                    claims = remove(row)
            self.runner.touch(self.cluster.volumes_changed(claims))

        return sink

    async def _follow_free_volumes(self) -> None:
        while True:
            await self._clock.sleep(_FREE_VOLUMES_S)
            claims = self.cluster.volumes.concerned_by_free()
            self.runner.touch(self.cluster.volumes_changed(claims))

    def _on_node(self, change: Change[Node]) -> None:
        match change:
            case Replaced(rows):
                self.cluster.replace_nodes(rows)
            case Upserted(row):
                if not self.cluster.upsert_node(row):
                    return
            case Deleted(row):
                self.cluster.remove_node(row.name)
        self.nodes.touch()
        self.runner.room_changed()

    def _identities_changed(self, namespaces: frozenset[str]) -> None:
        """Jobs that wait are told, those that were refused for it are tried again."""
        self.associations.poke()
        if any(pod.namespace in namespaces for pod in self.cluster.pods.values()):
            self.runner.classes_changed()

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
                        await self.runner.drain()
            finally:
                await _cancelled([work, stopped])
        log.info("bridge.stopped")

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._owners.run(), name="owners")
            for reflector in self._reflectors:
                group.create_task(reflector.run(), name=f"reflector {reflector.name}")
            group.create_task(self._recorder.run(), name="events")
            group.create_task(self.https.watch_certificate(), name="certificate")
            group.create_task(self.watcher.run(), name="watcher")
            group.create_task(self.runner.run(), name="runner")
            group.create_task(self._follow_free_volumes(), name="free volumes")
            await asyncio.gather(*(one.wait_for_sync() for one in self._reflectors))
            gc.collect()
            gc.freeze()  # what was listed lives long: no collection needs to walk it again
            group.create_task(self.nodes.run(), name="nodes")
            group.create_task(self.associations.run(), name="associations")
            await self.watcher.wait_for_sync()
            group.create_task(self.recovery.run(), name="recovery")

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.close()
        await self._kube.close()


async def _cancelled(tasks: Iterable[asyncio.Task[object]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=_STOP_S)


async def _patiently(ask: Callable[[], "asyncio.Future[str] | object"], *, clock: Clock) -> str:
    """Ask until there is an answer; after a while of none it is the caller's trouble."""
    deadline_s = clock.monotonic() + _KUBERNETES_WAIT_S
    while True:
        try:
            return await ask()  # type: ignore[misc, no-any-return]
        except Unreachable as error:
            if clock.monotonic() > deadline_s:
                raise
            log.warning("kubernetes.unreachable", error=str(error))
            await clock.sleep(1.0)


async def _who_am_i(kube: KubeClient) -> str:
    """The user that the API server takes us for: the one who may change what is ours on pods.

    "" when it doesn't tell, and the webhook then holds nobody off.
    """
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        answer = await kube.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    except KubeError as error:
        log.warning("bridge.user_unknown", error=str(error))
        return ""
    return str(((answer.get("status") or {}).get("userInfo") or {}).get("username") or "")


def _certificates(settings: config.Settings, now_s: float) -> CertificateFiles:
    """Those of the folder that is named, else our own in a folder that lives as long as we do."""
    server = settings.server
    client_ca = Path(server.client_ca_file) if server.client_ca_file else None
    if server.certificate_dir:
        folder = Path(server.certificate_dir)
        if (folder / "tls.crt").exists() and not (folder / "ca.key").exists():
            return CertificateFiles(folder / "tls.crt", folder / "tls.key", client_ca)
    else:
        folder = Path(tempfile.mkdtemp(prefix="slurm-bridge-"))
    made = certificates.Folder(folder)
    certificates.ensure(made, hosts=_hosts(), now_s=now_s)
    return CertificateFiles(made.server, made.server_key, client_ca or made.ca)


def _score_weights(settings: config.PlacementSettings) -> ScoreWeights:
    return ScoreWeights(
        packing=settings.score_packing,
        waste=settings.score_waste,
        distance=settings.score_distance,
        scheduled=settings.score_scheduled,
        node_weight=settings.score_node_weight,
        tier=settings.score_tier,
    )


def _identity_rules(settings: config.IdentitySettings) -> identity.Rules:
    return identity.Rules(required=settings.required, pods_choose_user=settings.pods_choose_user)


def _hosts() -> tuple[str, ...]:
    return (
        "localhost",
        "127.0.0.1",
        "::1",
        *certificates.service_hosts("slurm-bridge", "slurm-bridge"),
    )
