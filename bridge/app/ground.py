"""What the bridge stands on: both sides reached, and the certificates for its own server."""

import asyncio
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from bridge import config, slurm
from bridge.clock import Clock
from bridge.errors import ConfigError, Unreachable
from bridge.kube.client import KubeClient
from bridge.kube.errors import KubeError
from bridge.server import certificates
from bridge.server.tls import CertificateFiles

log = structlog.get_logger(__name__)

_KUBERNETES_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Ground:
    """Connections and names that every part needs."""

    kube: KubeClient
    client: slurm.SlurmClient
    cluster_uid: str
    user: str
    """Who the API server takes us for; "" when it does not tell."""
    files: CertificateFiles


async def reach(settings: config.Settings, *, clock: Clock) -> Ground:
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
    return Ground(
        kube=kube,
        client=client,
        cluster_uid=cluster_uid,
        user=await _who_am_i(kube),
        files=files,
    )


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


def _hosts() -> tuple[str, ...]:
    return (
        "localhost",
        "127.0.0.1",
        "::1",
        *certificates.service_hosts("slurm-bridge", "slurm-bridge"),
    )
