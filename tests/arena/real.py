"""The real stack: Kubernetes and kwok, slurmctld and slurmrestd (tests.e2e.stack)."""

import os
from pathlib import Path
from typing import Any

from tests.arena import installation
from tests.arena.api import Kubernetes, Slurm
from tests.arena.arena import Arena, Nodes
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
        try:
            self.end_bridge()
        finally:
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
        probes_port = self.stack.layout.port(layout.Port.WEBHOOK)
        return Bridge(
            folder,
            probes_port=probes_port,
            settings=installation.settings(
                settings,
                kubeconfig=self.stack.kubeconfig,
                slurm_url=self.stack.slurm_url,
                token_file=self.stack.slurm_token_file,
                port=self.stack.extender_port,
                probes_port=probes_port,
                tls=installation.certificates(folder, ca=ca, certificate=certificate, key=key),
            ),
        )

    def register_webhooks(self, scheduler_name: str) -> None:
        installation.register_webhooks(
            self.kubernetes,
            port=self.stack.extender_port,
            ca=self.stack.bridge_tls[0],
            scheduler_name=scheduler_name,
        )

    def start_scheduler(self) -> None:
        if self.stack.status().get("bridge-scheduler") is None:
            self.stack.start_bridge_scheduler()

    def restart_kubernetes(self) -> None:
        self.stack.restart("kube-apiserver")

    def stop_slurm(self) -> None:
        self.stack.stop("slurmrestd")

    def start_slurm(self) -> None:
        if self.stack.status()["slurmrestd"] is None:
            self.stack.start("slurmrestd")
