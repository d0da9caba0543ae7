"""Who leads: the holder of a Lease, whose identity says where it is reached.

The holder's identity is `HOST:PORT/NUMBER/PORT`: followers read the address from it, callers the
second port, where people ask (`api.listen`), and the number makes each process another candidate.
"""

import os
import secrets
import socket
from functools import partial
from pathlib import Path
from urllib.parse import quote

from bridge import config, files
from bridge.clock import Clock
from bridge.errors import ConfigError, Unreadable
from bridge.kube.api.client import KubeClient
from bridge.kube.api.errors import KubeError, NotFound
from bridge.kube.api.lease import Lease, Terms
from bridge.rpc.follower import NoLeader

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


async def namespace(settings: config.Settings) -> str:
    """Of the Lease: the setting, else the pod's own namespace. Raises ConfigError."""
    if settings.leader.lease_namespace:
        return settings.leader.lease_namespace
    try:
        read = partial(files.read, _NAMESPACE_FILE)
        return (await files.Worker().call(read, what=str(_NAMESPACE_FILE))).decode().strip()
    except Unreadable:
        raise ConfigError(
            "in which namespace is the Lease? Set leader.leaseNamespace (inside a pod its own "
            "namespace is taken)"
        ) from None


def identity(settings: config.Settings) -> str:
    """Of this process: where it is reached, and a number of its own."""
    host = settings.rpc.advertise or os.environ.get("POD_IP") or socket.gethostname()
    port = settings.rpc.listen.rpartition(":")[2]
    shown = f"[{host}]" if ":" in host else host
    api_port = settings.api.listen.rpartition(":")[2]
    return f"{shown}:{port}/{secrets.token_hex(4)}/{api_port}"


def api_address(identity: str) -> str:
    """Where people ask the controller of that identity, HOST:PORT; "" if it does not say so."""
    address, _, rest = identity.partition("/")
    host, port = address.rpartition(":")[0], rest.partition("/")[2]
    return f"{host}:{port}" if host and port.isdigit() else ""


def lease(settings: config.Settings, kube: KubeClient, *, namespace: str, clock: Clock) -> Lease:
    """This process as a candidate."""
    leader = settings.leader
    return Lease(
        kube,
        namespace=namespace,
        name=leader.lease_name,
        identity=identity(settings),
        clock=clock,
        terms=Terms(
            duration_s=leader.lease_duration_s,
            renew_deadline_s=leader.renew_deadline_s,
            retry_s=leader.retry_interval_s,
        ),
    )


async def address(kube: KubeClient, *, namespace: str, name: str) -> str:
    """Where the controller that leads is reached, HOST:PORT. Raises NoLeader and KubeError."""
    path = (
        f"/apis/coordination.k8s.io/v1/namespaces/{quote(namespace, safe='')}"
        f"/leases/{quote(name, safe='')}"
    )
    try:
        raw = await kube.get(path, urgent=True)
    except NotFound:
        raise NoLeader(f"there is no Lease {namespace}/{name}: no controller has led yet") from None
    except KubeError as error:
        raise NoLeader(f"can't read Lease {namespace}/{name}: {error}") from error
    holder = str((raw.get("spec") or {}).get("holderIdentity") or "")
    found, slash, _ = holder.partition("/")
    if not slash or ":" not in found:
        said = f"{holder!r} says no address" if holder else "nobody holds it"
        raise NoLeader(f"Lease {namespace}/{name}: {said}")
    return found
