"""The embedded stack: bridge.sim in a thread of this process, spoken to over real sockets.

Kubernetes, its scheduler and Slurm share one event loop in one thread; the bridge is a process of
its own and the stories' clients are in theirs, so everybody meets everybody over HTTP(S) only, as
on the real stack. Slurm's partitions and topology are those of tests/e2e/stack/files.
"""

import asyncio
import contextlib
import functools
import queue
import ssl
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import uvloop
import yaml

from bridge import names
from bridge.sim.kube import fixtures
from bridge.sim.kube.apiserver.request import ADMIN, User, impersonated
from bridge.sim.kube.embedded import EmbeddedKubernetes
from bridge.sim.kube.scheduler.extender import ExtenderConfig
from bridge.sim.slurm import EmbeddedSlurm, Partition, Tree
from tests.arena import installation
from tests.arena.api import Kubernetes, Object, Slurm, documents, wait_for
from tests.arena.arena import BRIDGE_USER, NAMESPACE, SINK_ADDRESS, Arena, Nodes
from tests.arena.bridge import Bridge
from tests.arena.gate import Gate
from tests.arena.processes import Processes, free_ports
from tests.e2e.stack import pki
from tests.e2e.stack.slurmds import Slurmd

T = TypeVar("T")

_BRIDGE_TOKEN = "of-the-bridge"
_ADMIN_TOKEN = "of-the-admin"
_TOKENS = {_ADMIN_TOKEN: ADMIN, _BRIDGE_TOKEN: User(BRIDGE_USER)}

_SINK = "sink-1"

PARTITIONS = (
    Partition("slurm-bridge", default=True, feature="slurm-bridge"),
    Partition("defmem", feature="slurm-bridge", default_memory_per_cpu_mib=1024),
    Partition("high", priority_tier=10, feature="slurm-bridge"),
    Partition("debug", feature="debug"),
    Partition("native", feature="native"),
)
"""As in tests/e2e/stack/files/slurm.conf."""


@dataclass(frozen=True)
class _Parts:
    """What runs in the thread."""

    kubernetes: EmbeddedKubernetes
    slurm: EmbeddedSlurm


