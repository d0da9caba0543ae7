"""What a start finds: who the bridge is to the API server, Slurm with its token, certificates."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.app import connections
from bridge.app.connections import Connections
from bridge.clock import SystemClock
from bridge.errors import ConfigError, Unreachable
from bridge.server import certificates
from tests.unit.app.surroundings import REVIEWS, surroundings, told
from tests.unit.kube.apiserver import Answer, ApiServer, connected, ok, refuse


async def test_name(tmp_path: Path) -> None:
    """The name is the one of the API server's answer."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("POST", REVIEWS, ok(told({"username": "system:serviceaccount:a:b"})))
        assert await connections.username(client) == "system:serviceaccount:a:b"


@pytest.mark.parametrize(
    "answer",
    [
        refuse(403, "Forbidden"),
        refuse(404, "NotFound"),
        ok(told({"username": ""})),
        ok(told({"username": None})),
        ok(told(None)),
        ok({}),
    ],
)
async def test_not_told(tmp_path: Path, answer: Answer) -> None:
    """A bridge without a name would hold nobody off its marks, so it does not start."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("POST", REVIEWS, answer)
        with pytest.raises(ConfigError, match="who the bridge is"):
            await connections.username(client)


async def test_not_answered(tmp_path: Path) -> None:
    """An API server that is away for the moment is asked again, and never taken for a no."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        for _ in range(20):
            server.on("POST", REVIEWS, refuse(503, "ServiceUnavailable"))
        with pytest.raises(Unreachable):
            await connections.username(client)


@asynccontextmanager
async def reached(folder: Path, **sections: Any) -> AsyncIterator[Connections]:
    """The connections of a bridge with these settings."""
    async with surroundings(folder, **sections) as settings:
        found = await connections.connect(settings, clock=SystemClock())
        try:
            yield found
        finally:
            await found.client.close()
            await found.kube.close()


class Socket:
    """A slurmrestd on a Unix socket that says yes to everybody, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.decode().lower())
        body = b'{"pings": [{"hostname": "h", "responding": true}], "errors": [], "warnings": []}'
        said = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        writer.write(f"{said}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


async def test_no_token_on_a_socket(tmp_path: Path) -> None:
    """A slurmrestd on a Unix socket is asked without a token when no token file is named."""
    socket = Socket()
    listener = await asyncio.start_unix_server(socket, str(tmp_path / "rest.sock"))
    endpoint = f"unix://{tmp_path}/rest.sock"
    async with listener, reached(tmp_path, slurm={"endpoints": [endpoint]}) as found:
        await found.client.ping()
    assert socket.asked
    assert not [head for head in socket.asked if "x-slurm-user-token" in head]


async def test_token_on_a_socket(tmp_path: Path) -> None:
    """A token file that is named is used on a Unix socket too."""
    socket = Socket()
    (tmp_path / "token").write_text("the-token")
    listener = await asyncio.start_unix_server(socket, str(tmp_path / "rest.sock"))
    slurm = {"endpoints": [f"unix://{tmp_path}/rest.sock"], "tokenFile": str(tmp_path / "token")}
    async with listener, reached(tmp_path, slurm=slurm) as found:
        await found.client.ping()
    assert all("x-slurm-user-token: the-token" in head for head in socket.asked)


async def test_no_token_over_tcp(tmp_path: Path) -> None:
    """A slurmrestd at a URL never lets anybody in without a token, so the bridge does not start."""
    slurm = {"endpoints": [f"unix://{tmp_path}/rest.sock", "http://slurm:6820"]}
    with pytest.raises(ConfigError, match=r"http://slurm:6820 .*slurm\.tokenFile"):
        async with reached(tmp_path, slurm=slurm):
            pass


async def test_wrong_certificate_authority(tmp_path: Path) -> None:
    """A CA of slurmrestd that can't be used is a mistake in the settings."""
    slurm = {"endpoints": ["https://slurm:6820"], "caFile": str(tmp_path / "none.crt")}
    (tmp_path / "token").write_text("the-token")
    with pytest.raises(ConfigError, match=r"none\.crt"):
        async with reached(tmp_path, slurm={**slurm, "tokenFile": str(tmp_path / "token")}):
            pass


def ready_made(folder: Path, *, authority: bool = True) -> Path:
    """A folder as cert-manager's Secret is mounted, with ca.crt or without."""
    made = certificates.Folder(folder.with_suffix(".made"))
    certificates.ensure(made, hosts=["localhost"], now_s=time.time())
    folder.mkdir()
    for file in (made.server, made.server_key, *([made.ca] if authority else ())):
        shutil.copy(file, folder)
    return folder


SLURM = {"endpoints": ["unix:///nowhere.sock"]}


@pytest.mark.parametrize("given", [True, False])
async def test_own_certificates(tmp_path: Path, given: bool) -> None:
    """The CA that the bridge makes is the one whose client certificates call the extender."""
    server = {"certificateDir": str(tmp_path / "tls")} if given else {}
    async with reached(tmp_path, slurm=SLURM, server=server) as found:
        folder = found.files.certificate.parent
        assert (folder == tmp_path / "tls") is given
        assert found.files.client_ca == folder / "ca.crt"
        assert (folder / "client.crt").exists()


async def test_ready_made_certificates(tmp_path: Path) -> None:
    """With ready-made certificates it is their ca.crt, unless another CA is named."""
    tls = await asyncio.to_thread(ready_made, tmp_path / "tls")
    server = {"certificateDir": str(tls)}
    async with reached(tmp_path, slurm=SLURM, server=server) as found:
        assert found.files.certificate == tls / "tls.crt"
        assert found.files.client_ca == tls / "ca.crt"
    server["clientCaFile"] = str(tmp_path / "clients.crt")
    async with reached(tmp_path, slurm=SLURM, server=server) as found:
        assert found.files.client_ca == tmp_path / "clients.crt"


async def test_no_authority_for_clients(tmp_path: Path) -> None:
    """Where no CA tells who may call the extender, the bridge does not start."""
    tls = await asyncio.to_thread(ready_made, tmp_path / "tls", authority=False)
    with pytest.raises(ConfigError, match=r"ca\.crt.*server\.clientCaFile"):
        async with reached(tmp_path, slurm=SLURM, server={"certificateDir": str(tls)}):
            pass
