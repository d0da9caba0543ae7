"""host:port → sockets."""

import socket

import pytest

from bridge.errors import ConfigError
from bridge.server import addresses
from bridge.server.addresses import Address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("[::]:9443", Address("::", 9443)),
        (":9443", Address("", 9443)),
        ("0.0.0.0:80", Address("0.0.0.0", 80)),
        ("localhost:0", Address("localhost", 0)),
        ("[fd00::1]:443", Address("fd00::1", 443)),
    ],
)
def test_forms(text: str, address: Address) -> None:
    """Every form of the settings is read."""
    assert addresses.parse(text) == address


@pytest.mark.parametrize(
    "text", ["", "9443", "host", "host:", "host:http", "h:65536", "h:-1", "::1"]
)
def test_what_is_no_address(text: str) -> None:
    """Anything else is a ConfigError that shows the forms."""
    with pytest.raises(ConfigError, match=r"\[") as raised:
        addresses.parse(text)
    assert repr(text) in str(raised.value)


def test_shown_as_it_is_written() -> None:
    """An address reads as in the settings."""
    assert str(addresses.parse("[::1]:9443")) == "[::1]:9443"
    assert str(addresses.parse("host:1")) == "host:1"


def closed(sockets: list[socket.socket]) -> list[tuple[int, int]]:
    """(family, port) of sockets, which are closed."""
    found = [(int(one.family), one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return found


@pytest.mark.parametrize("host", ["::", "", "*"])
def test_everywhere_is_both_families(host: str) -> None:
    """A wildcard listens on IPv4 and IPv6, on the same port, also on a port that is picked."""
    found = closed(addresses.listen(Address(host, 0)))
    assert {family for family, _ in found} == {socket.AF_INET, socket.AF_INET6}
    assert len({port for _, port in found}) == 1


def test_one_address() -> None:
    """A given address is the only one."""
    ((family, port),) = closed(addresses.listen(Address("127.0.0.1", 0)))
    assert family == socket.AF_INET
    assert port > 0


def test_a_taken_port() -> None:
    """A port that is taken is told with the setting to change."""
    first = addresses.listen(Address("127.0.0.1", 0))
    for one in first:
        one.listen()
    port = first[0].getsockname()[1]
    with pytest.raises(ConfigError, match=rf"can't listen on 127.0.0.1:{port}.*server.listen"):
        addresses.listen(Address("127.0.0.1", port))
    closed(first)


def test_an_address_of_somebody_else() -> None:
    """An address that this host does not have is told."""
    with pytest.raises(ConfigError, match=r"can't listen on 192\.0\.2\.1:0"):
        addresses.listen(Address("192.0.2.1", 0))


def test_a_name_that_does_not_resolve() -> None:
    """A name without an address is told."""
    with pytest.raises(ConfigError, match=r"can't listen on no.such.host.invalid:0"):
        addresses.listen(Address("no.such.host.invalid", 0))
