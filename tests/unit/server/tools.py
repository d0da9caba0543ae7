"""Servers and clients on the loopback, over real sockets and TLS, for tests."""

import asyncio
import ssl
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import structlog

from bridge import telemetry
from bridge.clock import Clock
from bridge.server import addresses, certificates
from bridge.server.certificates import Folder
from bridge.server.connections import Limits
from bridge.server.https import HttpsServer, Route
from bridge.server.listener import Shared
from bridge.server.metrics import ServerMetrics
from bridge.server.tls import CertificateFiles, Tls

HOSTS = ("localhost", "127.0.0.1", "::1")
ANYWHERE = addresses.Address("127.0.0.1", 0)


def made(path: Path, *, hosts: Sequence[str] = HOSTS, now_s: float | None = None) -> Folder:
    """A folder with certificates."""
    folder = Folder(path)
    certificates.ensure(folder, hosts=hosts, now_s=time.time() if now_s is None else now_s)
    return folder


def files(folder: Folder, *, client_ca: bool = False) -> CertificateFiles:
    """What the server is to use of it."""
    return CertificateFiles(folder.server, folder.server_key, folder.ca if client_ca else None)


def trusting(folder: Folder, *, showing: Folder | None = None) -> ssl.SSLContext:
    """A client's context: trusts the folder's CA, shows the client certificate of `showing`."""
    context = ssl.create_default_context(cafile=str(folder.ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if showing is not None:
        context.load_cert_chain(showing.client, showing.client_key)
    return context


async def echo(body: bytes) -> tuple[int, bytes]:
    """A handler that answers what it is sent."""
    return 200, body


class Bench:
    """A server with what it counts."""

    def __init__(
        self,
        *routes: Route,
        tls: Tls | None = None,
        address: addresses.Address = ANYWHERE,
        clock: Clock | None = None,
        limits: Limits | None = None,
        shared: Shared | None = None,
        shutdown_timeout_s: float = 10.0,
    ) -> None:
        self.metrics = telemetry.Metrics()
        self.counted = ServerMetrics(self.metrics)
        self.logged = structlog.testing.LogCapture()
        self.server = HttpsServer(
            address=address,
            routes=routes or (Route("/echo", echo),),
            tls=tls,
            metrics=self.counted,
            clock=clock,
            limits=limits,
            shared=shared,
            shutdown_timeout_s=shutdown_timeout_s,
            linger_s=0.01,
            log=structlog.wrap_logger(
                structlog.PrintLogger(),
                processors=[self.logged],
                wrapper_class=structlog.make_filtering_bound_logger(0),
            ),
        )

    def open(self) -> float:
        """Connections that are open."""
        return self.value("bridge_server_connections", server="https") or 0.0

    def cut(self, reason: str) -> float:
        """Connections that were cut for this reason."""
        name = "bridge_server_connections_cut_total"
        return self.value(name, server="https", reason=reason) or 0.0

    def value(self, name: str, **labels: str) -> float | None:
        """A sample of the registry."""
        return self.metrics.registry.get_sample_value(name, labels)


async def call(
    port: int,
    path: str = "/echo",
    body: bytes = b"{}",
    *,
    tls: ssl.SSLContext | None = None,
    host: str = "localhost",
    method: str = "POST",
) -> tuple[int, bytes]:
    """One request over a connection of its own."""
    scheme = "https" if tls else "http"
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
        session.request(
            method, f"{scheme}://{host}:{port}{path}", data=body, ssl=tls or True
        ) as response,
    ):
        return response.status, await response.read()


async def raw(port: int, *pieces: bytes) -> bytes:
    """Bytes sent as they are, and all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
