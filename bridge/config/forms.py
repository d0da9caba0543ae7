"""Forms of values that several settings have: addresses and URLs."""

import re
from typing import Annotated

from pydantic import AfterValidator


def _url(text: str) -> str:
    if re.match(r"^https?://[^/\s]+", text) is None:
        raise ValueError("not a URL; write it like http://slurm-restapi.slurm:6820")
    return text.rstrip("/")


def _url_or_none(text: str) -> str:
    return _url(text) if text else ""


def _address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isdigit() or int(port) > 65535 or (":" in host and not bracketed):
        raise ValueError("not host:port; write it like [::]:9443, 127.0.0.1:9443 or :9443")
    return text


def _address_or_none(text: str) -> str:
    return _address(text) if text else ""


def lower(value: object) -> object:
    """A word in lower case."""
    return value.lower() if isinstance(value, str) else value


def _endpoint(text: str) -> str:
    return text if re.match(r"^unix:///\S", text) else _url(text)


Url = Annotated[str, AfterValidator(_endpoint)]
UrlOrNone = Annotated[str, AfterValidator(_url_or_none)]
Address = Annotated[str, AfterValidator(_address)]
AddressOrNone = Annotated[str, AfterValidator(_address_or_none)]
