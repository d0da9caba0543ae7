"""From `host:port` in the settings to listening sockets, on IPv4 and IPv6.

`[::]` means "everywhere". One socket for both families would need the host's bindv6only to be off
and IPv6 to be there at all, so each family gets its own; one that the host lacks is left out.
"""

import errno
import socket
from dataclasses import dataclass
from functools import partial

from bridge.errors import ConfigError, Unreadable
from bridge.files import LIMIT_S, Worker

_WILDCARDS = {"", "*", "::"}
_NO_SUCH_FAMILY = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}
_ATTEMPTS = 20
"""For port 0: the port that one family gets may be taken in the other."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 means any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse(text: str) -> Address:
    """`host:port`, `[v6]:port`, `:port`. Raises ConfigError with the accepted forms."""
    host, colon, port = text.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"{text!r} is no address to listen on; write [::]:9443 or 10.0.0.1:9443")
    if ":" in host and not bracketed:
        raise ConfigError(f"{text!r}: put the IPv6 address into brackets: [{host}]:{port}")
    return Address(host[1:-1] if bracketed else host, int(port))


async def bound(address: Address) -> list[socket.socket]:
    """What `listen` returns, without blocking the event loop. Raises ConfigError."""
    try:
        return await Worker().call(partial(listen, address), what=f"the address of {address}")
    except Unreadable as error:
        raise ConfigError(
            f"can't listen on {address}: its name is not resolved within {LIMIT_S:g} s; set an IP "
            "address in server.listen and server.metricsListen, or look at the name server"
        ) from error


def listen(address: Address) -> list[socket.socket]:
    """Bound sockets (not yet listening), all on one port. Blocks on the resolver: call it in a
    thread. Raises ConfigError when there is no such address here, or the port is taken."""
    for attempt in range(_ATTEMPTS):
        opened: list[socket.socket] = []
        try:
            return _open_all(address, opened)
        except OSError as error:
            for one in opened:
                one.close()
            again = address.port == 0 and error.errno == errno.EADDRINUSE
            if not again or attempt == _ATTEMPTS - 1:
                raise ConfigError(
                    f"can't listen on {address}: {error.strerror or error}; set another address "
                    "in server.listen or server.metricsListen, or free this one"
                ) from error
    raise AssertionError("unreachable")


def _open_all(address: Address, opened: list[socket.socket]) -> list[socket.socket]:
    everywhere = address.host in _WILDCARDS
    port = address.port
    for family, host in _hosts(address):
        try:
            one = _open(family, host, port)
        except OSError as error:
            if everywhere and error.errno in _NO_SUCH_FAMILY and family == socket.AF_INET6:
                continue
            raise
        opened.append(one)
        port = one.getsockname()[1]
    return opened


def _hosts(address: Address) -> list[tuple[int, str]]:
    if address.host in _WILDCARDS:
        return [(socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")]
    found = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return list(dict.fromkeys((family, str(place[0])) for family, _, _, _, place in found))


def _open(family: int, host: str, port: int) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.setblocking(False)
        one.bind((host, port))
    except OSError:
        one.close()
        raise
    return one
