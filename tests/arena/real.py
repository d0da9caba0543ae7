"""The real stack: Kubernetes and kwok, slurmctld and slurmrestd (tests.e2e.stack)."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.arena import installation, sandbox
from tests.arena.api import Kubernetes, Slurm
from tests.arena.arena import BRIDGE_USER, NAMESPACE, Arena, Nodes
from tests.arena.bridge import Bridge
from tests.arena.gate import Gate
from tests.arena.processes import LEASE, Processes
from tests.e2e.stack import layout, stack
from tests.e2e.stack import nodes as kwok
from tests.e2e.stack.slurm import NATIVE_NODE
from tests.e2e.stack.slurmds import Slurmd

LANE = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
"""Of the processes that share a run's stories; each has a stack of its own."""
NAME = f"{os.environ.get('E2E_STACK', 'e2e')}-{LANE}"
PORT_BASE = int(os.environ.get("E2E_PORT_BASE", "27000")) + 100 * int(LANE)


class RealArena(Arena):
    """The stack named by E2E_STACK, or another one; if it is not up, it is started and ended."""

    kind = "real"

    def __init__(self, settings: layout.Settings | None = None) -> None:
        super().__init__()
        settings = settings or layout.Settings(name=NAME, port_base=PORT_BASE)
        self.api_port = layout.Layout.of(settings).port(layout.Port.API)
        self._was_up = layout.Layout.of(settings).mark.exists()
        self.stack = stack.Stack.up(settings)
        self.kubernetes = Kubernetes(self.stack.kubeconfig)
        self.slurm = Slurm(self.stack.slurm_url, self.stack.slurm_token_file)
        self._first_node = 1
        installation.install_policies(self.kubernetes)

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
        pool = kwok.Pool(
            count=nodes.count,
            prefix=nodes.prefix,
            cpus=nodes.cpus,
            memory_gib=nodes.memory_gib,
            gpus=nodes.gpus,
            efa=0,
            nodes_per_leaf=nodes.per_leaf,
            seed=nodes.seed,
            zones=nodes.zones,
            external=nodes.external,
            first=self._first_node,
        )
        self._first_node += nodes.count
        return self.stack.create_nodes(pool)

    def make_bridge(self, folder: Path, **settings: Any) -> Bridge:
        """As it is deployed: its own user with its own rights, no root, nothing to write to."""
        ca, certificate, key = self.loopback_tls()
        probes_port = self.stack.layout.port(layout.Port.WEBHOOK)
        token = folder / "slurm.jwt"
        token.write_bytes(self.stack.slurm_token_file.read_bytes())
        made = installation.settings(
            settings,
            kubeconfig=self._kubeconfig(folder),
            slurm_url=self.stack.slurm_url,
            token_file=token,
            port=self.stack.extender_port,
            probes_port=probes_port,
            api_port=self.api_port,
            tls=installation.certificates(folder, ca=ca, certificate=certificate, key=key),
        )
        for path in (folder, *folder.rglob("*")):
            os.chown(path, sandbox.UID, sandbox.UID)
        needs = (Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[2], folder)
        prefix = sandbox.command(needs)
        if self.is_split:
            return Processes(
                folder,
                settings=made,
                extender_port=self.stack.extender_port,
                webhook_port=self._webhook_port,
                api_port=self.api_port,
                prefix=prefix,
            )
        return Bridge(folder, probes_port=probes_port, settings=made, prefix=prefix)

    @property
    def _webhook_port(self) -> int:
        """What the API server calls."""
        port = self.stack.layout.port(layout.Port.WEBHOOK_BALANCER)
        return port if self.is_split else self.stack.extender_port

    def _kubeconfig(self, folder: Path) -> Path:
        """Of a user who has the rights of deploy/rbac.yaml and no others."""
        path = folder / "kubeconfig"
        api = self.stack.kubernetes.api
        api.write_kubeconfig(path, certificate="slurm-bridge", user=BRIDGE_USER)
        config = yaml.safe_load(path.read_text())
        for section in (config["clusters"][0]["cluster"], config["users"][0]["user"]):
            for name in ("certificate-authority", "client-certificate", "client-key"):
                if name in section:
                    # Files, not inline data: Python's TLS reads only files, and where the root
                    # is read-only there is nowhere to put one.
                    copy = folder / f"kubernetes.{name}.pem"
                    copy.write_bytes(Path(section[name]).read_bytes())
                    section[name] = str(copy)
        path.write_text(yaml.safe_dump(config))
        self.stack.run_kubectl("apply", "-f", "-", stdin=_rights())
        return path

    def register_webhooks(self, scheduler_name: str) -> None:
        installation.register_webhooks(
            self.kubernetes,
            port=self._webhook_port,
            ca=self.stack.bridge_tls[0],
            scheduler_name=scheduler_name,
            bridge_users=(BRIDGE_USER,),
        )

    def start_scheduler(self) -> None:
        if self.stack.status().get("bridge-scheduler") is None:
            self.stack.start_bridge_scheduler()

    def stop_scheduler(self) -> None:
        self.stack.stop("bridge-scheduler")

    def add_partition(self, name: str) -> None:
        if name not in self.stack.slurm("scontrol", "show", "partition", "-o"):
            self.stack.slurm("scontrol", "create", f"partition={name}", "nodes=slurm-bridge")

    def start_sink(self) -> None:
        self.stack.start_sink()

    def stop_sink(self) -> None:
        self.stack.stop_sink()

    def set_grace(self, partition: str, seconds: int) -> None:
        self.stack.slurm("scontrol", "update", f"partition={partition}", f"GraceTime={seconds}")

    def suspend(self, job_id: int) -> None:
        self.stack.slurm("scontrol", "suspend", str(job_id))

    def remove_native(self) -> None:
        if self.stack.status().get("slurmd") is not None:
            self.stack.stop("slurmd")
            self.stack.slurm("scontrol", "delete", f"nodename={NATIVE_NODE}")

    def expired_token(self) -> str:
        made = self.stack.slurm("scontrol", "token", "username=slurm", "lifespan=1")
        time.sleep(2.5)  # its life, in whole seconds
        return made.strip().partition("=")[2]

    def token_of(self, account: str, namespace: str = NAMESPACE) -> str:
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        if self.kubernetes.find(f"{path}/{account}") is None:
            made = {"apiVersion": "v1", "kind": "ServiceAccount"}
            metadata = {"name": account, "namespace": namespace}
            self.kubernetes.create({**made, "metadata": metadata})
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        answer = self.kubernetes.http.post(f"{path}/{account}/token", json=request)
        return str(answer.json()["status"]["token"])

    def admin_token(self) -> str:
        token, group = self.token_of("root", "kube-system"), "rbac.authorization.k8s.io"
        subject = {
            "apiGroup": group,
            "kind": "User",
            "name": "system:serviceaccount:kube-system:root",
        }
        binding = {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "root-account"},
            "subjects": [subject],
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
        }
        path = f"/apis/{group}/v1/clusterrolebindings"
        if self.kubernetes.find(f"{path}/root-account") is None:
            self.kubernetes.http.post(path, json=binding).raise_for_status()
        return token

    def open_gate(self, folder: Path) -> Gate:
        return Gate(folder, self._kubeconfig(folder))

    def loopback_tls(self) -> tuple[Path, Path, Path]:
        return self.stack.bridge_tls

    def create_file(self, manifest: Path, namespace: str = NAMESPACE) -> None:
        self.stack.run_kubectl("create", "--namespace", namespace, "-f", str(manifest))

    @contextlib.contextmanager
    def with_slurmds(self, nodes: Sequence[Slurmd]) -> Iterator[None]:
        self.stack.start_slurmds(nodes)
        try:
            yield
        finally:
            self.stack.remove_slurmds(nodes)

    def kill_kubelet(self, node: str) -> None:
        kwok.kill_kubelet(self.stack.kubernetes.api, node)

    def revive_kubelet(self, node: str) -> None:
        kwok.revive_kubelet(self.stack.kubernetes.api, node)

    def restart_kubernetes(self) -> None:
        self.stack.restart("kube-apiserver")

    def stop_slurm(self) -> None:
        self.stack.stop("slurmrestd")

    def start_slurm(self) -> None:
        if self.stack.status()["slurmrestd"] is None:
            self.stack.start("slurmrestd")


def _rights() -> str:
    """The shipped rights, given to the user of our certificate instead of a service account."""
    shipped = yaml.safe_load_all((Path(__file__).parents[2] / "deploy" / "rbac.yaml").read_text())
    objects = [one for one in shipped if one["kind"] != "ServiceAccount"]
    for one in objects:
        if one["metadata"].get("namespace") == "NAMESPACE":
            one["metadata"]["namespace"] = LEASE["leaseNamespace"]
        if one["kind"] in ("ClusterRoleBinding", "RoleBinding"):
            group = "rbac.authorization.k8s.io"
            one["subjects"] = [{"apiGroup": group, "kind": "User", "name": BRIDGE_USER}]
    return yaml.safe_dump_all(objects)
