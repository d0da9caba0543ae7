"""The real stack: Kubernetes and kwok, slurmctld and slurmrestd (tests.e2e.stack)."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge import names
from bridge.admission import webhook_config
from tests.arena.api import Kubernetes, Slurm
from tests.arena.arena import NAMESPACE, Arena, Nodes
from tests.arena.bridge import Bridge
from tests.e2e.stack import layout, stack
from tests.e2e.stack.nodes import Pool

NAME = os.environ.get("E2E_STACK", "e2e")
PORT_BASE = int(os.environ.get("E2E_PORT_BASE", "27000"))


class RealArena(Arena):
    """The stack named by E2E_STACK; one that is not up is started for the session."""

    kind = "real"

    def __init__(self) -> None:
        super().__init__()
        settings = layout.Settings(name=NAME, port_base=PORT_BASE)
        self._was_up = layout.Layout.of(settings).mark.exists()
        self.stack = stack.Stack.up(settings)
        self.kubernetes = Kubernetes(self.stack.kubeconfig)
        self.slurm = Slurm(self.stack.slurm_url, self.stack.slurm_token_file)
        self._first_node = 1

    def close(self) -> None:
        """Take it down, unless it was up before."""
        self.kubernetes.close()
        self.slurm.close()
        if self._was_up:
            self.stack.stop("bridge-scheduler")
        else:
            self.stack.down()

    def add_nodes(self, nodes: Nodes) -> list[str]:
        pool = Pool(
            count=nodes.count,
            prefix=nodes.prefix,
            cpus=nodes.cpus,
            memory_gib=nodes.memory_gib,
            gpus=nodes.gpus,
            efa=0,
            nodes_per_leaf=nodes.per_leaf,
            seed=nodes.seed,
            first=self._first_node,
        )
        self._first_node += nodes.count
        return self.stack.create_nodes(pool)

    def make_bridge(self, folder: Path, **settings: Any) -> Bridge:
        ca, certificate, key = self.stack.bridge_tls
        tls = folder / "tls"
        tls.mkdir(exist_ok=True)
        for source, name in ((ca, "ca.crt"), (certificate, "tls.crt"), (key, "tls.key")):
            (tls / name).write_bytes(source.read_bytes())
        probes_port = self.stack.layout.port(layout.Port.WEBHOOK)
        self._configure_webhooks(ca.read_bytes(), settings.get("scheduler_name", ""))
        return Bridge(
            folder,
            probes_port=probes_port,
            settings=_merged(
                {
                    "slurmRestApi": self.stack.slurm_url,
                    "partition": "slurm-bridge",
                    "managedNamespaces": [NAMESPACE],
                    "slurm": {"tokenFile": str(self.stack.slurm_token_file), "user": "slurm"},
                    "kubernetes": {
                        "kubeconfig": str(self.stack.kubeconfig),
                        "qps": 2000,
                        "burst": 4000,
                    },
                    "server": {
                        "listen": f"127.0.0.1:{self.stack.extender_port}",
                        "metricsListen": f"127.0.0.1:{probes_port}",
                        "certificateDir": str(tls),
                        "clientCaFile": str(ca),
                    },
                    "nodes": {"topology": "fabric:root", "intervalS": 2},
                    "logFormat": "console",
                },
                settings,
            ),
        )

    def start_scheduler(self) -> None:
        if self.stack.status().get("bridge-scheduler") is None:
            self.stack.start_bridge_scheduler()

    def stop_slurm(self) -> None:
        self.stack.stop("slurmrestd")

    def start_slurm(self) -> None:
        if self.stack.status()["slurmrestd"] is None:
            self.stack.start("slurmrestd")

    def _configure_webhooks(self, ca: bytes, scheduler_name: str) -> None:
        url = f"https://127.0.0.1:{self.stack.extender_port}"
        target = webhook_config.Target(url=url, ca=ca)
        calls = webhook_config.Calls(
            managed_namespaces=(NAMESPACE,),
            scheduler_name=scheduler_name or names.SCHEDULER_NAME,
        )
        for manifest in (
            webhook_config.mutating(calls, target),
            webhook_config.validating(calls, target),
        ):
            plural = manifest["kind"].lower() + "s"
            path = f"/apis/admissionregistration.k8s.io/v1/{plural}/slurm-bridge"
            self.kubernetes.delete(path)
            self.kubernetes.create(manifest)


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` wins, section by section."""
    merged = dict(base)
    for key, value in over.items():
        known = merged.get(key)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(known, value) if both else value  # type: ignore[arg-type]
    return merged
