"""Connections under their limits, over real sockets: who is late, who is one too many, who holds
too much."""

import asyncio
import contextlib
import os
import resource
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from bridge.server import certificates
from bridge.server.budget import Budget
from bridge.server.connections import Limits
from bridge.server.https import Route
from bridge.server.listener import Shared
from bridge.server.tls import Tls
from tests.unit.server.tools import Bench, call, echo, files, made, trusting

HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
ELSEWHERE = "127.0.0.2"
"""An address that no other caller of a test has."""
Connected = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> certificates.Folder:
    """Certificates that no test changes."""
    return made(tmp_path_factory.mktemp("tls") / "one")


@contextlib.asynccontextmanager
async def connected(
    port: int, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Connected]:
    """A connection from the address `host`."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=tls, local_addr=(host, 0),
        server_hostname="localhost" if tls else None,
    )  # fmt: skip
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server ends the connection, however it does that."""
    received = bytearray()
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            received += piece
    return bytes(received)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until it holds; the test's time limit is the bound."""
    while True:
        if condition():
            return
        await asyncio.sleep(0)


async def answer(connection: Connected, body: bytes = b"1") -> bytes:
    """The head of the answer to a request over a kept connection, whose body is read too."""
    reader, writer = connection
    writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
    return head


# -- late ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02"])
async def test_a_handshake_that_does_not_come(folder: certificates.Folder, sent: bytes) -> None:
    """A caller that does not shake hands, or stops in the middle, is cut."""
    bench = Bench(tls=Tls(files(folder)), limits=Limits(handshake_s=0.05))
    async with bench.server as server, connected(server.port) as (reader, writer):
        writer.write(sent)
        assert await rest(reader) == b""
    assert bench.cut("handshake") == 1


async def test_headers_that_do_not_end() -> None:
    """A caller that sends its headers piece by piece has a limit for all of them."""
    bench = Bench(limits=Limits(headers_s=0.05))
    async with bench.server as server, connected(server.port) as (reader, writer):
        writer.write(HEAD)

        async def drip() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b"X: y\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.001)

        dripping = asyncio.ensure_future(drip())
        assert await rest(reader) == b""
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
    assert bench.cut("request") == 1


async def test_a_loop_that_has_no_time_makes_nobody_late(folder: certificates.Folder) -> None:
    """Limits are for callers. What the bridge itself holds up, whatever it does meanwhile, costs
    nobody the connection."""
    bench = Bench(tls=Tls(files(folder)), limits=Limits(handshake_s=0.05, headers_s=0.05))
    busy = True

    async def work() -> None:
        while busy:
            until_s = time.perf_counter() + 0.06
            while time.perf_counter() < until_s:
                pass
            await asyncio.sleep(0)

    async with bench.server as server:
        working = asyncio.ensure_future(work())
        async with connected(server.port, tls=trusting(folder)) as one:
            for _ in range(3):
                assert b"200 OK" in await answer(one)
        busy = False
        await working
    assert bench.cut("handshake") == bench.cut("request") == 0


async def test_an_idle_connection() -> None:
    """A connection is kept after a call, and cut when it is not used any more."""
    bench = Bench(limits=Limits(idle_s=0.05, headers_s=0.05))
    async with bench.server as server, connected(server.port) as one:
        assert b"200 OK" in await answer(one)
        assert await rest(one[0]) == b""
    assert bench.cut("idle") == 1


async def test_an_answer_that_is_not_taken() -> None:
    """A caller that does not read its answer holds neither the connection nor its memory."""
    shared = Shared(Budget(64 << 20))

    async def large(body: bytes) -> tuple[int, bytes]:
        return 200, body or b"x" * (16 << 20)

    bench = Bench(Route("/echo", large), limits=Limits(answer_s=0.05), shared=shared)
    async with bench.server as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.write(HEAD + b"Content-Length: 0\r\n\r\n")
        await until(lambda: shared.budget.used > 0)
        await until(lambda: bench.cut("answer"))
        writer.transport.abort()
        del reader
        await until(lambda: not shared.budget.used)
        assert (await call(server.port))[0] == 200
    assert bench.cut("answer") == 1


