"""Certificates made by ourselves, where nobody else makes them (demo, tests, small clusters).

A CA of our own signs two: the server's, and kube-scheduler's for calling the extender. They lie in
one folder, readable by us alone, and are made anew well before they end; `tls` takes the new ones
into use. In a cluster with cert-manager this module is not used.

Everything here blocks (files, keys): call it in a thread.
"""

import contextlib
import fcntl
import ipaddress
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bridge import files
from bridge.errors import ConfigError, Unreadable

CA_DAYS: Final = 3650
SERVER_DAYS: Final = 365
CLIENT_DAYS: Final = 1825
"""Long: kube-scheduler reads its certificate once, at its start."""
_SKEW: Final = timedelta(hours=1)
"""Certificates begin this much in the past, for callers whose clock is behind."""


@dataclass(frozen=True, slots=True)
class Folder:
    """Where the files are. `ca` may hold two certificates while the CA changes."""

    path: Path

    @property
    def ca(self) -> Path:
        return self.path / "ca.crt"

    @property
    def ca_key(self) -> Path:
        return self.path / "ca.key"

    @property
    def server(self) -> Path:
        return self.path / "tls.crt"

    @property
    def server_key(self) -> Path:
        return self.path / "tls.key"

    @property
    def client(self) -> Path:
        return self.path / "client.crt"

    @property
    def client_key(self) -> Path:
        return self.path / "client.key"


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def due(self, now: datetime) -> bool:
        """Whether less than a third of its life is left."""
        begin, end = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        return now > end - (end - begin) / 3


def service_hosts(service: str, namespace: str) -> tuple[str, ...]:
    """The names by which a Service is called inside its cluster."""
    full = f"{service}.{namespace}.svc"
    return (service, f"{service}.{namespace}", full, f"{full}.cluster.local")


def ensure(folder: Folder, *, hosts: Sequence[str], now_s: float) -> bool:
    """Make what is missing, unusable, near its end or not for all of `hosts` (DNS names and IP
    addresses). Whether anything was made. Raises ConfigError when the folder can't be written.
    """
    now = datetime.fromtimestamp(now_s, UTC)
    try:
        folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(folder):
            ca, made_ca = _ensure_ca(folder, now)
            made_server = _ensure_server(folder, ca, hosts, now)
            made_client = _ensure_client(folder, ca, now)
    except (OSError, Unreadable) as error:
        said = error.strerror or error if isinstance(error, OSError) else error
        raise ConfigError(
            f"can't keep certificates in {folder.path}: {said}; make it a folder that this "
            "process may write, or set server.certificateDir to ready-made ones"
        ) from error
    return made_ca or made_server or made_client


@contextlib.contextmanager
def _alone(folder: Folder) -> Iterator[None]:
    """Webhook and extender may start at once in one folder."""
    with open(folder.path / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _ensure_ca(folder: Folder, now: datetime) -> tuple[Pair, bool]:
    old = _load(folder.ca, folder.ca_key)
    if old is not None and not old.due(now):
        return old, False
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("slurm-bridge CA")
    certificate = (
        _builder(name, name, key, now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(sign_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    still_trusted = []
    if old is not None and old.certificate.not_valid_after_utc > now:
        still_trusted = [old.certificate]
    new = Pair(certificate, key)
    _write(folder.ca, folder.ca_key, new, also=still_trusted)
    return new, True


def _ensure_server(folder: Folder, ca: Pair, hosts: Sequence[str], now: datetime) -> bool:
    old = _load(folder.server, folder.server_key)
    if old is not None and _good(old, ca, now) and _covers(old.certificate, hosts):
        return False
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    new = _leaf(
        ca, "slurm-bridge", ExtendedKeyUsageOID.SERVER_AUTH, now, days=SERVER_DAYS, names=names
    )
    _write(folder.server, folder.server_key, new)
    return True


def _ensure_client(folder: Folder, ca: Pair, now: datetime) -> bool:
    old = _load(folder.client, folder.client_key)
    if old is not None and _good(old, ca, now):
        return False
    new = _leaf(ca, "kube-scheduler", ExtendedKeyUsageOID.CLIENT_AUTH, now, days=CLIENT_DAYS)
    _write(folder.client, folder.client_key, new)
    return True


def _leaf(
    ca: Pair,
    common_name: str,
    usage: x509.ObjectIdentifier,
    now: datetime,
    *,
    days: int,
    names: x509.SubjectAlternativeName | None = None,
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_name(common_name), ca.certificate.subject, key, now, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key()),
            critical=False,
        )
    )
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    return Pair(builder.sign(ca.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, sign_certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _covers(certificate: x509.Certificate, hosts: Sequence[str]) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return {_general_name(host) for host in hosts} <= set(names)


def _good(pair: Pair, ca: Pair, now: datetime) -> bool:
    """Signed by this CA and not near its end."""
    try:
        pair.certificate.verify_directly_issued_by(ca.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return not pair.due(now)


def _load(certificate_file: Path, key_file: Path) -> Pair | None:
    """None when a file is missing or not what we write: it is made anew then."""
    try:
        if not (certificate_file.exists() and key_file.exists()):
            return None
        certificate = x509.load_pem_x509_certificate(files.read(certificate_file))
        key = serialization.load_pem_private_key(files.read(key_file), password=None)
    except (ValueError, TypeError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return None
    if key.public_key() != certificate.public_key():
        return None
    return Pair(certificate, key)


def _write(
    certificate_file: Path, key_file: Path, pair: Pair, *, also: Sequence[x509.Certificate] = ()
) -> None:
    key = pair.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    chain = b"".join(
        one.public_bytes(serialization.Encoding.PEM) for one in (pair.certificate, *also)
    )
    _replace(key_file, key)
    _replace(certificate_file, chain)


def _replace(path: Path, content: bytes) -> None:
    """All or nothing for every reader: a new file takes the old one's place."""
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
