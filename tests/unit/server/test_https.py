"""The HTTPS server, over real sockets."""

import asyncio
import os
import ssl
import threading
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives import serialization

from bridge.errors import ConfigError, Unreadable
from bridge.files import Worker
from bridge.server import addresses, certificates
from bridge.server.connections import Limits
from bridge.server.https import Route
from bridge.server.listener import Shared
from bridge.server.tls import CertificateFiles, Tls
from bridge.server.turnstile import Turnstile
from tests.unit.server.tools import Bench, call, echo, files, made, raw, trusting

HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> certificates.Folder:
    """Certificates that no test changes."""
    return made(tmp_path_factory.mktemp("tls") / "one")


async def test_answers_over_tls(folder: certificates.Folder) -> None:
    """A body goes to its route's handler, its answer comes back as JSON, checked both ways."""
    bench = Bench(tls=Tls(files(folder)))
    async with bench.server as server:
        assert await call(server.port, body=b'{"a":1}', tls=trusting(folder)) == (200, b'{"a":1}')
    assert bench.value("bridge_served_seconds_count", path="/echo", outcome="ok") == 1


async def test_both_families(folder: certificates.Folder) -> None:
    """[::] is reached by IPv4 and by IPv6."""
    everywhere = addresses.parse("[::]:0")
    async with Bench(tls=Tls(files(folder)), address=everywhere).server as server:
        for host in ("127.0.0.1", "[::1]"):
            assert (await call(server.port, tls=trusting(folder), host=host))[0] == 200


async def test_connections_are_kept() -> None:
    """Callers keep their connection: a hundred calls, one socket."""
    async with Bench().server as server:
        call_ = HEAD + b"Content-Length: 1\r\n\r\nx"
        last = HEAD + b"Connection: close\r\nContent-Length: 1\r\n\r\nx"
        answers = await raw(server.port, *[call_] * 99, last)
    assert answers.count(b"HTTP/1.1 200 OK") == 100


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("POST", "/nothing", 404, b"/nothing"),
        ("GET", "/echo", 405, b"called with POST"),
        ("PUT", "/echo", 405, b"called with POST"),
    ],
)
async def test_what_is_not_served(method: str, path: str, status: int, said: bytes) -> None:
    """Unknown paths and methods are told; paths that callers make up are counted as one."""
    bench = Bench()
    async with bench.server as server:
        answer = await call(server.port, path, method=method)
    assert answer[0] == status
    assert said in answer[1]
    path = "/echo" if path == "/echo" else "other"
    assert bench.value("bridge_served_seconds_count", path=path, outcome="refused") == 1


async def test_a_handler_that_fails() -> None:
    """A bug in a handler is answered with 500 and counted; the next call is served."""

    async def broken(body: bytes) -> tuple[int, bytes]:
        if body == b"bad":
            raise ZeroDivisionError("a secret of the inside")
        return 200, body

    bench = Bench(Route("/echo", broken))
    async with bench.server as server:
        status, said = await call(server.port, body=b"bad")
        assert status == 500
        assert b"secret" not in said
        assert (await call(server.port, body=b"good"))[0] == 200
    assert bench.value("bridge_served_seconds_count", path="/echo", outcome="error") == 1
    (event,) = [one for one in bench.logged.entries if one["log_level"] == "error"]
    assert (event["event"], event["path"]) == ("request.failed", "/echo")


async def test_status_of_the_handler() -> None:
    """A handler's own status is passed on."""

    async def refusing(body: bytes) -> tuple[int, bytes]:
        return 400, b'{"Error":"no"}'

    async with Bench(Route("/echo", refusing)).server as server:
        assert await call(server.port) == (400, b'{"Error":"no"}')


SMALL = Route("/echo", echo, max_body_bytes=100)


async def test_body_at_the_limit() -> None:
    """A body of the largest size is served."""
    async with Bench(SMALL).server as server:
        assert await call(server.port, body=b"x" * 100) == (200, b"x" * 100)


