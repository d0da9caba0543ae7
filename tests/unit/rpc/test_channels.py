"""Only processes with a certificate of the same CA reach each other."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from bridge.errors import ConfigError
from bridge.rpc.channels import Certificate, RpcServer, dial
from bridge.rpc.slurmbridge.v1 import placements_pb2 as pb
from bridge.rpc.slurmbridge.v1 import placements_pb2_grpc as pb_grpc
from bridge.server import certificates
from tests.unit.rpc import grpc_tasks


class Service(pb_grpc.PlacementsServiceServicer):
    """Answers each request with an empty list."""

    async def Follow(  # noqa: N802 - the name in the proto file
        self, request_iterator: AsyncIterator[pb.FollowRequest], context: Any
    ) -> AsyncIterator[pb.FollowResponse]:
        async for _ in request_iterator:
            yield pb.FollowResponse(changes=pb.Changes(is_whole=True))


async def a_folder(path: Path) -> Path:
    made = certificates.Folder(path)
    names = certificates.service_hosts("slurm-bridge", "slurm-bridge")
    await asyncio.to_thread(certificates.ensure, made, hosts=names, now_s=time.time())
    return path


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[RpcServer]:
    server = RpcServer(address="127.0.0.1:0", certificate=Certificate(folder, is_caller=False))
    add: Any = pb_grpc.add_PlacementsServiceServicer_to_server
    add(Service(), server.server)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
        await grpc_tasks.ended()


async def answered(
    port: int, folder: Path, *, server_name: str = "slurm-bridge.slurm-bridge.svc"
) -> bool:
    """Whether the server takes the caller, and the caller the server."""
    channel = await dial(
        f"127.0.0.1:{port}",
        certificate=Certificate(folder, is_caller=True),
        server_name=server_name,
    )
    call = pb_grpc.PlacementsServiceStub(channel).Follow()
    try:
        async with asyncio.timeout(20):
            await call.write(pb.FollowRequest())
            return isinstance(await call.read(), pb.FollowResponse)
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        return False
    finally:
        call.cancel()
        await channel.close()


async def test_who_may_call(tmp_path: Path) -> None:
    """Nobody with another CA's certificate, nor one who expects another server."""
    ours, theirs = await a_folder(tmp_path / "ours"), await a_folder(tmp_path / "theirs")
    mixed = tmp_path / "mixed"
    await asyncio.to_thread(shutil.copytree, theirs, mixed)
    await asyncio.to_thread(shutil.copy, ours / "ca.crt", mixed / "ca.crt")
    async with serving(ours) as server:
        assert await answered(server.port, ours)
        assert not await answered(server.port, theirs), "it trusts another CA"
        assert not await answered(server.port, mixed), "its certificate is of another CA"
        assert not await answered(server.port, ours, server_name="example.com")


async def test_a_new_certificate_is_used_for_new_connections(tmp_path: Path) -> None:
    """Once it was read again; one that can't be read leaves the last one in use."""
    ours, new = await a_folder(tmp_path / "ours"), await a_folder(tmp_path / "new")
    async with serving(ours) as server:
        for name in ("tls.crt", "tls.key", "ca.crt"):
            await asyncio.to_thread(shutil.copy, new / name, ours / name)
        await server.reload()
        assert await answered(server.port, new)
        await asyncio.to_thread((ours / "tls.crt").unlink)
        await server.reload()
        assert await answered(server.port, new)


async def test_without_a_certificate_it_does_not_start(tmp_path: Path) -> None:
    """And says which file it misses."""
    server = RpcServer(address="127.0.0.1:0", certificate=Certificate(tmp_path, is_caller=False))
    with pytest.raises(ConfigError, match=r"tls\.crt"):
        await server.start()
    await server.stop()