# -- one too many --------------------------------------------------------------------------------


async def test_a_newcomer_gets_in() -> None:
    """With the table full of idle connections of one address, a caller from another is served,
    and so is the one that was there before the crowd."""
    bench = Bench(limits=Limits(connections=8))
    async with bench.server as server, contextlib.AsyncExitStack() as stack:
        kept = await stack.enter_async_context(connected(server.port))
        assert b"200 OK" in await answer(kept)
        for _ in range(20):
            await stack.enter_async_context(connected(server.port, host=ELSEWHERE))
        assert b"200 OK" in await answer(kept)
        assert (await call(server.port))[0] == 200
        assert bench.open() <= 8
    assert bench.cut("room") >= 12
    (event,) = [one for one in bench.logged.entries if one["event"] == "server.crowded"]
    assert (event["peer"], event["reason"]) == (ELSEWHERE, "room")


async def test_a_scheduler_in_a_crowd(folder: certificates.Folder) -> None:
    """Who has shown a certificate keeps its connections, though it is the address with the most."""
    routes = (Route("/echo", echo, client_certificate=True),)
    bench = Bench(*routes, tls=Tls(files(folder, client_ca=True)), limits=Limits(connections=8))
    async with bench.server as server, contextlib.AsyncExitStack() as stack:
        known = trusting(folder, showing=folder)
        held = [
            await stack.enter_async_context(connected(server.port, tls=known)) for _ in range(6)
        ]
        for number in range(10):
            crowd = connected(server.port, host=f"127.0.1.{number}", tls=trusting(folder))
            await stack.enter_async_context(crowd)
        for one in held:
            assert b"200 OK" in await answer(one)
    assert bench.cut("room") == 8


async def test_handshakes_in_turns(folder: certificates.Folder) -> None:
    """While hundreds of half handshakes of one address wait for their turn, another address
    shakes hands at once."""
    bench = Bench(tls=Tls(files(folder)))
    async with bench.server as server, contextlib.AsyncExitStack() as stack:
        for _ in range(300):
            await stack.enter_async_context(connected(server.port, host=ELSEWHERE))
        assert (await call(server.port, tls=trusting(folder)))[0] == 200
        assert bench.open() >= 300