async def test_body_above_the_limit() -> None:
    """A larger body is refused before it is read."""
    async with Bench(SMALL).server as server:
        answer = await raw(server.port, HEAD + b"Content-Length: 101\r\n\r\n")
    assert b"413" in answer.splitlines()[0]
    assert b"nodeCacheCapable" in answer


async def test_chunked_body_above_the_limit() -> None:
    """A body of unknown length is refused once it is too large."""
    async with Bench(SMALL).server as server:
        head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
        answer = await raw(server.port, head, b"65\r\n" + b"x" * 0x65 + b"\r\n")
    assert b"413" in answer.splitlines()[0]


async def test_chunked_body() -> None:
    """A body in chunks is put together."""
    async with Bench(SMALL).server as server:
        head = HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = await raw(server.port, head, b"2\r\nab\r\n", b"1\r\nc\r\n0\r\n\r\n")
    assert answer.endswith(b"\r\n\r\nabc")


async def test_a_body_that_does_not_come() -> None:
    """A caller that announces a body and sends none does not hold its connection for ever."""
    async with Bench(SMALL, limits=Limits(body_s=0.01)).server as server:
        answer = await raw(server.port, HEAD + b"Content-Length: 5\r\n\r\nab")
    assert b"408" in answer.splitlines()[0]


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"POST\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_no_http(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Bytes that are no request are refused and counted, and the server lives on; its log does
    not, as whoever reaches the port could fill it."""
    bench = Bench(SMALL)
    async with bench.server as server:
        assert b"400" in (await raw(server.port, sent)).splitlines()[0]
        assert (await call(server.port))[0] == 200
    assert bench.cut("malformed") == 1
    assert caplog.records == []


async def test_a_turn_that_does_not_come() -> None:
    """A caller whose turn does not come in time is told to try again, and may do so over the same
    connection."""

    class Closed(Turnstile):
        """Others are let in for ever."""

        is_open = False

        async def enter(self, peer: str) -> None:
            await asyncio.get_running_loop().create_future()

    bench = Bench(limits=Limits(body_s=0.01), shared=Shared(turnstile=Closed()))
    async with bench.server as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for _ in range(2):
            writer.write(HEAD + b"Content-Length: 1\r\n\r\nx")
            answer = await reader.readuntil(b"\r\n\r\n")
            assert b"503" in answer.splitlines()[0]
            assert b"Retry-After: 1\r\n" in answer
            await reader.readuntil(b"try again\n")
        writer.close()
        await writer.wait_closed()


async def test_a_caller_that_goes_away() -> None:
    """A connection that breaks in the middle of a body harms nobody."""
    async with Bench(SMALL).server as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(HEAD + b"Content-Length: 5\r\n\r\nab")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert (await call(server.port))[0] == 200


# -- client certificates -------------------------------------------------------------------------

ROUTES = (Route("/webhook", echo), Route("/scheduler/bind", echo, client_certificate=True))


async def test_a_client_certificate_where_it_is_wanted(folder: certificates.Folder) -> None:
    """The extender's paths want the certificate of our CA; the webhook's don't."""
    async with Bench(*ROUTES, tls=Tls(files(folder, client_ca=True))).server as server:
        bare, known = trusting(folder), trusting(folder, showing=folder)
        assert (await call(server.port, "/webhook", tls=bare))[0] == 200
        assert (await call(server.port, "/webhook", tls=known))[0] == 200
        assert (await call(server.port, "/scheduler/bind", tls=known))[0] == 200
        status, said = await call(server.port, "/scheduler/bind", tls=bare)
        assert status == 403
        assert b"certFile" in said


async def test_a_certificate_of_somebody_else(folder: certificates.Folder, tmp_path: Path) -> None:
    """A certificate of another CA is not let in at all."""
    other = await asyncio.to_thread(made, tmp_path / "other")
    bench = Bench(*ROUTES, tls=Tls(files(folder, client_ca=True)))
    async with bench.server as server:
        with pytest.raises((aiohttp.ClientError, ssl.SSLError, OSError)):
            await call(server.port, "/scheduler/bind", tls=trusting(folder, showing=other))
    assert bench.cut("handshake") == 1


