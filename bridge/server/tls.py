"""The server's certificate, read again when its files change.

cert-manager and our own `certificates` replace the files while we run; a process that only reads
them at its start works for months and then stops all pod creation at once. The files are compared
by content: a mounted Secret changes by a symlink, which leaves times and sizes as they like.
"""

import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from bridge.errors import ConfigError


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files: the chain, its key, and the CA whose client certificates are accepted (None:
    no client is asked for one)."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def digest(self) -> bytes:
        """Of all contents. Raises OSError when one can't be read."""
        paths = (self.certificate, self.key, self.client_ca)
        content = hashlib.sha256()
        for path in paths:
            content.update(hashlib.sha256(path.read_bytes() if path else b"").digest())
        return content.digest()


class Tls:
    """The context that listeners use, and the reload of what is inside it.

    A listener keeps the context that it was opened with, so that one never changes: each
    handshake is handed on to the newest one by its server-name callback (which OpenSSL calls for
    clients without a server name too). Sessions are not resumed: a resumed one would skip the
    check of the client's certificate. Reading blocks: call `load` and `reload` in a thread.
    """

    def __init__(self, files: CertificateFiles) -> None:
        self._files = files
        self._digest = b""
        self._newest: ssl.SSLContext | None = None
        self.not_after_s = 0.0
        """End of the certificate in use, in seconds since the epoch."""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    @property
    def asks_for_client_certificate(self) -> bool:
        return self._files.client_ca is not None

    def load(self) -> None:
        """The first read. Raises ConfigError when the files can't be used."""
        self.context = self._read()
        self.context.sni_callback = self._hand_on

    def reload(self) -> bool:
        """Whether something new is in use now. Raises ConfigError when the new files can't be
        used (half written, key of another certificate); the old ones stay in use then."""
        try:
            if self._files.digest() == self._digest:
                return False
        except OSError as error:
            raise self._unusable(error) from error
        self._read()
        return True

    def _read(self) -> ssl.SSLContext:
        files = self._files
        try:
            digest = files.digest()
            context = _context(files)
            leaf = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise self._unusable(error) from error
        self._digest, self._newest = digest, context
        self.not_after_s = leaf.not_valid_after_utc.timestamp()
        return context

    def _hand_on(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, old: ssl.SSLContext
    ) -> None:
        if self._newest is not None and self._newest is not old:
            connection.context = self._newest

    def _unusable(self, error: Exception) -> ConfigError:
        files = self._files
        also = f" and {files.client_ca}" if files.client_ca else ""
        return ConfigError(
            f"can't use the certificate {files.certificate} with the key {files.key}{also}: "
            f"{error}; all must be PEM, and the key the certificate's own"
        )


def _context(files: CertificateFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files.certificate, files.key)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    if files.client_ca is not None:
        context.load_verify_locations(files.client_ca)
        # Optional: the API server has none to show; a route that wants one checks for it.
        context.verify_mode = ssl.CERT_OPTIONAL
    return context
