"""Callers that want nothing, or too much: many connections, from a process of their own, each
opened again as soon as it is cut."""

import asyncio
import contextlib
import itertools
import multiprocessing
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

from bench import admission
from bridge import names
from bridge.server import descriptors

HOST = "127.0.0.1"
BODY_BYTES = 8 << 20
_HEAD = f"POST {names.MUTATE_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY_BYTES}\r\n\r\n"
_LARGE_BODY = _HEAD.encode() + b"x" * BODY_BYTES
_REVIEW = admission.body(
    admission.a_pod() | {"status": {f"of-no-use-{number}": "x" * 100 for number in range(1_000)}}
)
_DRIP_S = 0.2


@dataclass(frozen=True, slots=True)
class Doors:
    """Where our servers listen, and the authority that signed for the first."""

    https: int
    probes: int
    ca: Path


class Callers:
    """Ways to call from one address; each ends when the server ends the connection."""

    def __init__(self, doors: Doors, address: str, connects: Callable[[], None]) -> None:
        self._doors = doors
        self._address = address
        self._tls = ssl.create_default_context(cafile=str(doors.ca))
        self._connects = connects

    async def idle(self) -> None:
        """Shakes hands, and sends nothing."""
        async with self._connected(self._doors.https, self._tls) as (reader, _):
            await reader.read()

    async def half_handshake(self) -> None:
        """Sends the first bytes of a handshake."""
        async with self._connected(self._doors.https) as (reader, writer):
            writer.write(b"\x16\x03\x01\x02\x00\x01")
            await reader.read()

    async def slow_headers(self) -> None:
        """Sends one header after the other, for ever."""
        async with self._connected(self._doors.https, self._tls) as (reader, writer):
            await self._drip(reader, writer, b"POST / HTTP/1.1\r\nHost: x\r\n", b"X: y\r\n")

    async def slow_body(self) -> None:
        """Sends a large body a few bytes at a time."""
        async with self._connected(self._doors.https, self._tls) as (reader, writer):
            await self._drip(reader, writer, _HEAD.encode(), b"x" * 100)

    async def large_bodies(self) -> None:
        """Sends one large body after the other, as fast as it can."""
        async with self._connected(self._doors.https, self._tls) as (reader, writer):
            while not reader.at_eof():
                writer.write(_LARGE_BODY)
                await writer.drain()
                await reader.readuntil(b"\r\n\r\n")

    async def reviews(self) -> None:
        """Sends one review after the other, larger than what people write, each of a namespace
        that nobody has."""
        async with self._connected(self._doors.https, self._tls) as (reader, writer):
            for number in itertools.count():
                review = _REVIEW.replace(b'"research"', b'"made-up-%d"' % number)
                writer.write(
                    f"POST {names.MUTATE_PATH} HTTP/1.1\r\nHost: x\r\n"
                    f"Content-Length: {len(review)}\r\n\r\n".encode()
                    + review
                )
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)

    async def idle_at_the_probes(self) -> None:
        """Connects to the plain server, and sends nothing."""
        async with self._connected(self._doors.probes) as (reader, _):
            await reader.read()

    async def scrapes(self) -> None:
        """Asks for the metrics as fast as it can."""
        async with self._connected(self._doors.probes) as (reader, writer):
            while not reader.at_eof():
                writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)

    @contextlib.asynccontextmanager
    async def _connected(
        self, port: int, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(
            HOST, port, ssl=tls, local_addr=(self._address, 0), limit=1 << 24
        )
        self._connects()
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
def crowd(
    doors: Doors, callers: Crowd, addresses: tuple[str, ...]
) -> Iterator[Callable[[], object]]:
    """They call until the block ends, each kind shared out to the addresses. What it yields waits
    until there were as many connections as callers."""
    ours, theirs = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_run, args=(theirs, doors, callers, addresses))
    process.start()
    theirs.close()
    try:
        yield ours.recv
    finally:
        process.kill()
        process.join()
        ours.close()


def _run(complete: Connection, doors: Doors, callers: Crowd, addresses: tuple[str, ...]) -> None:
    descriptors.raise_limit()
    left = sum(callers.values())

    def connects() -> None:
        nonlocal left
        left -= 1
        if not left:
            complete.send(None)

    uvloop.run(_call([Callers(doors, address, connects) for address in addresses], callers))


async def _call(kinds: list[Callers], callers: Crowd) -> None:
    async with asyncio.TaskGroup() as group:
        for kind, many in callers.items():
            for number in range(many):
                group.create_task(_again(getattr(kinds[number % len(kinds)], kind)))


async def _again(call: Callable[[], Awaitable[None]]) -> None:
    while True:
        with contextlib.suppress(OSError, EOFError):  # it was cut, or refused
            await call()
        await asyncio.sleep(0.01)
