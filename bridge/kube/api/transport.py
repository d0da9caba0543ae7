# mypy: disable-error-code="no-untyped-call"
"""One request to the API server and one answer, as whom we are at that moment.

`kubernetes.aio` (aiohttp under it) carries the bytes. What aiohttp raises ends here: above there
are only `bridge.kube.api.errors`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import aiohttp
import structlog
from kubernetes.aio.client import ApiClient
from yarl import URL

from bridge.clock import Clock
from bridge.config import KubernetesSettings
from bridge.errors import ConfigError
from bridge.kube.api import credentials, errors

_log = structlog.get_logger()

_CONNECT_S: Final = 10.0
_BETWEEN_RENEWALS_S: Final = 5.0
_FAILURES: Final = (aiohttp.ClientError, TimeoutError, OSError, RuntimeError)
"""What aiohttp raises; a RuntimeError when the session was closed meanwhile."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. `body` is anything that JSON can say, None for no body."""

    method: str
    path: str
    params: Mapping[str, str] | None = None
    body: object = None
    content_type: str = "application/json"

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Transport:
    """Sends requests with credentials that stay fresh: rotated files, exec plugins, a 401."""

    def __init__(
        self,
        loader: credentials.Loader,
        access: credentials.Access,
        api: ApiClient,
        *,
        clock: Clock,
    ) -> None:
        self.target = access.target
        self._loader = loader
        self._access = access
        self._api = api
        self._clock = clock
        self._loaded_at = clock.monotonic()
        self._tried_at = float("-inf")
        self._renewing = asyncio.Lock()
        self._old: list[ApiClient] = []

    @classmethod
    async def open(
        cls, settings: KubernetesSettings, *, clock: Clock, places: credentials.Places
    ) -> "Transport":
        """Find the API server and our credentials. Sends nothing. Raises ConfigError."""
        loader = credentials.Loader(settings, places=places)
        access = await loader.load(now_s=clock.time())
        return cls(loader, access, await loader.transport(access), clock=clock)

    async def exchange(self, request: Request, *, timeout_s: float) -> bytes:
        """The body of the answer. Raises the error that the answer is, when it isn't a 2xx."""
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=_CONNECT_S)
        response = await self._send(request, timeout)
        async with response:
            if response.status >= 400:
                raise await _refused(request, response)
            return await _read(request, response)

    @asynccontextmanager
    async def stream(
        self, request: Request, *, silence_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The answer in chunks, as they arrive, however long that takes.

        Raises Unavailable when nothing arrives for `silence_s`.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=silence_s)
        response = await self._send(request, timeout)
        try:
            if response.status >= 400:
                raise await _refused(request, response)
            async with aclosing(_chunks(request, response)) as chunks:
                yield chunks
        finally:
            response.close()

    async def close(self) -> None:
        """Close all connections; what is under way fails."""
        for api in (*self._old, self._api):
            await api.close()
        self._old.clear()

    async def _send(
        self, request: Request, timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        """One request; with credentials read anew, once more after a 401."""
        access = await self._current()
        response = await self._as(access, request, timeout)
        if response.status != 401:
            return response
        renewed = await self._renew(access)
        if not _differ(renewed, access):
            return response
        response.close()
        return await self._as(renewed, request, timeout)

    async def _as(
        self, access: credentials.Access, request: Request, timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # near the API server CPU is dearer than bytes
            "Content-Type": request.content_type,
            "User-Agent": "slurm-bridge",
        }
        if access.authorization:
            headers["Authorization"] = access.authorization
        query = f"?{urlencode(request.params)}" if request.params else ""
        url = URL(access.configuration.host + request.path + query, encoded=True)
        try:
            answer = await self._api.rest_client.request(
                request.method, url, headers=headers, body=request.body, _request_timeout=timeout
            )
        except _FAILURES as error:
            raise errors.Unavailable(
                f"{request}: no answer from {access.target} ({_said(error)}); check that the API "
                "server runs and can be reached from here"
            ) from error
        response: aiohttp.ClientResponse = answer.response
        return response

    async def _current(self) -> credentials.Access:
        """Those in use, or new ones when it is time; the requests meanwhile go on with the old."""
        fresh = self._clock.monotonic() - self._loaded_at < self._access.lasts_s
        if fresh or self._renewing.locked():
            return self._access
        return await self._renew(self._access)

    async def _renew(self, used: credentials.Access) -> credentials.Access:
        """Credentials other than `used`; `used` itself when there are none.

        Not more often than every few seconds: an exec plugin may take one, and a 401 that stays
        must not start it for every request.
        """
        async with self._renewing:
            now = self._clock.monotonic()
            if self._access is not used or now - self._tried_at < _BETWEEN_RENEWALS_S:
                return self._access
            self._tried_at = now
            try:
                access = await self._loader.load(now_s=self._clock.time())
                if access.tls != used.tls:
                    fresh = await self._loader.transport(access)
                    self._old.append(self._api)  # requests under way end on their connections
                    self._api = fresh
            except ConfigError as error:  # a half-written file, a plugin without network
                _log.warning("credentials.reload_failed", error=str(error))
                return used
            self._loaded_at = now
            self._access = access
            return access


def _differ(one: credentials.Access, other: credentials.Access) -> bool:
    return (one.authorization, one.tls) != (other.authorization, other.tls)


async def _read(request: Request, response: aiohttp.ClientResponse) -> bytes:
    try:
        return await response.read()
    except _FAILURES as error:
        raise errors.Unavailable(
            f"{request}: the answer broke off ({_said(error)}); it may have been done"
        ) from error


async def _refused(request: Request, response: aiohttp.ClientResponse) -> errors.KubeError:
    async with response:
        body = await _read(request, response)
    text = response.headers.get("Retry-After", "")
    retry_after_s = float(text) if text.isascii() and text.isdigit() else None
    return errors.from_answer(
        str(request), status=response.status, body=body, retry_after_s=retry_after_s
    )


async def _chunks(
    request: Request, response: aiohttp.ClientResponse
) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except _FAILURES as error:
        raise errors.Unavailable(f"{request}: broke off ({_said(error)})") from error


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