class EmbeddedArena(Arena):
    """One Kubernetes and one Slurm for the session."""

    kind = "embedded"

    def __init__(self) -> None:
        super().__init__()
        self._exits = contextlib.ExitStack()
        folder = tempfile.TemporaryDirectory(prefix="embedded-arena-")
        self._authority = pki.Authority(Path(self._exits.enter_context(folder)))
        self._authority.create()
        self._port, self._probes_port, self._webhook_port, self.api_port = free_ports(4)
        self._thread = self._exits.enter_context(_Thread())
        parts = self._thread.parts
        self.kubernetes = Kubernetes(parts.kubernetes.kubeconfig)
        self._exits.callback(self.kubernetes.close)
        self.slurm = Slurm(parts.slurm.url, parts.slurm.token_file)
        self._exits.callback(self.slurm.close)
        self._scheduling = False
        self._first_node = 1

    def close(self) -> None:
        """End the thread; fails when a part of the embedded stack broke."""
        with self._exits:
            self.end_bridge()

    def add_nodes(self, nodes: Nodes) -> list[str]:
        made: list[Object] = []
        for zone in nodes.zones:
            made += fixtures.gpu_nodes(
                nodes.count // len(nodes.zones),
                prefix=nodes.prefix,
                cpus=nodes.cpus,
                memory_gib=nodes.memory_gib,
                gpus=nodes.gpus,
                efa=0,
                layers=(nodes.per_leaf, 4),
                zone=zone,
                external=nodes.external,
                seed=nodes.seed,
                first=self._first_node + len(made),
            )
        self._first_node += len(made)
        wanted = {self.kubernetes.create(node)["metadata"]["name"] for node in made}
        wait_for("the nodes are ready", lambda: wanted <= self._ready_nodes())
        return sorted(wanted)

    def _ready_nodes(self) -> set[str]:
        return {
            node["metadata"]["name"]
            for node in self.kubernetes.get("/api/v1/nodes")["items"]
            if any(
                one["type"] == "Ready" and one["status"] == "True"
                for one in node["status"].get("conditions") or ()
            )
            and not any(
                taint["key"] == "node.kubernetes.io/not-ready"
                for taint in node["spec"].get("taints") or ()
            )
        }

    def make_bridge(self, folder: Path, **settings: Any) -> Bridge:
        ca, certificate, key = self.loopback_tls()
        parts = self._thread.parts
        made = installation.settings(
            settings,
            kubeconfig=self._kubeconfig(folder),
            slurm_url=parts.slurm.url,
            token_file=parts.slurm.token_file,
            port=self._port,
            probes_port=self._probes_port,
            api_port=self.api_port,
            tls=installation.certificates(folder, ca=ca, certificate=certificate, key=key),
        )
        if self.is_split:
            return Processes(
                folder,
                settings=made,
                extender_port=self._port,
                webhook_port=self._webhook_port,
                api_port=self.api_port,
            )
        return Bridge(folder, probes_port=self._probes_port, settings=made)

    def _kubeconfig(self, folder: Path) -> Path:
        """The admin's, with the bridge's token in it."""
        config = yaml.safe_load(self._thread.parts.kubernetes.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": _BRIDGE_TOKEN}
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return path

    def register_webhooks(self, scheduler_name: str) -> None:
        installation.register_webhooks(
            self.kubernetes,
            port=self._webhook_port if self.is_split else self._port,
            ca=self._authority.certificate,
            scheduler_name=scheduler_name,
            bridge_users=(BRIDGE_USER,),
        )

    def start_scheduler(self) -> None:
        if self._scheduling:
            return
        certificate, key = self._authority.issue("scheduler", common_name="kube-scheduler")
        tls = ssl.create_default_context(cafile=str(self._authority.certificate))
        tls.load_cert_chain(certificate, key)
        extender = ExtenderConfig(  # deploy/kube-scheduler-config.yaml
            url_prefix=f"https://127.0.0.1:{self._port}{names.EXTENDER_PREFIX}",
            filter_verb="filter",
            prioritize_verb="prioritize",
            bind_verb="bind",
            tls=tls,
        )
        scheduler = self._thread.parts.kubernetes.start_scheduler
        self._thread.call(lambda: scheduler(extenders=[extender]))
        self._scheduling = True

    def add_partition(self, name: str) -> None:
        partitions = self._thread.parts.slurm.cluster.partitions
        added = Partition(name, feature="slurm-bridge")
        self._thread.call(lambda: partitions.setdefault(name, added))

    def start_sink(self) -> None:
        slurm = self._thread.parts.slurm
        if slurm.cluster.table.get(_SINK) is None:
            conf = f"NodeAddr={SINK_ADDRESS} CPUs=1 RealMemory=100 Topology=fabric:root:{_SINK}"
            self._thread.call(lambda: slurm.start_slurmd(_SINK, conf))

    def stop_sink(self) -> None:
        slurm = self._thread.parts.slurm
        if slurm.cluster.table.get(_SINK) is not None:
            self._thread.call(lambda: slurm.stop_slurmd(_SINK))

    def set_grace(self, partition: str, seconds: int) -> None:
        partitions = self._thread.parts.slurm.cluster.partitions
        changed = replace(partitions[partition], grace_time_s=seconds)
        self._thread.call(lambda: partitions.update({partition: changed}))

    def suspend(self, job_id: int) -> None:
        slurm = self._thread.parts.slurm
        self._thread.call(lambda: slurm.cluster.suspend(job_id, slurm.now()))

    def remove_native(self) -> None:
        """Nobody starts one here."""

    def expired_token(self) -> str:
        return "once-valid"  # tokens have no times here: any but the present one is refused

    def token_of(self, account: str, namespace: str = NAMESPACE) -> str:
        token = f"of-{namespace}-{account}"
        _TOKENS[token] = impersonated(f"system:serviceaccount:{namespace}:{account}", ())
        return token

    def admin_token(self) -> str:
        return _ADMIN_TOKEN

    def open_gate(self, folder: Path) -> Gate:
        return Gate(folder, self._kubeconfig(folder))

    def stop_scheduler(self) -> None:
        self._thread.wait(self._thread.parts.kubernetes.stop_scheduler())
        self._scheduling = False

    def loopback_tls(self) -> tuple[Path, Path, Path]:
        issued = self._authority.issue("bridge", common_name="slurm-bridge", hosts=pki.LOOPBACK)
        return (self._authority.certificate, *issued)

    def create_file(self, manifest: Path, namespace: str = NAMESPACE) -> None:
        for document in documents(manifest, namespace):
            self.kubernetes.create(document)

    @contextlib.contextmanager
    def with_slurmds(self, nodes: Sequence[Slurmd]) -> Iterator[None]:
        slurm = self._thread.parts.slurm
        for node in nodes:
            conf = f"CPUs={node.cpus} RealMemory={node.memory_mib} Topology=fabric:root:with-slurmd"
            conf += f" Feature={','.join(node.features)}"
            self._thread.call(functools.partial(slurm.start_slurmd, node.name, conf))
        yield
        for node in nodes:
            remove = functools.partial(slurm.cluster.remove_node, node.name, slurm.now())
            self._thread.call(remove)

    def kill_kubelet(self, node: str) -> None:
        self._thread.call(lambda: self._thread.parts.kubernetes.kill_kubelet(node))
        self._set_ready(node, "Unknown")

    def revive_kubelet(self, node: str) -> None:
        self._thread.call(lambda: self._thread.parts.kubernetes.revive_kubelet(node))
        self._set_ready(node, "False")  # which its kubelet corrects at once

    def _set_ready(self, node: str, status: str) -> None:
        told = {"type": "Ready", "status": status, "reason": "Played"}
        path = f"/api/v1/nodes/{node}/status"
        self.kubernetes.patch(path, {"status": {"conditions": [told]}})

    def restart_kubernetes(self) -> None:
        self._thread.wait(self._thread.parts.kubernetes.restart())

    def stop_slurm(self) -> None:
        self._thread.call(self._thread.parts.slurm.faults.refuse)

    def start_slurm(self) -> None:
        self._thread.call(self._thread.parts.slurm.faults.heal)


class _Thread:
    """The event loop of the embedded stack, and the way into it."""

    def __init__(self) -> None:
        self._started: queue.SimpleQueue[_Parts | BaseException] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="embedded stack", daemon=True)

    def __enter__(self) -> "_Thread":
        self._thread.start()
        started = self._started.get(timeout=30)
        if isinstance(started, BaseException):
            raise started
        self.parts = started
        return self

    def __exit__(self, *raised: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=30)
        assert not self._thread.is_alive(), "the embedded stack does not end"
        if self._error is not None:
            raise self._error

    def call(self, what: Callable[[], T]) -> T:
        """Do something in the loop's thread; its result."""

        async def done() -> T:
            return what()

        return self.wait(done())

    def wait(self, what: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop; its result."""
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(timeout=30)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # told by __exit__, or by __enter__ when it never stood
            self._error = error
            self._started.put(error)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with (
            EmbeddedKubernetes(job_backoff_s=1.0, tokens=_TOKENS) as kubernetes,
            EmbeddedSlurm(partitions=PARTITIONS, topology=Tree("fabric")) as slurm,
        ):
            self._started.put(_Parts(kubernetes, slurm))
            await self._stop.wait()