async def test_the_servers_own_certificate_is_no_clients(folder: certificates.Folder) -> None:
    """A certificate for serving does not open the extender's paths."""
    context = trusting(folder)
    context.load_cert_chain(folder.server, folder.server_key)
    async with Bench(*ROUTES, tls=Tls(files(folder, client_ca=True))).server as server:
        with pytest.raises((aiohttp.ClientError, ssl.SSLError, OSError)):
            await call(server.port, "/scheduler/bind", tls=context)


@pytest.mark.parametrize("with_tls", [True, False])
def test_a_wanted_certificate_needs_a_ca(folder: certificates.Folder, with_tls: bool) -> None:
    """Paths that could never be reached are a mistake of the settings, told at the start."""
    tls = Tls(files(folder)) if with_tls else None
    with pytest.raises(ConfigError, match=r"server.clientCaFile"):
        Bench(*ROUTES, tls=tls)


# -- changing certificates -----------------------------------------------------------------------


async def serial(port: int, context: ssl.SSLContext) -> str:
    """Serial number of the certificate that the server shows to a new connection."""
    reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
    del reader
    shown = writer.get_extra_info("peercert")["serialNumber"]
    writer.close()
    await writer.wait_closed()
    return str(shown)


async def test_a_new_certificate_is_taken_into_use(tmp_path: Path) -> None:
    """Changed files are used for new connections; those that are open go on."""
    folder = await asyncio.to_thread(made, tmp_path / "tls")
    bench = Bench(tls=Tls(files(folder)))
    async with bench.server as server, aiohttp.ClientSession() as session:
        client = trusting(folder)
        url = f"https://localhost:{server.port}/echo"
        async with session.post(url, data=b"1", ssl=client) as answer:
            assert answer.status == 200
        before = await serial(server.port, client)
        assert await server.reload_certificate() is False

        folder.server.unlink()
        await asyncio.to_thread(made, folder.path)
        assert await serial(server.port, client) == before
        assert await server.reload_certificate() is True
        assert await serial(server.port, client) != before
        async with session.post(url, data=b"2", ssl=client) as answer:
            assert await answer.read() == b"2"
    ends = bench.value("bridge_certificate_not_after_seconds")
    assert ends is not None
    assert ends > 0


async def test_clients_without_a_server_name(tmp_path: Path) -> None:
    """A caller by IP address sends no server name; it gets the new certificate too."""
    folder = await asyncio.to_thread(made, tmp_path / "tls")
    async with Bench(tls=Tls(files(folder))).server as server:
        folder.server.unlink()
        await asyncio.to_thread(made, folder.path)
        await server.reload_certificate()
        context = ssl.create_default_context(cafile=str(folder.ca))
        context.check_hostname = False
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
        shown = writer.get_extra_info("peercert")["serialNumber"]
        writer.close()
        await writer.wait_closed()
        assert shown == await serial(server.port, trusting(folder))


async def test_a_new_client_ca(tmp_path: Path) -> None:
    """With a new client CA the old one's certificates end to open anything."""
    folder = await asyncio.to_thread(made, tmp_path / "tls")
    other = await asyncio.to_thread(made, tmp_path / "other")
    ca = tmp_path / "clients.crt"
    ca.write_bytes(folder.ca.read_bytes())
    tls = Tls(CertificateFiles(folder.server, folder.server_key, ca))
    async with Bench(*ROUTES, tls=tls).server as server:
        old, new = trusting(folder, showing=folder), trusting(folder, showing=other)
        assert (await call(server.port, "/scheduler/bind", tls=old))[0] == 200
        ca.write_bytes(other.ca.read_bytes())
        assert await server.reload_certificate() is True
        assert (await call(server.port, "/scheduler/bind", tls=new))[0] == 200
        with pytest.raises((aiohttp.ClientError, ssl.SSLError, OSError)):
            await call(server.port, "/scheduler/bind", tls=old)


