"""HTTP to slurmrestd: the only module that knows httpx2.

One request, one endpoint, one answer of bounded size; whatever goes wrong on the way is one of
our errors, which tells whether the request may have reached Slurm. Proxy variables of the
environment are ignored, since slurmrestd stands in the cluster; a proxy is used when it is named.
"""

import asyncio
import contextlib
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpcore2  # noqa: F401 - httpx2 imports it at the first client, which would block the loop
import httpx2

from bridge import files
from bridge.errors import BadInput, Unreadable
from bridge.slurm.endpoint import UNIX, checked, checked_proxy
from bridge.slurm.errors import MalformedAnswer, Unavailable

AsyncTransport = httpx2.AsyncBaseTransport
"""The seam: tests hand in one that answers from recordings."""

MAX_ANSWER_BYTES = 128 << 20
"""15,000 nodes are about 40 MB, since slurmrestd writes JSON with indentation."""
_CONNECT_S = 3.0
_NEVER_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
    httpx2.InvalidURL,
)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked; `path` begins with a slash, and is below `/<plugin>/<version>`."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    plugin: str = "slurm"
    """slurm, slurmdb (accounting) or util."""


@dataclass(frozen=True, slots=True)
class Tls:
    """How an `https://` endpoint is known, and how we are known to it. All are files of PEM.

    They are read once, when the client is made, which blocks: inside an event loop make it in a
    thread.
    """

    ca_file: str = ""
    """Whom to trust, instead of the system's authorities."""
    certificate_file: str = ""
    """Ours, where the server asks for one."""
    key_file: str = ""

    def context(self) -> ssl.SSLContext:
        """Raises BadInput when a file can't be used. Blocks while a file can't be reached."""
        with contextlib.ExitStack() as kept:

            def taken(name: str) -> str | None:
                if not name:
                    return None
                return kept.enter_context(files.in_memory(files.read(Path(name))))

            try:
                context = ssl.create_default_context(cafile=taken(self.ca_file))
                if certificate := taken(self.certificate_file):
                    # A key with a password would be asked about on the terminal.
                    context.load_cert_chain(certificate, taken(self.key_file), password="")
            except (OSError, Unreadable) as error:  # ssl's own errors are OSErrors
                named = filter(None, (self.ca_file, self.certificate_file, self.key_file))
                raise BadInput(
                    f"TLS to slurmrestd: can't use {', '.join(named)} ({error})"
                ) from error
        return context


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, unread."""

    url: str
    status: int
    content_type: str
    body: bytes


class Http:
    """Connections to all endpoints."""

    def __init__(
        self,
        *,
        endpoints: Sequence[str],
        timeout_s: float,
        transport: AsyncTransport | None,
        tls: Tls | None = None,
        proxy: str = "",
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        self.endpoints = tuple(checked(endpoint) for endpoint in endpoints)
        checked_proxy(proxy)
        self._timeout_s = timeout_s
        self._max_answer_bytes = max_answer_bytes
        secure = any(endpoint.startswith("https:") for endpoint in self.endpoints)
        verify = (tls or Tls()).context() if secure and transport is None else False

        def client(way: AsyncTransport | None, proxy: str = "") -> httpx2.AsyncClient:
            return httpx2.AsyncClient(
                timeout=httpx2.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s)),
                limits=_LIMITS,
                trust_env=False,
                transport=way,
                verify=verify,
                proxy=proxy or None,
            )

        # Their base address stands in for the socket's path, which no URL can hold.
        self._sockets = {
            endpoint: client(_through(endpoint))
            for endpoint in self.endpoints
            if endpoint.startswith(UNIX) and transport is None
        }
        self._client = client(transport, "" if transport is not None else proxy)

    async def send(
        self, endpoint: str, request: Request, *, headers: Mapping[str, str], tried: str
    ) -> Answer:
        """One request. Raises Unavailable and MalformedAnswer."""
        client = self._sockets.get(endpoint, self._client)
        url = ("http://localhost" if endpoint.startswith(UNIX) else endpoint) + request.path
        content = None if request.body is None else json.dumps(request.body).encode()
        # Not packed: a small answer could grow without bound.
        sent = {**headers, "Accept": "application/json", "Accept-Encoding": "identity"}
        if content is not None:
            sent["Content-Type"] = "application/json"
        try:
            # httpx2 bounds each read; a server that trickles is bounded here.
            async with asyncio.timeout(2 * self._timeout_s):
                return await self._exchange(client, request.method, url, content, sent, tried)
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise Unavailable(
                f"{tried}: no answer from slurmrestd at {endpoint} ({_words(error)}); "
                f"{_remedy(error)}",
                nothing_done=isinstance(error, _NEVER_SENT),
            ) from error
        except TimeoutError as error:
            raise Unavailable(
                f"{tried}: slurmrestd at {endpoint} did not finish its answer in "
                f"{2 * self._timeout_s:g} s; look at its load and slurmctld's"
            ) from error

    async def _exchange(
        self,
        client: httpx2.AsyncClient,
        method: str,
        url: str,
        content: bytes | None,
        headers: Mapping[str, str],
        tried: str,
    ) -> Answer:
        async with client.stream(method, url, content=content, headers=headers) as response:
            packed = response.headers.get("content-encoding", "identity")
            if packed.strip().lower() != "identity":
                raise MalformedAnswer(
                    f"{tried}: the answer of {url} is packed ({packed[:40]}), which was not asked "
                    "for; look for a proxy between"
                )
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > self._max_answer_bytes:
                    raise MalformedAnswer(
                        f"{tried}: the answer of {url} is larger than "
                        f"{self._max_answer_bytes >> 20} MiB and was not read to its end"
                    )
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            return Answer(url, response.status_code, kind, bytes(body))

    async def close(self) -> None:
        """Let go of the connections."""
        for client in (self._client, *self._sockets.values()):
            await client.aclose()


_LIMITS = httpx2.Limits(max_connections=64, max_keepalive_connections=32)


def _through(endpoint: str) -> AsyncTransport:
    # No TLS on a socket file, so no authorities are read from disk for it.
    return httpx2.AsyncHTTPTransport(uds=endpoint.removeprefix(UNIX), limits=_LIMITS, verify=False)


def _remedy(error: Exception) -> str:
    for words, remedy in _REMEDIES.items():
        if words in str(error):
            return remedy
    return "look whether it runs there and is reachable from here"


_REMEDIES = {
    "WRONG_VERSION_NUMBER": "there is no TLS there: write http://",
    "CERTIFICATE_VERIFY_FAILED": "name the authority of its certificate (ca_file, slurm.caFile)",
}


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
