"""gRPC with mutual TLS: the server of one process, and channels of others to it.

Both sides show certificates of one CA. Files are read again by `reload`, and for each new channel,
so that certificates may change while connections stay.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

from bridge import files
from bridge.errors import ConfigError, Unreadable

_OPTIONS = [
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A chain and its key, and the CA that must have signed the other side's, from the PEM files of
    a folder. A caller shows client.crt, if there is one; else both sides show tls.crt."""

    folder: Path
    is_caller: bool

    def read(self) -> tuple[bytes, bytes, bytes]:
        """The contents. Blocks. Raises ConfigError."""
        name = "client" if self.is_caller and (self.folder / "client.crt").exists() else "tls"
        try:
            chain, key, ca = (
                files.read(self.folder / file) for file in (f"{name}.crt", f"{name}.key", "ca.crt")
            )
        except Unreadable as error:
            raise ConfigError(f"TLS between the bridge's processes: {error}") from error
        return chain, key, ca


class RpcServer:
    """A gRPC server for callers with a certificate of the CA; `add` services, then start."""

    def __init__(self, *, host: str, port: int, certificate: Certificate) -> None:
        self.server = grpc.aio.server(options=_OPTIONS)
        self._host = host
        self._wanted_port = port
        self._certificate = certificate
        self._contents = (b"", b"", b"")
        self._worker = files.Worker()
        self.port = 0
        """The port it listens on, once started."""

    async def start(self) -> None:
        """Listen. Raises ConfigError if the address or the certificate can't be used."""
        self._contents = await self._read()
        credentials = grpc.dynamic_ssl_server_credentials(
            self._configuration(), self._configuration, require_client_authentication=True
        )
        address = f"{self._host}:{self._wanted_port}"
        try:
            self.port = self.server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise ConfigError(
                f"can't listen on {address} for the bridge's own processes (rpc.listen): {error}"
            ) from error
        await self.server.start()

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        """For each handshake, from memory."""
        chain, key, ca = self._contents
        return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=ca)

    async def reload(self) -> None:
        """Read the files again; what can't be read leaves the last certificate in use."""
        with contextlib.suppress(ConfigError, Unreadable):
            self._contents = await self._read()

    async def _read(self) -> tuple[bytes, bytes, bytes]:
        return await self._worker.call(
            self._certificate.read, what=f"certificates in {self._certificate.folder}"
        )

    async def stop(self) -> None:
        """End all calls and stop listening."""
        await self.server.stop(grace=None)


async def dial(address: str, *, certificate: Certificate, server_name: str) -> grpc.aio.Channel:
    """A channel to HOST:PORT, whose certificate must be for `server_name`. Raises ConfigError and
    Unreadable."""
    what = f"certificates in {certificate.folder}"
    chain, key, ca = await files.Worker().call(certificate.read, what=what)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=ca, private_key=key, certificate_chain=chain
    )
    options = [*_OPTIONS, ("grpc.ssl_target_name_override", server_name)]
    return grpc.aio.secure_channel(address, credentials, options=options)
