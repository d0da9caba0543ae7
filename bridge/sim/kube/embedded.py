"""EmbeddedKubernetes: all parts, started and stopped together.

async with EmbeddedKubernetes(clock=SystemClock()) as k8s:
    await k8s.add_nodes(fixtures.gpu_nodes(64))
    await k8s.create(manifest)
    ...                                  # k8s.kubeconfig for everybody else
"""

import asyncio
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from bridge import names
from bridge.clock import Clock, SystemClock
from bridge.errors import BridgeError
from bridge.sim.kube.apiserver import failure, kinds
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.faults import Faults
from bridge.sim.kube.apiserver.http import HttpServer
from bridge.sim.kube.apiserver.kinds import Kind
from bridge.sim.kube.apiserver.objects import Key, Object, copy
from bridge.sim.kube.apiserver.request import User
from bridge.sim.kube.apiserver.store import Store, Subscription
from bridge.sim.kube.apiserver.webhooks import HttpsWebhooks, ServiceResolver, no_services
from bridge.sim.kube.controllers.daemonsets import DaemonSetController
from bridge.sim.kube.controllers.deployments import DeploymentController
from bridge.sim.kube.controllers.eviction import Eviction
from bridge.sim.kube.controllers.garbage import GarbageCollector
from bridge.sim.kube.controllers.jobs import JobController
from bridge.sim.kube.controllers.namespaces import NamespaceController
from bridge.sim.kube.controllers.node_lifecycle import LEASE_NAMESPACE, NodeLifecycle
from bridge.sim.kube.controllers.podgroups import PodGroupProtection
from bridge.sim.kube.controllers.replicasets import ReplicaSetController
from bridge.sim.kube.controllers.statefulsets import StatefulSetController
from bridge.sim.kube.controllers.volumes import VolumeController
from bridge.sim.kube.kubelet import Kubelets
from bridge.sim.kube.scheduler.extender import Extender, ExtenderConfig
from bridge.sim.kube.scheduler.scheduler import Scheduler

_NAMESPACES = ("default", "kube-system", "kube-public", LEASE_NAMESPACE)


class EmbeddedFailure(BridgeError):
    """A part of the embedded Kubernetes broke: a mistake in it, not in what it was asked."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What the API server holds at one moment. Objects are read-only."""

    pods: Mapping[Key, Object]
    jobs: Mapping[Key, Object]
    nodes: Mapping[str, Object]

    def on(self, node: str) -> list[Object]:
        """The pods bound to a node that have not ended."""
        return [
            pod
            for pod in self.pods.values()
            if pod["spec"].get("nodeName") == node
            and pod["status"].get("phase") not in ("Succeeded", "Failed")
        ]

    def gated(self) -> list[Object]:
        """The pods that wait behind a scheduling gate."""
        return [pod for pod in self.pods.values() if pod["spec"].get("schedulingGates")]


