"""The server's certificate, read again when its files change.

cert-manager and our own `certificates` replace the files while we run; a process that only reads
them at its start works for months and then stops all pod creation at once. The files are compared
by content: a mounted Secret changes by a symlink, which leaves times and sizes as they like.
"""

import contextlib
import ssl
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cryptography import x509

from bridge import files
from bridge.errors import ConfigError, Unreadable


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files: the chain, its key, and the CA whose client certificates are accepted (None:
    no client is asked for one)."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def __str__(self) -> str:
        also = f" and {self.client_ca}" if self.client_ca else ""
        return f"the certificate {self.certificate} with the key {self.key}{also}"


@dataclass(frozen=True, slots=True)
class _Contents:
    """Of those files."""

    certificate: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None


@dataclass(frozen=True, slots=True)
class _Loaded:
    """Contents that can be used."""

    contents: _Contents = field(repr=False)
    context: ssl.SSLContext
    not_after_s: float


class Tls:
    """The context that listeners use, and the reload of what is inside it.

    A listener keeps the context that it was opened with, so that one never changes: each
    handshake is handed on to the newest one by its server-name callback (which OpenSSL calls for
    clients without a server name too). Sessions are not resumed: a resumed one would skip the
    check of the client's certificate.
    """

    def __init__(
        self, certificate: CertificateFiles, *, worker: files.Worker | None = None
    ) -> None:
        self._files = certificate
        self._worker = worker or files.Worker()
        self._loaded: _Loaded | None = None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    @property
    def not_after_s(self) -> float:
        """End of the certificate in use, in seconds since the epoch; 0 before the first load."""
        return 0.0 if self._loaded is None else self._loaded.not_after_s

    @property
    def asks_for_client_certificate(self) -> bool:
        return self._files.client_ca is not None

    async def load(self) -> None:
        """The first read. Raises ConfigError when the files can't be used."""
        await self.reload()
        assert self._loaded is not None
        self.context = self._loaded.context
        self.context.sni_callback = self._hand_on

    async def reload(self) -> bool:
        """Whether something new is in use now. Raises ConfigError when the files can't be read,
        or can't be used (half written, key of another certificate); the old ones stay in use
        then."""
        before = self._loaded.contents if self._loaded is not None else None
        try:
            loaded = await self._worker.call(
                partial(_load, self._files, unless=before), what=str(self._files)
            )
        except (OSError, ValueError, Unreadable) as error:  # ssl.SSLError is an OSError
            raise ConfigError(
                f"can't use {self._files}: {error}; all must be PEM, and the key the "
                "certificate's own, without a password"
            ) from error
        if loaded is None:
            return False
        self._loaded = loaded
        return True

    def _hand_on(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, old: ssl.SSLContext
    ) -> None:
        if self._loaded is not None and self._loaded.context is not old:
            connection.context = self._loaded.context


def _load(paths: CertificateFiles, *, unless: _Contents | None) -> _Loaded | None:
    """What the files hold now; None when that is `unless`. Blocks."""
    contents = _Contents(
        certificate=files.read(paths.certificate),
        key=files.read(paths.key),
        client_ca=files.read(paths.client_ca) if paths.client_ca else None,
    )
    if contents == unless:
        return None
    leaf = x509.load_pem_x509_certificate(contents.certificate)
    return _Loaded(contents, _context(contents), leaf.not_valid_after_utc.timestamp())


def _context(contents: _Contents) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with contextlib.ExitStack() as kept:
        certificate = kept.enter_context(files.in_memory(contents.certificate))
        key = kept.enter_context(files.in_memory(contents.key))
        # A key with a password would be asked about on the terminal.
        context.load_cert_chain(certificate, key, password="")
        if contents.client_ca is not None:
            client_ca = kept.enter_context(files.in_memory(contents.client_ca))
            context.load_verify_locations(client_ca)
            # Optional: the API server has none to show; a route that wants one checks for it.
            context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    return context