async def test_unusable_files_change_nothing(tmp_path: Path) -> None:
    """Half-written files are counted; the old certificate serves until the new pair is whole."""
    folder = await asyncio.to_thread(made, tmp_path / "tls")
    other = await asyncio.to_thread(made, tmp_path / "other")
    bench = Bench(tls=Tls(files(folder)))
    async with bench.server as server:
        before = await serial(server.port, trusting(folder))
        folder.server.write_bytes(other.server.read_bytes())
        assert await server.reload_certificate() is False
        assert await server.reload_certificate() is False
        assert await serial(server.port, trusting(folder)) == before
        folder.server_key.unlink()
        assert await server.reload_certificate() is False
        folder.server_key.write_bytes(other.server_key.read_bytes())
        assert await server.reload_certificate() is True
        assert await serial(server.port, trusting(other)) != before
    assert bench.value("bridge_certificate_reload_failures_total") == 3


async def test_files_that_hang_change_nothing(tmp_path: Path) -> None:
    """A FIFO is refused, a mount without an answer given up: the old certificate serves on, the
    failures are counted, and good files are taken into use."""
    folder = await asyncio.to_thread(made, tmp_path / "tls")
    other = await asyncio.to_thread(made, tmp_path / "other")
    worker, answers = Worker(), threading.Event()
    bench = Bench(tls=Tls(files(folder), worker=worker))
    async with bench.server as server:
        before = await serial(server.port, trusting(folder))
        folder.server.unlink()
        os.mkfifo(folder.server)
        assert await server.reload_certificate() is False
        folder.server.unlink()
        try:
            with pytest.raises(Unreadable):
                await worker.call(answers.wait, what="its mount", limit_s=0.01)
            assert await server.reload_certificate() is False
        finally:
            answers.set()
        assert await serial(server.port, trusting(folder)) == before
        folder.server.write_bytes(other.server.read_bytes())
        folder.server_key.write_bytes(other.server_key.read_bytes())
        while not await server.reload_certificate():  # noqa: ASYNC110 — a thread ends
            await asyncio.sleep(0)
        assert await serial(server.port, trusting(other)) != before
    told = [str(one["error"]) for one in bench.logged.entries if "error" in one]
    assert "is a FIFO" in told[0]
    assert "hangs" in told[1]
    assert (bench.value("bridge_certificate_reload_failures_total") or 0) >= 2


async def test_no_start_with_a_certificate_that_is_no_file(tmp_path: Path) -> None:
    """The start ends with the path and what is there; it does not wait."""
    folder = await asyncio.to_thread(made, tmp_path / "tls")
    folder.server.unlink()
    os.mkfifo(folder.server)
    with pytest.raises(ConfigError, match=r"tls\.crt is a FIFO"):
        await Bench(tls=Tls(files(folder))).server.start()


async def test_a_key_with_a_password_is_refused(tmp_path: Path) -> None:
    """OpenSSL would ask for it on the terminal, and wait."""
    folder = await asyncio.to_thread(made, tmp_path / "tls")
    key = serialization.load_pem_private_key(folder.server_key.read_bytes(), password=None)
    folder.server_key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(ConfigError, match="without a password"):
        await Bench(tls=Tls(files(folder))).server.start()