@contextlib.contextmanager
def no_descriptor_left() -> Iterator[None]:
    """This process can open nothing more."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.dup(0)]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken) + 1, limits[1]))
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for one in taken:
            os.close(one)


async def test_no_descriptor_is_left() -> None:
    """When the process can open no more files, a connection makes room for the newcomer."""
    bench = Bench()
    async with bench.server as server, contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(connected(server.port, host=ELSEWHERE))
        await until(lambda: bench.open() == 3)
        with socket.socket() as caller, no_descriptor_left():
            caller.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(caller, ("127.0.0.1", server.port))
            await loop.sock_sendall(caller, HEAD + b"Content-Length: 1\r\n\r\nx")
            assert b"200 OK" in await loop.sock_recv(caller, 4096)
    assert bench.cut("room") == 1


# -- memory --------------------------------------------------------------------------------------


async def test_who_holds_too_much_is_told() -> None:
    """The slowest sender of the address that holds the most is refused, with the time after which
    it should try again; a caller from another address is served."""
    shared = Shared(Budget(100_000))
    bench = Bench(shared=shared)
    async with bench.server as server, contextlib.AsyncExitStack() as stack:
        flood = []
        for _ in range(3):
            one = await stack.enter_async_context(connected(server.port, host=ELSEWHERE))
            one[1].write(HEAD + b"Content-Length: 100000\r\n\r\n" + b"x" * 30_000)
            flood.append(one)
        await until(lambda: shared.budget.used >= 90_000)
        status, body = await call(server.port, body=b"y" * 20_000)
        assert (status, len(body)) == (200, 20_000)
        told = await rest(flood[0][0])
        assert b"503" in told.splitlines()[0]
        assert b"Retry-After: 1\r\n" in told
        assert shared.budget.used <= 100_000
    assert shared.budget.used == 0
    assert bench.cut("memory") == 1


async def test_what_was_answered_holds_nothing() -> None:
    """Whatever a call came to, its memory is given back."""
    shared = Shared(Budget(1 << 20))

    async def failing(body: bytes) -> tuple[int, bytes]:
        raise ZeroDivisionError

    bench = Bench(Route("/echo", echo), Route("/failing", failing), shared=shared)
    async with bench.server as server:
        for path in ("/echo", "/failing", "/nothing"):
            await call(server.port, path, body=b"x" * 1000)
        assert shared.budget.used == 0
        async with connected(server.port) as (_, writer):
            writer.write(HEAD + b"Content-Length: 9\r\n\r\nx")
            await until(lambda: shared.budget.used)
        await until(lambda: not shared.budget.used)  # until the server has noticed
    assert bench.value("bridge_server_request_bytes") == 0


async def test_calls_that_take_long() -> None:
    """Calls of one address that wait in their handler keep nobody out; those that are given up
    are cancelled there, and hold nothing any more."""
    shared = Shared(Budget(100_000))
    given_up = 0
    gate = asyncio.Event()

    async def waits(body: bytes) -> tuple[int, bytes]:
        nonlocal given_up
        try:
            await gate.wait()
        except asyncio.CancelledError:
            given_up += 1
            raise
        return 200, b""

    routes = (Route("/echo", echo), Route("/waits", waits))
    bench = Bench(*routes, limits=Limits(connections=8), shared=shared)
    async with bench.server as server, contextlib.AsyncExitStack() as stack:
        for _ in range(8):
            _, writer = await stack.enter_async_context(connected(server.port, host=ELSEWHERE))
            writer.write(b"POST /waits HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n")
            writer.write(b"x" * 9000)
        await until(lambda: bench.value("bridge_served_in_flight") == 8)
        assert (await call(server.port))[0] == 200
        assert (bench.cut("room"), given_up) == (1, 1)
        assert (await call(server.port, body=b"x" * 45_000))[0] == 200
        assert bench.cut("memory") == given_up - 1 > 0
        gate.set()
        await until(lambda: shared.budget.used == 0)


async def test_a_caller_that_has_gone_holds_memory_until_its_call_is_done() -> None:
    """Sending a body and going away is no way to use more memory than there is."""
    shared = Shared(Budget(100_000))
    gate = asyncio.Event()

    async def waits(body: bytes) -> tuple[int, bytes]:
        await gate.wait()
        return 200, b""

    bench = Bench(Route("/echo", waits), shared=shared)
    async with bench.server as server:
        async with connected(server.port) as (_, writer):
            writer.write(HEAD + b"Content-Length: 9000\r\n\r\n" + b"x" * 9000)
            await until(lambda: bench.value("bridge_served_in_flight") == 1)
        await until(lambda: bench.open() == 0)
        assert shared.budget.used > 9000
        gate.set()
        await until(lambda: shared.budget.used == 0)


async def test_large_calls_give_way_to_small_ones_of_their_address() -> None:
    """As all reviews come from the API server's address: those of one tenant that fill the memory
    are told to try again, over the same connection, and no other's is."""
    shared = Shared(Budget(100_000, small=10_000))
    gate = asyncio.Event()

    async def waits(body: bytes) -> tuple[int, bytes]:
        await gate.wait()
        return 200, b""

    bench = Bench(Route("/echo", waits), shared=shared)
    async with bench.server as server, contextlib.AsyncExitStack() as stack:

        async def sending(size: int) -> tuple[Connected, asyncio.Task[bytes]]:
            one = await stack.enter_async_context(connected(server.port))
            task = asyncio.ensure_future(answer(one, b"x" * size))
            under_way = bench.value("bridge_served_in_flight") or 0
            await until(lambda: task.done() or bench.value("bridge_served_in_flight") != under_way)
            return one, task

        honest = [await sending(1000) for _ in range(3)]
        hostile = [await sending(30_000) for _ in range(3)]
        honest += [await sending(9000) for _ in range(3)]
        last, told = hostile[-1]
        assert b"503" in (await told).splitlines()[0]
        assert not any(task.done() for _, task in (*honest, *hostile[:-1]))
        again = asyncio.ensure_future(answer(last, b"x" * 1000))
        gate.set()
        for _, task in (*honest, *hostile[:-1]):
            assert b"200 OK" in await task
        assert b"200 OK" in await again
    assert bench.cut("memory") == 1
    assert shared.budget.used == 0


