"""Calls of our HTTPS server, timed: a server in a process of its own, plain sockets to it.

The client is as thin as can be, since it shares two processors with the server.
"""

import asyncio
import contextlib
import gc
import multiprocessing
import ssl
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

from bridge import telemetry
from bridge.server import addresses, certificates
from bridge.server.https import HttpsServer, Route
from bridge.server.metrics import ServerMetrics
from bridge.server.tls import CertificateFiles, Tls

HOST = "127.0.0.1"

Connected = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Routes = Callable[[], list[Route]]
"""A module's own function (it is sent to the other process by name): what is served."""


async def echo(body: bytes) -> tuple[int, bytes]:
    """Sends the body back: what the server alone costs."""
    return 200, body


async def read(body: bytes) -> tuple[int, bytes]:
    """Takes the body and says next to nothing."""
    return 200, b"{}"


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs."""

    port: int
    ca: Path
    """The authority to trust."""
    pid: int


@contextlib.contextmanager
def serving(routes: Routes) -> Iterator[Served]:
    """A server of these routes in a process of its own."""
    with tempfile.TemporaryDirectory() as path:
        folder = certificates.Folder(Path(path))
        certificates.ensure(folder, hosts=[HOST], now_s=time.time())
        ours, theirs = multiprocessing.Pipe()
        spawn = multiprocessing.get_context("spawn")
        server = spawn.Process(target=_serve, args=(theirs, folder, routes))
        server.start()
        theirs.close()  # so that a server that does not come up is noticed
        try:
            yield Served(port=ours.recv(), ca=folder.ca, pid=server.pid or 0)
        finally:
            ours.close()
            server.join()
            if server.exitcode:  # else it would seem to have closed connections only
                raise RuntimeError(f"the server's process has ended with {server.exitcode}")


def _serve(ready: Connection, folder: certificates.Folder, routes: Routes) -> None:
    """The server's process: tells its port, serves until the other end closes."""
    uvloop.run(_serving(ready, folder, routes))


async def _serving(ready: Connection, folder: certificates.Folder, routes: Routes) -> None:
    telemetry.configure(level="error", log_format="json")
    server = HttpsServer(
        address=addresses.Address(HOST, 0),
        routes=routes(),
        tls=Tls(CertificateFiles(folder.server, folder.server_key)),
        metrics=ServerMetrics(telemetry.Metrics()),
    )
    async with server:
        gc.collect()
        gc.freeze()  # as the bridge does once it has listed everything
        ready.send(server.port)
        await asyncio.to_thread(ready.poll, None)


async def connect(port: int, tls: ssl.SSLContext) -> Connected:
    """One connection."""
    return await asyncio.open_connection(HOST, port, ssl=tls, limit=1 << 24)


async def call(connected: Connected, path: str, content: bytes) -> tuple[float, int, bytes]:
    """Seconds from the first byte sent to the last received, the status and the answer."""
    reader, writer = connected
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    start = time.perf_counter()
    writer.write(head + content)
    told = await reader.readuntil(b"\r\n\r\n")
    length = int(told.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    answer = await reader.readexactly(length)
    return time.perf_counter() - start, int(told.split(b" ", 2)[1]), answer


def p99(times: Sequence[float]) -> float:
    """The slowest of a hundred."""
    return statistics.quantiles(times, n=100)[98]