class SteppingClock:
    """A clock whose sleeps end at once, so many times."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.slept_s: list[float] = []

    def monotonic(self) -> float:
        return 0.0

    def time(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        if not self.left:
            raise asyncio.CancelledError
        self.left -= 1


async def test_the_watch_looks_again_and_again(tmp_path: Path) -> None:
    """The certificate is looked at every ten seconds until the task is cancelled."""
    folder = await asyncio.to_thread(made, tmp_path / "tls")
    clock = SteppingClock(3)
    async with Bench(tls=Tls(files(folder)), clock=clock).server as server:
        with pytest.raises(asyncio.CancelledError):
            await server.watch_certificate()
    assert clock.slept_s == [10.0] * 4


@pytest.mark.parametrize("missing", ["tls.crt", "tls.key"])
async def test_no_start_without_a_certificate(tmp_path: Path, missing: str) -> None:
    """A missing file stops the start with its path."""
    folder = await asyncio.to_thread(made, tmp_path / "tls")
    (folder.path / missing).unlink()
    with pytest.raises(ConfigError, match="can't use the certificate"):
        await Bench(tls=Tls(files(folder))).server.start()


# -- stopping ------------------------------------------------------------------------------------


async def test_ready_from_start_to_stop() -> None:
    """Not ready before it listens, nor from the moment it is told to stop."""
    server = Bench().server
    assert server.not_ready() == "not started"
    await server.start()
    assert server.not_ready() == ""
    await server.stop()
    assert server.not_ready() == "stopping"


async def test_draining_answers_and_sends_callers_away() -> None:
    """While Services still send callers they are answered, and asked to reconnect."""

    class Draining:
        """Calls the server while it drains."""

        answer: tuple[int, str | None] | None = None

        def monotonic(self) -> float:
            return 0.0

        def time(self) -> float:
            return 0.0

        async def sleep(self, seconds: float) -> None:
            assert seconds == 5.0
            assert server.not_ready() == "stopping"
            url = f"http://127.0.0.1:{server.port}/echo"
            async with aiohttp.ClientSession() as session, session.post(url) as answer:
                self.answer = answer.status, answer.headers.get("Connection")

    clock = Draining()
    server = Bench(clock=clock).server
    await server.start()
    await server.stop(drain_s=5.0)
    assert clock.answer == (200, "close")


async def test_what_is_in_flight_is_finished() -> None:
    """A call that is being answered when the server stops gets its answer; a new one none."""
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow(body: bytes) -> tuple[int, bytes]:
        entered.set()
        await go_on.wait()
        return 200, body

    bench = Bench(Route("/echo", slow))
    await bench.server.start()
    port = bench.server.port
    pending = asyncio.ensure_future(call(port, body=b"mine"))
    await entered.wait()
    assert bench.value("bridge_served_in_flight") == 1
    stopping = asyncio.ensure_future(bench.server.stop())
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionError:
            break
        writer.close()
        await writer.wait_closed()
    assert not stopping.done()
    go_on.set()
    assert await pending == (200, b"mine")
    await stopping
    assert bench.value("bridge_served_in_flight") == 0


async def test_a_call_that_never_ends_does_not_stop_the_stop() -> None:
    """What is in flight has a time limit."""
    entered = asyncio.Event()

    async def stuck(body: bytes) -> tuple[int, bytes]:
        entered.set()
        await asyncio.Event().wait()
        return 200, body

    bench = Bench(Route("/echo", stuck), shutdown_timeout_s=0.01)
    await bench.server.start()
    pending = asyncio.ensure_future(call(bench.server.port))
    await entered.wait()
    await bench.server.stop()
    with pytest.raises(aiohttp.ClientError):
        await pending


async def test_idle_connections_do_not_delay_the_stop() -> None:
    """A caller that keeps an idle connection is no reason to wait."""
    bench = Bench()
    await bench.server.start()
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{bench.server.port}/echo"
        async with session.post(url) as answer:
            await answer.read()
        async with asyncio.timeout(5):
            await bench.server.stop()


async def test_stopping_twice() -> None:
    """Stopping what is stopped, or was never started, does nothing."""
    server = Bench().server
    await server.stop()
    await server.stop()


async def test_a_taken_port() -> None:
    """A port that is taken stops the start."""
    async with Bench().server as first:
        taken = addresses.Address("127.0.0.1", first.port)
        with pytest.raises(ConfigError, match="can't listen"):
            await Bench(address=taken).server.start()
