"""The proxy that the environment names for a server, by the rules that kubectl follows.

Go's rules (golang.org/x/net/http/httpproxy), not Python's: $NO_PROXY may hold networks in CIDR
form, as it does in most clusters behind a proxy, and this machine itself is never proxied.
"""

import ipaddress
import urllib.parse
from collections.abc import Mapping


def for_server(server: str, environ: Mapping[str, str]) -> str | None:
    """$HTTPS_PROXY or $HTTP_PROXY for the URL `server`, None for a direct connection."""
    url = urllib.parse.urlsplit(server)
    host, port = (url.hostname or "").rstrip("."), url.port or _PORTS.get(url.scheme, 0)
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return None
    for entry in _variable(environ, "no_proxy").split(","):
        if entry.strip() and _excludes(entry.strip().lower(), host, port, address):
            return None
    return _variable(environ, f"{url.scheme}_proxy") or None


_PORTS = {"http": 80, "https": 443}

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _excludes(entry: str, host: str, port: int, address: _Address | None) -> bool:
    """`*`, a network, an address, a domain (with what is below it), `.domain` (only below)."""
    if entry == "*":
        return True
    if "/" in entry and address is not None:
        try:
            return address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    if _address(entry) is None:
        name, colon, number = entry.rpartition(":")
        if colon and number.isdigit():
            if int(number) != port:
                return False
            entry = name
    bare = entry.strip("[]")
    if address is not None:
        return _address(bare) == address
    domain = bare.removeprefix("*")
    return host.endswith(domain if domain.startswith(".") else "." + domain) or host == domain


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name.upper()) or environ.get(name) or ""


def _address(text: str) -> _Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
