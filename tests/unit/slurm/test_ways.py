"""The ways to a slurmrestd: Unix sockets, TLS with one's own CA, a named proxy."""

import asyncio
import gzip
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bridge.errors import BadInput
from bridge.slurm import MalformedAnswer, SlurmClient, Tls, TokenSource, Unavailable

from .clocks import ImpatientClock

_PINGS = b'{"pings": [{"hostname": "h", "responding": true}], "errors": [], "warnings": []}'


def _client(endpoint: str, *, tls: Tls | None = None, proxy: str = "") -> SlurmClient:
    return SlurmClient(
        endpoints=[endpoint],
        token=TokenSource.fixed(""),
        clock=ImpatientClock(),
        timeout_s=5,
        tls=tls,
        proxy=proxy,
    )


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Answers every request with the same, and keeps the first lines."""

    def __init__(self, body: bytes = _PINGS, kind: str = "application/json") -> None:
        self.asked: list[str] = []
        self._body, self._kind = body, kind

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(head.split(b"\r\n")[0].decode())
            said = f"HTTP/1.1 200 OK\r\nContent-Type: {self._kind}\r\nConnection: close\r\n"
            writer.write(f"{said}Content-Length: {len(self._body)}\r\n\r\n".encode() + self._body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def _listening(server: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    listener = await asyncio.start_server(server, "127.0.0.1", 0, ssl=context)
    async with listener:
        yield listener.sockets[0].getsockname()[1]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A CA of one's own, which is the server's certificate too."""
    folder = tmp_path_factory.mktemp("pki")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "slurmrestd")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "ca.crt", folder / "ca.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    return pem, context


async def test_a_unix_socket(tmp_path: Path) -> None:
    """slurmrestd that listens on a file is asked through it; one that isn't there is away."""
    server = Server()
    path = tmp_path / "rest.sock"
    listener = await asyncio.start_unix_server(server, str(path))
    async with listener, _client(f"unix://{path}") as client:
        await client.ping()
    assert server.asked[-1] == "GET /slurm/v0.0.45/ping/ HTTP/1.1"
    async with _client(f"unix://{tmp_path}/nobody.sock") as client:
        with pytest.raises(Unavailable, match=r"nobody\.sock"):
            await client.ping()


async def test_ones_own_authority(authority: tuple[Path, ssl.SSLContext]) -> None:
    """Trusted when named; otherwise nothing is sent, and that is said."""
    pem, context = authority
    server = Server()
    async with _listening(server, context) as port:
        tls = Tls(ca_file=str(pem))  # read when the client is made
        made = await asyncio.to_thread(_client, f"https://127.0.0.1:{port}", tls=tls)
        async with made as client:
            await client.ping()
        asked = len(server.asked)
        async with _client(f"https://127.0.0.1:{port}") as client:
            with pytest.raises(Unavailable, match=r"(?i)certificate"):
                await client.ping()
        assert len(server.asked) == asked


async def test_a_named_proxy_is_used() -> None:
    """The request goes to it, with the whole address; its error page is named as a web page."""
    proxy = Server(b"<html><title>Access denied</title></html>", "text/html")
    async with (
        _listening(proxy) as port,
        _client("http://slurm.example:6820", proxy=f"http://127.0.0.1:{port}") as client,
    ):
        with pytest.raises(MalformedAnswer, match="web page titled 'Access denied'"):
            await client.ping()
    assert proxy.asked[0].startswith("GET http://slurm.example:6820/slurm/")


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [
        ("slurm:6820", ""),
        ("ftp://slurm", ""),
        ("unix://relative", ""),
        ("http://", ""),
        ("http://slurm:6820?x=1", ""),
        ("http://slurm:abc", "abc"),
        ("http://slurm:99999", "range"),
        ("http://[::1", "IPv6"),
        ("http://:6820", "missing"),
        ("http://slurm:6820/slurm/v0.0.45", "path is the client's"),
        ("http://slurm:6820/openapi", "path is the client's"),
    ],
)
def test_what_is_no_endpoint_is_refused(endpoint: str, why: str) -> None:
    """With what is wrong, and how to write one."""
    with pytest.raises(BadInput, match=r"unix:///run") as caught:
        _client(endpoint)
    assert why in str(caught.value)


def test_an_endpoint_may_lie_below_a_path() -> None:
    """Of a gateway that hands on to slurmrestd."""
    _client("https://gateway.example/clusters/a/")


@pytest.mark.parametrize("proxy", ["nonsense", "ftp://x", "http://x:abc", "socks5://x:1"])
def test_what_is_no_proxy_is_refused(proxy: str) -> None:
    """When the client is made, not at its first request."""
    with pytest.raises(BadInput, match="http://proxy:3128"):
        _client("http://slurm:6820", proxy=proxy)


@pytest.mark.parametrize("word", ["jörg", "a b", "a\nX-Evil: 1", "\x00"])
def test_what_no_header_can_hold_is_refused(word: str) -> None:
    """As a user's name and as a token; neither can carry a second header."""
    with pytest.raises(BadInput, match="user"):
        SlurmClient(endpoints=["http://slurm"], token=TokenSource.fixed(""), user=word)
    with pytest.raises(BadInput, match="scontrol token"):
        TokenSource.fixed(word)


async def test_http_and_https_confused_is_told() -> None:
    """A slurmrestd without TLS, asked with it, as slurmrestd usually is."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with _listening(plain) as port, _client(f"https://127.0.0.1:{port}") as client:
        with pytest.raises(Unavailable, match="write http://"):
            await client.ping()


async def test_a_packed_answer_is_not_unpacked() -> None:
    """It wasn't asked for, and a few bytes could become gigabytes."""
    server = Server(gzip.compress(_PINGS), "application/json\r\nContent-Encoding: gzip")
    async with _listening(server) as port, _client(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(MalformedAnswer, match="packed"):
            await client.ping()


def test_files_of_tls_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    """Missing, no certificate, or no file."""
    os.mkfifo(tmp_path / "fifo.crt")
    for path in (tmp_path / "none.crt", Path(__file__), tmp_path / "fifo.crt"):
        with pytest.raises(BadInput, match=path.name):
            _client("https://slurm", tls=Tls(ca_file=str(path)))
