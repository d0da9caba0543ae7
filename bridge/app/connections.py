"""The connections to both sides, and the certificates for the bridge's own server."""

import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from bridge import config, slurm
from bridge.clock import Clock
from bridge.errors import BadInput, ConfigError, Unreachable, Unreadable
from bridge.files import Worker
from bridge.kube.api.client import KubeClient
from bridge.kube.api.errors import KubeError, Unavailable
from bridge.server import certificates
from bridge.server.tls import CertificateFiles

log = structlog.get_logger(__name__)

T = TypeVar("T")
_KUBERNETES_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Connections:
    """Connections and names that every part needs."""

    kube: KubeClient
    client: slurm.SlurmClient
    token: slurm.TokenSource
    """What `client` authenticates with."""
    cluster_uid: str
    user: str
    """Who the API server takes us for."""
    files: CertificateFiles

    def write_only_while(self, may_write: Callable[[], bool]) -> None:
        """Of a process that leads only for a time: nothing is changed on either side beyond it."""
        self.kube.may_write = may_write
        self.client.write_only_while(may_write)


async def connect(settings: config.Settings, *, clock: Clock) -> Connections:
    """Reach both sides as far as needed. Raises ConfigError and Unreachable."""
    endpoints = settings.slurm_endpoints
    if not endpoints:
        raise ConfigError(
            "no Slurm to talk to: set slurm.endpoints (or slurmRestApi) to slurmrestd's URL"
        )
    token = _token(settings.slurm.token_file, endpoints)
    async with AsyncExitStack() as opened:
        kube = await KubeClient.connect(settings.kubernetes, clock=clock)
        opened.push_async_callback(kube.close)
        log.info("kubernetes.chosen", target=kube.target)
        cluster_uid = await _patiently(kube.cluster_uid, clock=clock)
        make = partial(_slurm, settings.slurm, endpoints=endpoints, token=token, clock=clock)
        client = await _read(make, what=f"the CA {settings.slurm.ca_file} (slurm.caFile)")
        opened.push_async_callback(client.close)
        server = settings.server
        files = await _read(
            partial(_certificates, server, clock.time()),
            what=f"{server.certificate_dir or tempfile.gettempdir()} (server.certificateDir)",
        )
        user = await _patiently(partial(username, kube), clock=clock)
        opened.pop_all()  # from here on they are the caller's to close
    return Connections(
        kube=kube, client=client, token=token, cluster_uid=cluster_uid, user=user, files=files
    )


def _token(file: str, endpoints: Sequence[str]) -> slurm.TokenSource:
    """The token in the file; none where no file is named and a Unix socket tells who calls.

    Raises ConfigError for endpoints that need a token: slurmrestd knows no other way over TCP.
    """
    if file:
        return slurm.TokenSource.from_file(file)
    for endpoint in endpoints:
        if not endpoint.startswith("unix:"):
            raise ConfigError(
                f"no token for Slurm, and {endpoint} needs one: set slurm.tokenFile (or "
                "SLURM_JWT_FILE) to a file with a JWT"
            )
    return slurm.TokenSource.fixed("")


async def _read(function: Callable[[], T], *, what: str) -> T:
    """What `function` makes of files. Raises ConfigError when one hangs or can't be used."""
    try:
        return await Worker().call(function, what=what)
    except (Unreadable, BadInput) as error:
        raise ConfigError(str(error)) from error


def _slurm(
    settings: config.SlurmSettings,
    *,
    endpoints: Sequence[str],
    token: slurm.TokenSource,
    clock: Clock,
) -> slurm.SlurmClient:
    """Reads the CA's file."""
    return slurm.SlurmClient(
        endpoints=endpoints,
        token=token,
        user=settings.user,
        timeout_s=settings.request_timeout_s,
        tls=slurm.Tls(ca_file=settings.ca_file),
        proxy=settings.proxy,
        clock=clock,
    )


async def _patiently(ask: Callable[[], Awaitable[str]], *, clock: Clock) -> str:
    """Asks until there is an answer. Raises Unreachable when there is none for a while."""
    deadline_s = clock.monotonic() + _KUBERNETES_WAIT_S
    while True:
        try:
            return await ask()
        except Unreachable as error:
            if clock.monotonic() > deadline_s:
                raise
            log.warning("kubernetes.unreachable", error=str(error))
            await clock.sleep(1.0)


async def username(kube: KubeClient) -> str:
    """The user that the API server takes us for: the one who may change what is ours on pods.

    Raises Unreachable when the API server does not answer, and ConfigError when it does not tell:
    the webhook would then hold nobody off.
    """
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        answer = await kube.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    except Unavailable:
        raise
    except KubeError as error:
        raise ConfigError(
            f"the API server does not tell who the bridge is, so nobody could be held off its "
            f"marks on pods: {error}; bind ClusterRole system:basic-user to the group "
            "system:authenticated, as Kubernetes does by itself"
        ) from error
    name = ((answer.get("status") or {}).get("userInfo") or {}).get("username")
    if not isinstance(name, str) or not name:
        raise ConfigError(
            f"the API server does not tell who the bridge is: it answers {answer!r:.200} to a "
            "SelfSubjectReview; Kubernetes 1.28 or later is needed"
        )
    return name


def _certificates(server: config.ServerSettings, now_s: float) -> CertificateFiles:
    """Those of the folder that is named, made there where nobody else makes them; else our own in
    a new folder. Blocks. Raises ConfigError, also where no CA tells who may call the extender."""
    folder = certificates.Folder(
        Path(server.certificate_dir or tempfile.mkdtemp(prefix="slurm-bridge-"))
    )
    if folder.ca_key.exists() or not folder.server.exists():
        certificates.ensure(folder, hosts=_hosts(), now_s=now_s)
    if not server.client_ca_file and not folder.ca.exists():
        raise ConfigError(
            f"whoever reaches the extender could bind pods: {folder.path} "
            "(server.certificateDir) has no ca.crt; set server.clientCaFile to the CA of "
            "kube-scheduler's client certificate"
        )
    client_ca = Path(server.client_ca_file) if server.client_ca_file else folder.ca
    return CertificateFiles(folder.server, folder.server_key, client_ca)


def _hosts() -> tuple[str, ...]:
    return (
        "localhost",
        "127.0.0.1",
        "::1",
        *certificates.service_hosts("slurm-bridge", "slurm-bridge"),
    )
