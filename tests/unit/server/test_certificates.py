"""Certificates made by ourselves."""

import os
import ssl
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from bridge.errors import ConfigError
from bridge.server import certificates
from bridge.server.certificates import CA_DAYS, CLIENT_DAYS, SERVER_DAYS, Folder

NOW_S = 1_800_000_000.0
DAY_S = 86_400.0
HOSTS = ("webhook.slurm-bridge.svc", "127.0.0.1")


def contents(folder: Folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.path.iterdir()}


def changed(folder: Folder, *, days: float, hosts: tuple[str, ...] = HOSTS) -> set[str]:
    """Names of the files that `ensure` replaces when it is called so many days later."""
    before = contents(folder)
    certificates.ensure(folder, hosts=hosts, now_s=NOW_S + days * DAY_S)
    after = contents(folder)
    return {name for name, content in after.items() if before.get(name) != content}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with certificates made at `NOW_S`."""
    folder = Folder(tmp_path / "tls")
    assert certificates.ensure(folder, hosts=HOSTS, now_s=NOW_S)
    return folder


def leaf(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_nobody_else_reads_them(folder: Folder) -> None:
    """Folder and files are ours alone."""
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    for path in (folder.ca, folder.ca_key, folder.server_key, folder.client_key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_half_written_is_left(folder: Folder) -> None:
    """Only whole files stand in the folder."""
    assert set(contents(folder)) == {
        ".lock",
        "ca.crt",
        "ca.key",
        "tls.crt",
        "tls.key",
        "client.crt",
        "client.key",
    }


def test_names_and_usages(folder: Folder) -> None:
    """The server's certificate is for its hosts, the client's for calling; neither is a CA."""
    server, client = leaf(folder.server), leaf(folder.client)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["webhook.slurm-bridge.svc"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    usages = [
        one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        for one in (server, client)
    ]
    assert [list(usage) for usage in usages] == [
        [ExtendedKeyUsageOID.SERVER_AUTH],
        [ExtendedKeyUsageOID.CLIENT_AUTH],
    ]
    for one in (server, client):
        one.verify_directly_issued_by(leaf(folder.ca))
        constraints = one.extensions.get_extension_for_class(x509.BasicConstraints).value
        assert constraints.ca is False


def test_lifetimes(folder: Folder) -> None:
    """They begin before now (clocks differ) and end when they should."""
    for path, days in (
        (folder.ca, CA_DAYS),
        (folder.server, SERVER_DAYS),
        (folder.client, CLIENT_DAYS),
    ):
        certificate = leaf(path)
        assert certificate.not_valid_before_utc.timestamp() == NOW_S - 3600
        assert certificate.not_valid_after_utc == datetime.fromtimestamp(NOW_S + days * DAY_S, UTC)


def test_left_alone_while_good(folder: Folder) -> None:
    """Nothing is made anew without a reason."""
    before = contents(folder)
    assert certificates.ensure(folder, hosts=HOSTS, now_s=NOW_S + DAY_S) is False
    assert contents(folder) == before
    assert changed(folder, days=SERVER_DAYS * 2 / 3 - 1) == set()


def test_renewed_in_time(folder: Folder) -> None:
    """Each is renewed when a third of its life is left; the CA stays."""
    assert changed(folder, days=SERVER_DAYS * 2 / 3 + 1) == {"tls.crt", "tls.key"}
    assert changed(folder, days=CLIENT_DAYS * 2 / 3 + 1) == {
        "tls.crt",
        "tls.key",
        "client.crt",
        "client.key",
    }


def test_a_new_ca_is_introduced_beside_the_old(folder: Folder) -> None:
    """While callers still trust the old CA alone, both stand in the file; all else is renewed."""
    old = leaf(folder.ca)
    assert len(changed(folder, days=CA_DAYS * 2 / 3 + 1)) == 6
    bundle = x509.load_pem_x509_certificates(folder.ca.read_bytes())
    assert len(bundle) == 2
    assert bundle[1] == old
    leaf(folder.server).verify_directly_issued_by(bundle[0])


def test_an_ended_ca_is_dropped(folder: Folder) -> None:
    """A CA that has ended is trusted by nobody and not kept."""
    changed(folder, days=CA_DAYS + 1)
    assert len(x509.load_pem_x509_certificates(folder.ca.read_bytes())) == 1


def test_another_host(folder: Folder) -> None:
    """A host that the certificate lacks has it made anew; one host less does not."""
    assert changed(folder, days=1, hosts=HOSTS[:1]) == set()
    assert changed(folder, days=1, hosts=(*HOSTS, "10.0.0.1")) == {"tls.crt", "tls.key"}


@pytest.mark.parametrize("damage", [b"", b"not PEM", None])
@pytest.mark.parametrize("name", ["tls.crt", "tls.key"])
def test_damaged_files_are_made_anew(folder: Folder, name: str, damage: bytes | None) -> None:
    """A file that is missing or unreadable is replaced, with its other half."""
    path = folder.path / name
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    assert changed(folder, days=1) == {"tls.crt", "tls.key"}


def test_a_key_of_another_certificate(folder: Folder) -> None:
    """Halves that don't belong together are replaced."""
    folder.server_key.write_bytes(folder.client_key.read_bytes())
    assert changed(folder, days=1) == {"tls.crt", "tls.key"}


def test_signed_by_another_ca(folder: Folder, tmp_path: Path) -> None:
    """A certificate of a CA that was replaced is made anew."""
    other = Folder(tmp_path / "other")
    certificates.ensure(other, hosts=HOSTS, now_s=NOW_S)
    folder.ca.write_bytes(other.ca.read_bytes())
    folder.ca_key.write_bytes(other.ca_key.read_bytes())
    assert changed(folder, days=1) == {"tls.crt", "tls.key", "client.crt", "client.key"}


def test_two_processes_at_once(tmp_path: Path) -> None:
    """Who starts at the same time in the same folder ends with one CA and what it signed."""
    folder = Folder(tmp_path / "tls")
    threads = [
        threading.Thread(
            target=certificates.ensure, args=(folder,), kwargs={"hosts": HOSTS, "now_s": NOW_S}
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for path in (folder.server, folder.client):
        leaf(path).verify_directly_issued_by(leaf(folder.ca))
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(folder.server, folder.server_key)


@pytest.mark.parametrize("name", ["ca.crt", "ca.key", "tls.crt", "client.key"])
def test_what_is_no_file_is_told(folder: Folder, name: str) -> None:
    """A FIFO is not waited for, nor replaced: somebody meant something by it."""
    (folder.path / name).unlink()
    os.mkfifo(folder.path / name)
    with pytest.raises(ConfigError, match=f"{name} is a FIFO"):
        certificates.ensure(folder, hosts=HOSTS, now_s=NOW_S)


def test_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    """A path that is a file is told, with the setting to change."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"can't keep certificates in .*server.certificateDir"):
        certificates.ensure(Folder(tmp_path / "file"), hosts=HOSTS, now_s=NOW_S)


def test_service_hosts() -> None:
    """A Service is called by its short and its full names."""
    assert certificates.service_hosts("webhook", "slurm") == (
        "webhook",
        "webhook.slurm",
        "webhook.slurm.svc",
        "webhook.slurm.svc.cluster.local",
    )
