"""gRPC with TLS: the server of one process, and channels of others to it.

Between the bridge's processes both sides show certificates of one CA. Where people ask, only the
server shows one. Files are read again by `reload`, and for each new channel,
so that certificates may change while connections stay.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

from bridge import files
from bridge.clock import Clock
from bridge.errors import ConfigError, Unreadable
from bridge.lifespan import Lifespan

_OPTIONS = [
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
]
_ALONE = ("grpc.so_reuseport", 0)
"""Two processes on one port would each get some of the calls."""
_RELOAD_S = 10.0


@dataclass(frozen=True, slots=True)
class Certificate:
    """A chain and its key, and the CA that must have signed the other side's, from the PEM files of
    a folder. A caller shows client.crt, if there is one; else both sides show tls.crt."""

    folder: Path
    is_caller: bool
    is_mutual: bool = True
    """Without, the CA is not read: callers need no certificate."""

    def read(self) -> tuple[bytes, bytes, bytes]:
        """The contents. Blocks. Raises ConfigError."""
        name = "client" if self.is_caller and (self.folder / "client.crt").exists() else "tls"
        try:
            chain = files.read(self.folder / f"{name}.crt")
            key = files.read(self.folder / f"{name}.key")
            ca = files.read(self.folder / "ca.crt") if self.is_mutual else b""
        except Unreadable as error:
            raise ConfigError(f"TLS of the bridge's gRPC server: {error}") from error
        return chain, key, ca


class RpcServer(Lifespan):
    """A gRPC server for callers with a certificate of the CA, or, if the certificate is not mutual,
    for everybody; add services to `server`, then start. `address` is HOST:PORT; `setting` names
    it."""

    def __init__(
        self,
        *,
        address: str,
        certificate: Certificate,
        setting: str = "rpc.listen",
        options: Sequence[tuple[str, int]] = (),
        most_calls: int | None = None,
    ) -> None:
        self.server = grpc.aio.server(
            options=[*_OPTIONS, _ALONE, *options], maximum_concurrent_rpcs=most_calls
        )
        self._setting = setting
        self._address = address
        self._certificate = certificate
        self._contents = (b"", b"", b"")
        self._worker = files.Worker()
        self.port = 0
        """The port it listens on, once started."""

    async def start(self) -> None:
        """Listen. Raises ConfigError if the address or the certificate can't be used."""
        self._contents = await self._read()
        credentials = grpc.dynamic_ssl_server_credentials(
            self._configuration(),
            self._configuration,
            require_client_authentication=self._certificate.is_mutual,
        )
        try:
            self.port = self.server.add_secure_port(self._address, credentials)
        except RuntimeError as error:
            raise ConfigError(
                f"can't listen on {self._address} ({self._setting}): {error}"
            ) from error
        await self.server.start()

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        """For each handshake, from memory."""
        chain, key, ca = self._contents
        return grpc.ssl_server_certificate_configuration(
            [(key, chain)], root_certificates=ca or None
        )

    async def watch_certificate(self, clock: Clock) -> None:
        """Read the files again now and then, until cancelled."""
        while True:
            await clock.sleep(_RELOAD_S)
            await self.reload()

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
