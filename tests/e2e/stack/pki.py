"""The stack's certificates: one authority, and whatever is asked of it.

One authority signs servers and clients alike, of the API server, the extender and the webhook:
the stack is one trust domain. Keys are EC P-256, made in a millisecond.
"""

import datetime
import ipaddress
import os
import pathlib
from collections import abc

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

_BEGIN = datetime.timedelta(days=1)
"""How far back certificates are valid: tests play with clocks."""
_LIFE = datetime.timedelta(days=3650)

LOOPBACK = ("127.0.0.1", "localhost")


class Authority:
    """A certificate authority in a folder: `ca.crt`, `ca.key` and `<name>.crt`, `<name>.key`."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    @property
    def certificate(self) -> pathlib.Path:
        """The authority's own certificate."""
        return self.folder / "ca.crt"

    def create(self) -> None:
        """Make the authority itself."""
        self.folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("slurm-bridge-stack", ())
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=True, path_length=0), True),
            (_key_usage(authority=True), True),
        ]
        self._sign(name, key, issuer=name, signer=key, extensions=extensions, file="ca")

    def issue(
        self,
        file: str,
        *,
        common_name: str,
        organizations: abc.Sequence[str] = (),
        hosts: abc.Sequence[str] = (),
    ) -> tuple[pathlib.Path, pathlib.Path]:
        """Issue a certificate for both sides of TLS; give the paths of certificate and key.

        `organizations` are the groups of a Kubernetes user; `hosts` are names and addresses.
        """
        authority = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        signer = serialization.load_pem_private_key((self.folder / "ca.key").read_bytes(), None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        usages = [oid.ExtendedKeyUsageOID.SERVER_AUTH, oid.ExtendedKeyUsageOID.CLIENT_AUTH]
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_key_usage(authority=False), True),
            (x509.ExtendedKeyUsage(usages), False),
        ]
        if hosts:
            extensions.append((x509.SubjectAlternativeName([_host(host) for host in hosts]), False))
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(common_name, organizations)
        return self._sign(
            name, key, issuer=authority.subject, signer=signer, extensions=extensions, file=file
        )

    def create_key_pair(self, file: str) -> tuple[pathlib.Path, pathlib.Path]:
        """Make a bare key pair (service account tokens); give the public and the private part."""
        key = ec.generate_private_key(ec.SECP256R1())
        public = self.folder / f"{file}.pub"
        public.write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        return public, _write_key(self.folder / f"{file}.key", key)

    def _sign(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        issuer: x509.Name,
        signer: ec.EllipticCurvePrivateKey,
        extensions: abc.Sequence[tuple[x509.ExtensionType, bool]],
        file: str,
    ) -> tuple[pathlib.Path, pathlib.Path]:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BEGIN)
            .not_valid_after(now + _LIFE)
            # Python's ssl asks for both identifiers since 3.13 (VERIFY_X509_STRICT).
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False
            )
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        path = self.folder / f"{file}.crt"
        certificate = builder.sign(signer, hashes.SHA256())
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path, _write_key(self.folder / f"{file}.key", key)


def _name(common_name: str, organizations: abc.Sequence[str]) -> x509.Name:
    parts = [x509.NameAttribute(oid.NameOID.ORGANIZATION_NAME, one) for one in organizations]
    return x509.Name([*parts, x509.NameAttribute(oid.NameOID.COMMON_NAME, common_name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_key(path: pathlib.Path, key: ec.EllipticCurvePrivateKey) -> pathlib.Path:
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(text)
    return path
