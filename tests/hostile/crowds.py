"""Callers that want nothing, or too much: many connections, from a process of their own, each
opened again as soon as it is cut."""

import asyncio
import contextlib
import multiprocessing
import ssl
from collections.abc import Awaitable, Callable, Iterator

import uvloop

from bridge import names
from bridge.server import descriptors
from tests.hostile.served import HOST, Served

BODY_BYTES = 8 << 20
_HEAD = f"POST {names.MUTATE_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY_BYTES}\r\n\r\n"
_LARGE_BODY = _HEAD.encode() + b"x" * BODY_BYTES
_DRIP_S = 0.2


class Callers:
    """Ways to call; each ends when the server ends the connection."""

    def __init__(self, served: Served, address: str) -> None:
        self._served = served
        self._address = address
        self._tls = served.tls()

    async def idle(self) -> None:
        """Shakes hands, and sends nothing."""
        async with self._connected(self._served.port, self._tls) as (reader, _):
            await reader.read()

    async def half_handshake(self) -> None:
        """Sends the first bytes of a handshake."""
        async with self._connected(self._served.port) as (reader, writer):
            writer.write(b"\x16\x03\x01\x02\x00\x01")
            await reader.read()

    async def slow_headers(self) -> None:
        """Sends one header after the other, for ever."""
        async with self._connected(self._served.port, self._tls) as (reader, writer):
            await self._drip(reader, writer, b"POST / HTTP/1.1\r\nHost: x\r\n", b"X: y\r\n")

    async def slow_body(self) -> None:
        """Sends a large body a few bytes at a time."""
        async with self._connected(self._served.port, self._tls) as (reader, writer):
            await self._drip(reader, writer, _HEAD.encode(), b"x" * 100)

    async def large_bodies(self) -> None:
        """Sends one large body after the other, as fast as it can."""
        async with self._connected(self._served.port, self._tls) as (reader, writer):
            while not reader.at_eof():
                writer.write(_LARGE_BODY)
                await writer.drain()
                await reader.readuntil(b"\r\n\r\n")

    async def idle_at_the_probes(self) -> None:
        """Connects to the plain server, and sends nothing."""
        async with self._connected(self._served.probes_port) as (reader, _):
            await reader.read()

    async def scrapes(self) -> None:
        """Asks for the metrics as fast as it can."""
        async with self._connected(self._served.probes_port) as (reader, writer):
            while not reader.at_eof():
                writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)

    @contextlib.asynccontextmanager
    async def _connected(self, port: int, tls: ssl.SSLContext | None = None):  # type: ignore[no-untyped-def]
        reader, writer = await asyncio.open_connection(
            HOST, port, ssl=tls, local_addr=(self._address, 0), limit=1 << 24
        )
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def _drip(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes, more: bytes
    ) -> None:
        writer.write(first)
        while not reader.at_eof() and not writer.is_closing():
            await asyncio.sleep(_DRIP_S)
            writer.write(more)


Crowd = dict[str, int]
"""How many of which callers."""


@contextlib.contextmanager
def crowd(served: Served, callers: Crowd, addresses: tuple[str, ...]) -> Iterator[None]:
    """They call until the block ends, each kind shared out to the addresses."""
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_run, args=(served, callers, addresses))
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _run(served: Served, callers: Crowd, addresses: tuple[str, ...]) -> None:
    descriptors.raise_limit()
    uvloop.run(_call(served, callers, addresses))


async def _call(served: Served, callers: Crowd, addresses: tuple[str, ...]) -> None:
    kinds = [Callers(served, address) for address in addresses]
    async with asyncio.TaskGroup() as group:
        for kind, many in callers.items():
            for number in range(many):
                group.create_task(_again(getattr(kinds[number % len(kinds)], kind)))


async def _again(call: Callable[[], Awaitable[None]]) -> None:
    while True:
        with contextlib.suppress(OSError, EOFError):  # it was cut, or refused
            await call()
        await asyncio.sleep(0.01)
