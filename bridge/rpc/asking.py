"""A caller's way to the controller that leads: a Kubernetes token over TLS."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias, TypeVar

import grpc
import grpc.aio

from bridge.errors import BridgeError, Unreachable
from bridge.rpc.bridge_service import LEADER
from bridge.rpc.slurmbridge.v1 import bridge_pb2_grpc as pb_grpc

_LIMIT_S: Final = 30.0
_OPTIONS: Final = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", 256 << 20),
)
T = TypeVar("T")
Stub: TypeAlias = Any
"""A BridgeServiceStub: its generated class has other types for synchronous calls."""


class Refused(BridgeError):
    """The bridge has answered, and will not tell; the message is the bridge's."""


class NoAnswer(Unreachable):
    """No controller that leads could be asked."""


class Asking:
    """Asks the controller at `server` (HOST:PORT). `ca` is PEM, b"" for the system's authorities;
    `server_name` is for what its certificate must be, "" for the host of `server`."""

    def __init__(self, *, server: str, ca: bytes, server_name: str, token: str) -> None:
        self._server = server
        self._ca = ca
        self._server_name = server_name or server.rpartition(":")[0].strip("[]")
        self._metadata = (("authorization", f"Bearer {token}"),)

    async def ask(self, question: Callable[..., Awaitable[T]], request: Any) -> T:
        """The answer to one request; `question` takes a stub, the request, and what belongs to
        the call. A controller that does not lead says who does, and that one is asked next.

        Raises Refused and NoAnswer.
        """
        try:
            return await self._ask_at(self._server, question, request)
        except grpc.aio.AioRpcError as error:
            leader = _leader(error)
            if not leader:
                raise self._problem(error, self._server) from None
            first = error
        try:
            return await self._ask_at(leader, question, request)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise self._problem(error, leader) from None
            raise NoAnswer(
                f"{self._server}: {first.details()}, which can't be reached from here "
                f"({error.details()})"
            ) from None

    async def _ask_at(self, address: str, question: Callable[..., Awaitable[T]], request: Any) -> T:
        async with self._stub(address) as stub:
            return await question(stub, request, metadata=self._metadata, timeout=_LIMIT_S)

    @asynccontextmanager
    async def _stub(self, address: str) -> AsyncIterator[Stub]:
        credentials = grpc.ssl_channel_credentials(root_certificates=self._ca or None)
        options = [*_OPTIONS, ("grpc.ssl_target_name_override", self._server_name)]
        async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
            yield pb_grpc.BridgeServiceStub(channel)

    def _problem(self, error: grpc.aio.AioRpcError, address: str) -> BridgeError:
        said = error.details() or error.code().name
        match error.code():
            case grpc.StatusCode.UNAVAILABLE:
                advice = ""
                if "ertificate" in said or "SSL" in said or "handshake" in said.lower():
                    advice = "; compare --ca and --server-name with the bridge's certificate"
                return NoAnswer(f"asking slurm-bridge at {address}: {said}{advice}")
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return NoAnswer(f"asking slurm-bridge at {address}: no answer in {_LIMIT_S:g} s")
            case grpc.StatusCode.UNIMPLEMENTED:
                return Refused(f"slurm-bridge at {address} does not know this question: {said}")
            case _:
                return Refused(said)


def _leader(error: grpc.aio.AioRpcError) -> str:
    if error.code() is not grpc.StatusCode.UNAVAILABLE:
        return ""
    found = [value for key, value in error.trailing_metadata() or () if key == LEADER]
    return str(found[0]) if found else ""
