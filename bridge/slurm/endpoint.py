"""Addresses of slurmrestd and of a proxy, as people write them."""

import re
from urllib.parse import urlsplit

from bridge.errors import BadInput

UNIX = "unix://"
_OURS = re.compile(r"^/(slurm|slurmdb|util|openapi)(/|$)")


def checked(endpoint: str) -> str:
    """Without the slash at its end. Raises BadInput for what is no endpoint."""
    if re.match(r"unix:///\S", endpoint):
        return endpoint.rstrip("/")
    problem = _problem(endpoint)
    if problem is None and _OURS.match(urlsplit(endpoint).path):
        problem = " (the path is the client's to add)"
    if problem is not None:
        raise BadInput(
            f"{endpoint!r} is no endpoint of slurmrestd{problem}; write it like http://host:6820, "
            "https://host:6820 or unix:///run/slurmrestd.sock"
        )
    return endpoint.rstrip("/")


def checked_proxy(proxy: str) -> str:
    """The same, "" for none. Raises BadInput."""
    if proxy and (problem := _problem(proxy)) is not None:
        raise BadInput(f"{proxy!r} is no proxy{problem}; write it like http://proxy:3128")
    return proxy


def _problem(address: str) -> str | None:
    """What is wrong with it, in parentheses or without words; None when nothing is."""
    if not re.fullmatch(r"https?://[^/\s?#]+(/[^\s?#]*)?", address):
        return ""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return f" ({error})"
    return None if host and port != 0 else " (its host or port is missing)"
