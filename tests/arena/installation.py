"""How the bridge is installed in a stack: its settings and its webhooks, on both alike."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge import names
from bridge.admission import policy, webhook_config
from tests.arena import api
from tests.arena.api import Kubernetes
from tests.arena.arena import NAMESPACE, PLAIN_NAMESPACE

EXEMPT = (PLAIN_NAMESPACE,)
"""Namespaces whose pods use managed nodes as a cluster's own agents do: other people's pods in most
stories."""


def settings(
    wishes: Mapping[str, Any],
    *,
    kubeconfig: Path,
    slurm_url: str,
    token_file: Path,
    port: int,
    probes_port: int,
    api_port: int,
    tls: Path,
) -> dict[str, Any]:
    """The settings file's content; a story's `wishes` win. `tls` holds tls.crt, tls.key, ca.crt."""
    standard = {
        "slurmRestApi": slurm_url,
        "partition": "slurm-bridge",
        "managedNamespaces": [NAMESPACE],
        "slurm": {"tokenFile": str(token_file), "user": "slurm"},
        "kubernetes": {"kubeconfig": str(kubeconfig), "qps": 2000, "burst": 4000},
        "server": {
            "listen": f"127.0.0.1:{port}",
            "metricsListen": f"127.0.0.1:{probes_port}",
            "certificateDir": str(tls),
            "clientCaFile": str(tls / "ca.crt"),
        },
        "nodes": {
            "topology": "fabric:root",
            "intervalS": 2,
            "cpuHeadroomMilli": 0,  # stories give out whole nodes
            "memoryHeadroomMib": 0,
        },
        "api": {"listen": f"127.0.0.1:{api_port}"},
        "logFormat": "console",
    }
    return _merged(standard, wishes)


def certificates(folder: Path, *, ca: Path, certificate: Path, key: Path) -> Path:
    """The folder that the bridge is pointed to, with these files in it."""
    tls = folder / "tls"
    tls.mkdir(exist_ok=True)
    for source, name in ((ca, "ca.crt"), (certificate, "tls.crt"), (key, "tls.key")):
        (tls / name).write_bytes(source.read_bytes())
    return tls


def register_webhooks(
    kubernetes: Kubernetes,
    *,
    port: int,
    ca: Path,
    scheduler_name: str = "",
    bridge_users: tuple[str, ...] = (),
) -> None:
    """Tell the API server to call the bridge on that port of loopback."""
    target = webhook_config.Target(url=f"https://127.0.0.1:{port}", ca=ca.read_bytes())
    calls = webhook_config.Calls(
        managed_namespaces=(NAMESPACE,),
        scheduler_name=scheduler_name or names.SCHEDULER_NAME,
        exempt=EXEMPT,
        bridge_users=bridge_users,
    )
    for manifest in (
        webhook_config.mutating(calls, target),
        webhook_config.validating(calls, target),
    ):
        plural = manifest["kind"].lower() + "s"
        kubernetes.delete(f"/apis/admissionregistration.k8s.io/v1/{plural}/slurm-bridge")
        kubernetes.create(manifest)


def install_policies(kubernetes: Kubernetes) -> None:
    """As deploy/managed-nodes.yaml; it is in force a second or two later."""
    remove_policies(kubernetes)
    for manifest in _policies():
        kubernetes.create(manifest)


def remove_policies(kubernetes: Kubernetes) -> None:
    """As in a cluster that is older than these policies."""
    for manifest in reversed(_policies()):
        kubernetes.delete(api.path_of(manifest))


def _policies() -> list[api.Object]:
    calls = webhook_config.Calls(managed_namespaces=(NAMESPACE,), exempt=EXEMPT)
    return policy.documents(calls)


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` wins, section by section."""
    merged = dict(base)
    for key, value in over.items():
        known = merged.get(key)
        if isinstance(known, Mapping) and isinstance(value, Mapping):
            merged[key] = _merged(known, value)
        else:
            merged[key] = value
    return merged