class EmbeddedKubernetes:
    """A Kubernetes of its own on a loopback port. Leaving the context ends all of it.

    `clock` times what pods do, back-offs and leases; sockets wait in real time. `tokens` maps
    bearer tokens to users (None: everybody is administrator, and needs no token).
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        port: int = 0,
        directory: Path | None = None,
        tokens: Mapping[str, User] | None = None,
        resolve: ServiceResolver = no_services,
        history: int = 20_000,
        bookmark_s: float = 60.0,
        heartbeat_s: float = 10.0,
        job_backoff_s: float = 10.0,
        default_scheduler: bool = True,
        seed: int = 0,
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        self.faults = Faults()
        self._port = port
        self._directory = directory
        self._tokens = tokens
        store = Store(history=history)
        self._webhooks = HttpsWebhooks(store, resolve=resolve)
        self.api = ApiServer(clock=self.clock, webhooks=self._webhooks, store=store, seed=seed)
        self._http = HttpServer(self.api, faults=self.faults, tokens=tokens, bookmark_s=bookmark_s)
        self._heartbeat_s = heartbeat_s
        self._job_backoff_s = job_backoff_s
        self._default_scheduler = default_scheduler
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: list[Exception] = []
        self._waiting: list[Subscription] = []
        self._stack = AsyncExitStack()
        self._kubelets: Kubelets | None = None
        self._schedulers: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        """Start everything; afterwards `url` and `kubeconfig` are there."""
        async with self._stack as stack:
            if self._directory is None:
                made = await asyncio.to_thread(
                    tempfile.TemporaryDirectory, prefix="embedded-kubernetes-"
                )
                stack.push_async_callback(asyncio.to_thread, made.cleanup)
                self._directory = Path(made.name)
            stack.push_async_callback(self._webhooks.close)
            for name in _NAMESPACES:
                await self.api.create(Target(kinds.NAMESPACES), {"metadata": {"name": name}})
            await self._http.start(port=self._port)
            stack.push_async_callback(self._http.stop)
            stack.push_async_callback(self._end_tasks)
            self._kubelets = Kubelets(self.api, heartbeat_s=self._heartbeat_s)
            for part in (
                JobController(self.api, backoff_s=self._job_backoff_s),
                ReplicaSetController(self.api),
                DeploymentController(self.api),
                StatefulSetController(self.api),
                DaemonSetController(self.api),
                PodGroupProtection(self.api),
                GarbageCollector(self.api),
                NamespaceController(self.api),
                Eviction(self.api),
                NodeLifecycle(self.api),
                VolumeController(self.api),
                self._kubelets,
            ):
                self._start(type(part).__name__, part.run)
            if self._default_scheduler:
                self.start_scheduler("default-scheduler")
            await asyncio.to_thread(self.kubeconfig.write_text, self._kubeconfig_text())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *raised: object) -> None:
        """Stop everything. Raises EmbeddedFailure when a part broke meanwhile."""
        await self._stack.aclose()
        self.check()

    def check(self) -> None:
        """Raise EmbeddedFailure if a part broke."""
        broken = [*self._broken, *self._http.crashes]
        if broken:
            raise EmbeddedFailure(
                f"the embedded Kubernetes broke: {broken[0]!r}; this is a mistake in bridge.sim"
            ) from broken[0]

    @property
    def url(self) -> str:
        """Where the API server listens."""
        return f"http://127.0.0.1:{self._http.port}"

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig file for kubectl and the bridge (the first token's user)."""
        assert self._directory is not None, "the embedded Kubernetes has not been started"
        return self._directory / "kubeconfig"

    async def add_nodes(self, nodes: Iterable[Object]) -> list[str]:
        """Create Node objects (see `fixtures`); their kubelets make them Ready. Their names."""
        return [(await self.create(node))["metadata"]["name"] for node in nodes]

    async def create(self, manifest: Object | str, *, namespace: str = "default") -> Object:
        """Create an object from a dict, or every document of a YAML text (the last is returned).

        Goes through admission like a request, webhooks included. Raises ApiFailure.
        """
        documents = [manifest] if isinstance(manifest, dict) else yaml.safe_load_all(manifest)
        created: Object = {}
        for document in documents:
            if document:
                kind = self._kind_of(document)
                place = document.get("metadata", {}).get("namespace") or namespace
                target = Target(kind, place if kind.namespaced else "")
                created = (await self.api.create(target, copy(document))).object
        return created

    def get(self, kind: Kind, name: str, *, namespace: str = "default") -> Object | None:
        """An object as it is now, None if there is none. Read-only."""
        stored = self.api.store.get(kind.table, (namespace if kind.namespaced else "", name))
        return stored.object if stored else None

    async def delete(
        self,
        kind: Kind,
        name: str,
        *,
        namespace: str = "default",
        grace_s: int | None = None,
        propagation: str = "Background",
    ) -> None:
        """Delete an object as kubectl does. Raises ApiFailure."""
        options: Object = {"propagationPolicy": propagation}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        target = Target(kind, namespace if kind.namespaced else "", name)
        await self.api.delete(target, options)

    async def patch(
        self,
        kind: Kind,
        name: str,
        change: Callable[[Object], Object],
        *,
        namespace: str = "default",
        subresource: str = "",
    ) -> Object:
        """Change an object by a function of its present form. Raises ApiFailure."""
        target = Target(kind, namespace if kind.namespaced else "", name, subresource)
        return (await self.api.patch(target, change)).object

    def observe(self) -> Observation:
        """All pods, Jobs and nodes at this moment."""
        store = self.api.store
        return Observation(
            pods={_key(one.object): one.object for one in store.scan(kinds.PODS.table)},
            jobs={_key(one.object): one.object for one in store.scan(kinds.JOBS.table)},
            nodes={
                one.object["metadata"]["name"]: one.object for one in store.scan(kinds.NODES.table)
            },
        )

    async def until(
        self, holds: Callable[[Observation], Any], *, timeout_s: float = 30.0
    ) -> Observation:
        """Wait (real time) until `holds` of an observation; looked at after each change.

        Raises TimeoutError, EmbeddedFailure.
        """
        changes = self.api.store.subscribe_everything()
        self._waiting.append(changes)
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    self.check()
                    seen = self.observe()
                    if holds(seen):
                        return seen
                    await changes.take()
        finally:
            self.api.store.unsubscribe_everything(changes)
            self._waiting = [one for one in self._waiting if one is not changes]

    def start_scheduler(
        self,
        name: str = names.SCHEDULER_NAME,
        *,
        extenders: Sequence[ExtenderConfig] = (),
    ) -> None:
        """Start a kube-scheduler of its own for pods with this schedulerName."""
        scheduler = Scheduler(
            self.api, name=name, extenders=[Extender(config) for config in extenders]
        )
        self._schedulers[name] = self._start(f"scheduler {name}", scheduler.run)

    async def stop_scheduler(self, name: str = names.SCHEDULER_NAME) -> None:
        """Stop it; a new one can be started."""
        task = self._schedulers.pop(name)
        task.cancel()
        await asyncio.wait([task])

    def kill_kubelet(self, node: str) -> None:
        """The node's kubelet stops: nothing starts or ends there, the node becomes Unknown."""
        assert self._kubelets is not None, "the embedded Kubernetes has not been started"
        self._kubelets.kill(node)

    def revive_kubelet(self, node: str) -> None:
        """The node's kubelet comes back."""
        assert self._kubelets is not None, "the embedded Kubernetes has not been started"
        self._kubelets.revive(node)

    async def restart(self) -> None:
        """The API server goes away and comes back on its port: every connection breaks, nothing
        is forgotten. The controllers, kubelets and schedulers, in its process, don't notice."""
        port = self._http.port
        await self._http.stop()
        await self._http.start(port=port)

    def compact(self) -> None:
        """Forget history: watches and continue tokens from before are answered 410."""
        self._http.compact()

    def drop_watches(self, *, path: str = "") -> int:
        """Cut the open watches whose path contains `path`; how many there were."""
        return self._http.streams.end_all("dropped", path=path)

    def silence_watches(self, *, path: str = "") -> int:
        """Let the open watches fall silent without ending; how many there were."""
        return self._http.streams.end_all("silent", path=path)

    def _kind_of(self, document: Object) -> Kind:
        kind = self.api.kinds.of(document)
        if kind is None:
            raise failure.bad_request(
                f"no matches for kind {document.get('kind')!r} in version "
                f"{document.get('apiVersion')!r}: is it served here? (a CustomResourceDefinition "
                "can be created)"
            )
        return kind

    def _start(self, name: str, run: Callable[[], Any]) -> asyncio.Task[None]:
        async def guarded() -> None:
            try:
                await run()
            except Exception as problem:
                self._broken.append(problem)
                for waiting in self._waiting:
                    waiting.wake()

        task = asyncio.create_task(guarded(), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _end_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _kubeconfig_text(self) -> str:
        user = {"token": next(iter(self._tokens))} if self._tokens else {}
        name = "embedded"
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": name, "cluster": {"server": self.url}}],
                "users": [{"name": name, "user": user}],
                "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
                "current-context": name,
            }
        )


def _key(obj: Object) -> Key:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