async def test_headers_hold_memory_too() -> None:
    """Headers without an end are cut when they need the memory of others."""
    shared = Shared(Budget(100_000))
    bench = Bench(shared=shared)
    async with bench.server as server, contextlib.AsyncExitStack() as stack:
        for _ in range(20):
            _, writer = await stack.enter_async_context(connected(server.port, host=ELSEWHERE))
            writer.write(HEAD + (b"X: " + b"y" * 4000 + b"\r\n") * 2)
        await until(lambda: bench.cut("memory"))
        assert (await call(server.port))[0] == 200


async def test_large_bodies_are_read_in_turns() -> None:
    """Many large bodies at once, more than the budget together: each caller is answered or told
    to try again, and none is left hanging."""
    shared = Shared(Budget(8 << 20))

    async def size(body: bytes) -> tuple[int, bytes]:
        assert shared.budget.used <= 8 << 20
        return 200, str(len(body)).encode()

    bench = Bench(Route("/echo", size), shared=shared)
    before = len(asyncio.all_tasks())
    async with bench.server as server:
        body = b"x" * (3 << 20)

        async def one(number: int) -> bytes:
            async with connected(server.port, host=f"127.0.0.{2 + number % 3}") as (reader, writer):
                writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
                try:
                    return await reader.readuntil(b"\r\n\r\n")
                except (ConnectionError, asyncio.IncompleteReadError):
                    return b"cut"

        answers = await asyncio.gather(*(one(number) for number in range(12)))
    await until(lambda: len(asyncio.all_tasks()) == before)  # the rest of bodies is awaited
    assert any(b"200 OK" in head for head in answers)
    assert all(b"200 OK" in head or b"503" in head or head == b"cut" for head in answers)
    assert shared.budget.used == 0


async def test_a_compressed_body() -> None:
    """A small body that would become a large one is refused as it is."""
    bench = Bench()
    async with bench.server as server, connected(server.port) as (reader, writer):
        writer.write(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc")
        assert b"415" in (await rest(reader)).splitlines()[0]


async def test_many_requests_without_waiting() -> None:
    """A caller that sends much more than one request at once is answered, then sent away."""
    bench = Bench()
    async with bench.server as server, connected(server.port) as (reader, writer):
        one = HEAD + b"X: " + b"y" * 4000 + b"\r\nContent-Length: 1\r\n\r\nx"
        writer.write(one * 20)
        answers = await rest(reader)
    assert answers.count(b"200 OK") == 1


# -- stopping ------------------------------------------------------------------------------------


async def test_stopping_in_a_crowd(folder: certificates.Folder, tmp_path: Path) -> None:
    """Connections at every stage do not hold up the stop, and none outlives it."""
    bench = Bench(tls=Tls(files(folder)))
    async with contextlib.AsyncExitStack() as stack:
        await bench.server.start()
        port = bench.server.port
        idle = await stack.enter_async_context(connected(port, tls=trusting(folder)))
        headers = await stack.enter_async_context(connected(port, tls=trusting(folder)))
        headers[1].write(HEAD)
        waiting = [
            await stack.enter_async_context(connected(port, host=ELSEWHERE)) for _ in range(200)
        ]
        await bench.server.stop()
        for reader, _ in [idle, headers, *waiting]:
            assert await rest(reader) == b""
