"""Where the real stack's benches run: nodes that both schedulers may use, one of them at work.

The two sides meet on the same nodes and never at the same time. While the stock kube-scheduler is
measured there is no bridge and no second scheduler: it is compared with as it is without us. Its
pods tolerate the taint that keeps them off otherwise.
"""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge import names
from bridge.admission import webhook_config
from tests.arena import installation, manifests
from tests.arena.api import Kubernetes, Object, Slurm, wait_for
from tests.arena.arena import NAMESPACE, PLAIN_NAMESPACE
from tests.arena.bridge import Bridge
from tests.e2e.stack.kubernetes import USERS
from tests.e2e.stack.layout import Layout, Port, Settings
from tests.e2e.stack.nodes import Pool
from tests.e2e.stack.stack import Stack

_CLEAR_S = 180.0
_SETTLE_S = 1.0
"""At rest for so long before anything is measured."""


@dataclass(frozen=True, slots=True)
class Side:
    """Who places the pods of one namespace, and what their spec needs for that."""

    name: str
    namespace: str
    spec: Object


OURS = Side("ours", NAMESPACE, {})
STOCK = Side(
    "stock",
    PLAIN_NAMESPACE,
    {"tolerations": [{"key": names.MANAGED_NODE_TAINT, "operator": "Exists"}]},
)


class Ground:
    """One real stack with its nodes registered; `let` says who is at work."""

    def __init__(self, stack: Stack, folder: Path, **settings: Any) -> None:
        self.stack = stack
        self.kubernetes = Kubernetes(stack.kubeconfig)
        self.slurm = Slurm(stack.slurm_url, stack.slurm_token_file)
        self.bridge = self._bridge(folder, settings)
        for name in (NAMESPACE, PLAIN_NAMESPACE):
            if self.kubernetes.find(f"/api/v1/namespaces/{name}") is None:
                self.kubernetes.create(manifests.namespace(name))

    def _bridge(self, folder: Path, settings: dict[str, Any]) -> Bridge:
        ca, certificate, key = self.stack.bridge_tls
        port = self.stack.extender_port
        probes_port = self.stack.layout.port(Port.WEBHOOK)
        _register_webhooks(self.kubernetes, port=port, ca=ca)
        return Bridge(
            folder,
            probes_port=probes_port,
            settings=installation.settings(
                {
                    "logFormat": "json",
                    "nodes": {"topology": "fabric:root", "intervalS": 30},
                    **settings,
                },
                kubeconfig=self.stack.kubeconfig,
                slurm_url=self.stack.slurm_url,
                token_file=self.stack.slurm_token_file,
                port=port,
                probes_port=probes_port,
                api_port=self.stack.layout.port(Port.API),
                tls=installation.certificates(folder, ca=ca, certificate=certificate, key=key),
            ),
        )

    def close(self) -> None:
        """Nodes and namespaces empty, the bridge ended."""
        with contextlib.ExitStack() as last:
            last.callback(self.slurm.close)
            last.callback(self.kubernetes.close)
            last.callback(self.bridge.end)
            for side in (OURS, STOCK):
                self.clear(side)
            if not self.bridge.running:
                self.bridge.start()
            for node in self.kubernetes.get("/api/v1/nodes")["items"]:
                self.kubernetes.delete(f"/api/v1/nodes/{node['metadata']['name']}")
            wait_for("no node is left in Slurm", lambda: not self.slurm.nodes(), seconds=60)
            self.bridge.stop()
            self.stack.stop("bridge-scheduler")

    def add_nodes(self, pool: Pool) -> None:
        """Create them and wait until Slurm has them and Kubernetes has the taint."""
        self.let(OURS)
        wanted = set(self.stack.create_nodes(pool))
        wait_for(
            f"{len(wanted)} nodes are registered", lambda: wanted <= self.registered(), seconds=60
        )

    def registered(self) -> set[str]:
        """The nodes that Slurm has and that keep other pods off."""
        tainted = {
            node["metadata"]["name"]
            for node in self.kubernetes.get("/api/v1/nodes")["items"]
            for taint in node["spec"].get("taints") or ()
            if taint["key"] == names.MANAGED_NODE_TAINT
        }
        return tainted & self.slurm.nodes().keys()

    def let(self, side: Side) -> None:
        """From now on this side alone is at work."""
        if side is OURS:
            if not self.bridge.running:
                self.bridge.start()
            self.stack.start_bridge_scheduler()
        else:
            self.bridge.stop()
            self.stack.stop("bridge-scheduler")

    def pids(self) -> dict[str, int | None]:
        """Process ids of everything that takes part."""
        return {**self.stack.status(), "bridge": self.bridge.pid}

    def clear(self, side: Side) -> None:
        """Nothing of that side is left: no Job, no pod, no job in Slurm; and a moment's rest."""
        jobs = f"/apis/batch/v1/namespaces/{side.namespace}/jobs"
        pods = f"/api/v1/namespaces/{side.namespace}/pods"
        for path in (jobs, pods):  # a whole collection is deleted within one request
            options = {"propagationPolicy": "Background"}
            self.kubernetes.http.request("DELETE", path, json=options, timeout=_CLEAR_S)
        for path in (jobs, pods):
            wait_for(
                f"{path} is empty",
                lambda path=path: not self.kubernetes.get(path, limit="1")["items"],  # type: ignore[misc]
                seconds=_CLEAR_S,
                every_s=0.25,
            )
        wait_for("no job is left in Slurm", self._queue_is_empty, seconds=60, every_s=0.25)
        time.sleep(_SETTLE_S)

    def _queue_is_empty(self) -> bool:
        return not self.stack.slurm("squeue", "-h", "-o", "%i").strip()


def _register_webhooks(kubernetes: Kubernetes, *, port: int, ca: Path) -> None:
    """As an installation does it: the bridge's own patches are not sent to the bridge."""
    target = webhook_config.Target(url=f"https://127.0.0.1:{port}", ca=ca.read_bytes())
    calls = webhook_config.Calls(
        managed_namespaces=(NAMESPACE,),
        exempt=(PLAIN_NAMESPACE,),
        bridge_users=(USERS["admin"][0],),
    )
    for manifest in (
        webhook_config.mutating(calls, target),
        webhook_config.validating(calls, target),
    ):
        plural = manifest["kind"].lower() + "s"
        kubernetes.delete(f"/apis/admissionregistration.k8s.io/v1/{plural}/slurm-bridge")
        kubernetes.create(manifest)


@contextlib.contextmanager
def opened(
    *, name: str, port_base: int, pool: Pool, log: Path, **settings: Any
) -> Iterator[Ground]:
    """The stack of that name with these nodes; one that was not up before is ended afterwards.

    The bridge's log is left in the file `log`.
    """
    wanted = Settings(name=name, port_base=port_base)
    was_up = Layout.of(wanted).mark.exists()
    stack = Stack.up(wanted)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            ground = Ground(stack, Path(folder), **settings)
            try:
                ground.add_nodes(pool)
                yield ground
            except BaseException:
                ground.bridge.end()
                raise
            else:
                ground.close()
            finally:
                log.write_text(ground.bridge.log())
    finally:
        if not was_up:
            stack.down()
