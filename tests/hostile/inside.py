"""A whole bridge in this process, on the embedded Kubernetes and Slurm: what is inside can break.

No webhook: pods name our scheduler, so what admission would refuse reaches the controller too.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bridge import config, names
from bridge.app import App
from bridge.clock import SystemClock
from bridge.sim.kube import fixtures
from bridge.sim.kube.embedded import EmbeddedKubernetes
from bridge.sim.kube.scheduler.extender import ExtenderConfig
from bridge.sim.slurm import EmbeddedSlurm, Partition, Tree
from tests.arena import manifests
from tests.arena.api import Object

PARTITION = "slurm-bridge"


class Inside:
    """What a test gets."""

    def __init__(
        self, kubernetes: EmbeddedKubernetes, slurm: EmbeddedSlurm, settings: config.Settings
    ) -> None:
        self.kubernetes = kubernetes
        self.slurm = slurm
        self._settings = settings
        self._stop = asyncio.Event()
        self._work: asyncio.Task[None]
        self.app: App

    async def start(self) -> None:
        """A bridge, until it decides."""
        self._stop = asyncio.Event()
        self.app = await App.build(self._settings, clock=SystemClock())
        self._work = asyncio.create_task(self.app.run(self._stop))
        await until("ready", lambda: self._work.done() or self.app.controller.recovered)

    async def end(self) -> None:
        """As SIGTERM ends it; it has lived until now."""
        lived = not self._work.done()
        self._stop.set()
        await self._work
        await self.app.close()
        assert lived, "the bridge ended by itself"

    async def create_pod(self, name: str, namespace: str = "team", **asks: Any) -> Object:
        """A bare pod of ours."""
        pod = manifests.pod(name, namespace, schedulerName=names.SCHEDULER_NAME, **asks)
        return await self.kubernetes.create(pod)

    def pod(self, name: str, namespace: str = "team") -> Object | None:
        """One pod; None when it is gone."""
        return self.kubernetes.observe().pods.get((namespace, name))

    def runs(self, name: str, namespace: str = "team") -> bool:
        """Whether the pod is on a node."""
        pod = self.pod(name, namespace)
        return pod is not None and bool(pod["spec"].get("nodeName"))

    def told(self, name: str, namespace: str = "team") -> str:
        """Reason and message of the pod's condition."""
        pod = self.pod(name, namespace) or {"status": {}}
        for one in pod["status"].get("conditions") or ():
            if one["type"] == names.ALLOCATED_CONDITION:
                return f"{one['reason']}: {one['message']}"
        return ""

    def live_jobs(self) -> list[str]:
        """Names of Slurm's jobs that wait or run."""
        jobs = self.slurm.cluster.jobs.values()
        return sorted(job.request.name for job in jobs if job.state in ("PENDING", "RUNNING"))


async def until(what: str, holds: Callable[[], object], *, seconds: float = 30.0) -> None:
    """Wait; a wait that is too long fails with what was waited for."""
    end_s = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end_s, f"not so after {seconds:.0f} s: {what}"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def inside(folder: Path, *, nodes: int = 4, **settings: Any) -> AsyncIterator[Inside]:
    """The bridge at work, its nodes registered; it must live to the end."""
    partitions = (Partition(PARTITION, default=True, feature=PARTITION),)
    async with (
        EmbeddedKubernetes() as kubernetes,
        EmbeddedSlurm(partitions=partitions, topology=Tree("fabric")) as slurm,
    ):
        for namespace in ("team", "elsewhere"):
            await kubernetes.create(manifests.namespace(namespace))
        stack = Inside(kubernetes, slurm, _settings(folder, kubernetes, slurm, settings))
        await stack.start()
        try:
            await kubernetes.add_nodes(fixtures.gpu_nodes(nodes, efa=0, partitions=PARTITION))
            await _start_scheduler(kubernetes, stack.app, folder)
            known = slurm.cluster.table
            await until("nodes are registered", lambda: len(list(known)) >= nodes)
            yield stack
        finally:
            await stack.end()


async def _start_scheduler(kubernetes: EmbeddedKubernetes, app: App, folder: Path) -> None:
    tls = folder / "tls"
    client = await asyncio.to_thread(_client_context, tls)
    extender = ExtenderConfig(
        url_prefix=f"https://127.0.0.1:{app.https_port}{names.EXTENDER_PREFIX}",
        filter_verb="filter",
        prioritize_verb="prioritize",
        bind_verb="bind",
        tls=client,
    )
    kubernetes.start_scheduler(names.SCHEDULER_NAME, extenders=[extender])


def _client_context(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    context.load_cert_chain(folder / "client.crt", folder / "client.key")
    return context


def _settings(
    folder: Path, kubernetes: EmbeddedKubernetes, slurm: EmbeddedSlurm, more: dict[str, Any]
) -> config.Settings:
    return config.Settings.model_validate(
        {
            "slurmRestApi": slurm.url,
            "partition": PARTITION,
            "slurm": {"tokenFile": str(slurm.token_file), "pollIntervalS": 0.2},
            "kubernetes": {"kubeconfig": str(kubernetes.kubeconfig), "qps": 2000},
            "server": {
                "listen": "127.0.0.1:0",
                "metricsListen": "127.0.0.1:0",
                "certificateDir": str(folder / "tls"),
            },
            "api": {"listen": "127.0.0.1:0"},
            "nodes": {"topology": "fabric:root"},
            "conditionIntervalS": 1,
            **more,
        }
    )
