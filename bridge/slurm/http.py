"""HTTP to slurmrestd: the only module that knows httpx2.

One request, one endpoint, one answer of bounded size; whatever goes wrong on the way is one of
our errors, which tells whether the request may have reached Slurm. Proxy variables of the
environment are ignored: slurmrestd stands in the cluster.
"""

import asyncio
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpcore2  # noqa: F401 - httpx2 imports it at the first client, which would block the loop
import httpx2

from bridge.slurm.errors import MalformedAnswer, Unavailable

AsyncTransport = httpx2.AsyncBaseTransport
"""The seam: tests hand in one that answers from recordings."""

MAX_ANSWER_BYTES = 256 << 20
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
    """What is asked; `path` begins with a slash."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None


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
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        self.endpoints = tuple(endpoint.rstrip("/") for endpoint in endpoints)
        self._timeout_s = timeout_s
        self._max_answer_bytes = max_answer_bytes
        secure = any(endpoint.startswith("https:") for endpoint in self.endpoints)
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s)),
            limits=httpx2.Limits(max_connections=64, max_keepalive_connections=32),
            trust_env=False,
            transport=transport,
            verify=ssl.create_default_context() if secure and transport is None else False,
        )

    async def send(
        self, endpoint: str, request: Request, *, headers: Mapping[str, str], tried: str
    ) -> Answer:
        """One request. Raises Unavailable and MalformedAnswer."""
        url = endpoint + request.path
        content = None if request.body is None else json.dumps(request.body).encode()
        sent = {**headers, "Accept": "application/json"}
        if content is not None:
            sent["Content-Type"] = "application/json"
        try:
            # httpx2 bounds each read; a server that trickles is bounded here.
            async with asyncio.timeout(2 * self._timeout_s):
                return await self._exchange(request.method, url, content, sent, tried)
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise Unavailable(
                f"{tried}: no answer from slurmrestd at {endpoint} ({_words(error)}); look whether "
                "it runs there and is reachable from here",
                nothing_done=isinstance(error, _NEVER_SENT),
            ) from error
        except TimeoutError as error:
            raise Unavailable(
                f"{tried}: slurmrestd at {endpoint} did not finish its answer in "
                f"{2 * self._timeout_s:g} s; look at its load and slurmctld's"
            ) from error

    async def _exchange(
        self, method: str, url: str, content: bytes | None, headers: Mapping[str, str], tried: str
    ) -> Answer:
        async with self._client.stream(method, url, content=content, headers=headers) as response:
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
        await self._client.aclose()


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
