# mypy: disable-error-code="no-untyped-call"
"""Requests to the API server: one session, one rate, one tree of errors.

The transport is `kubernetes.aio`'s (aiohttp under it); what comes back is parsed here, once.
Ordinary requests share a token bucket and a bound on what is in flight. What keeps the bridge
alive (lease, lists, watches) is `urgent` and waits for neither: a thousand pins must not cost the
leadership.
"""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final, Literal
from urllib.parse import urlencode

import aiohttp
import structlog
from pydantic_core import from_json
from yarl import URL

from bridge.clock import Clock
from bridge.config import KubernetesSettings
from bridge.errors import ConfigError
from bridge.kube import credentials, errors
from bridge.kube.throttle import TokenBucket

PatchKind = Literal["merge", "strategic", "json"]

_CONTENT_TYPE: Final[Mapping[str, str]] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}
_IN_FLIGHT: Final = 128
_TRIES: Final = 4
_LONGEST_WAIT_S: Final = 10.0
_BETWEEN_RENEWALS_S: Final = 5.0

_log = structlog.get_logger()


class KubeClient:
    """The API server. Every method raises `KubeError`s and nothing else.

    A request that the API server asked to repeat (429, Retry-After) is repeated here a few times;
    every other failure is the caller's to judge. `clock` is public: what is written to objects is
    stamped with it.
    """

    def __init__(
        self,
        settings: KubernetesSettings,
        access: credentials.Access,
        *,
        clock: Clock,
        places: credentials.Places | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        self.clock = clock
        self.target = access.target
        self._settings = settings
        self._places = places or credentials.Places()
        self._access = access
        self._loaded_at = clock.monotonic()
        self._tried_at = float("-inf")
        self._timeout_s = timeout_s
        self._bucket = TokenBucket(per_s=settings.qps, burst=settings.burst, clock=clock)
        self._in_flight = asyncio.Semaphore(_IN_FLIGHT)
        self._renewing = asyncio.Lock()
        self._old: list[credentials.Access] = []
        self._cluster_uid = ""

    @classmethod
    async def connect(
        cls,
        settings: KubernetesSettings,
        *,
        clock: Clock,
        places: credentials.Places | None = None,
        timeout_s: float = 30.0,
    ) -> "KubeClient":
        """Find the API server and our credentials. Sends nothing yet.

        Raises ConfigError when there are none, with what was tried.
        """
        places = places or credentials.Places()
        access = await credentials.load(settings, places=places, now_s=clock.time())
        return cls(settings, access, clock=clock, places=places, timeout_s=timeout_s)

    async def cluster_uid(self) -> str:
        """uid of the namespace kube-system: the cluster's identity, kept once known."""
        if not self._cluster_uid:
            namespace = await self.get("/api/v1/namespaces/kube-system", urgent=True)
            self._cluster_uid = str(namespace["metadata"]["uid"])
        return self._cluster_uid

    async def get(
        self, path: str, params: Mapping[str, str] | None = None, *, urgent: bool = False
    ) -> Mapping[str, Any]:
        """The object or list at `path`."""
        return _object(f"GET {path}", await self.read(path, params, urgent=urgent))

    async def read(
        self, path: str, params: Mapping[str, str] | None = None, *, urgent: bool = False
    ) -> bytes:
        """What is at `path`, as it came; for lists, which are read straight into rows."""
        return await self._do("GET", path, params=params, urgent=urgent)

    async def create(
        self, path: str, body: Mapping[str, Any], *, urgent: bool = False
    ) -> Mapping[str, Any]:
        """POST `body` to `path`; the object as it was stored."""
        return _object(f"POST {path}", await self._do("POST", path, body=body, urgent=urgent))

    async def patch(
        self,
        path: str,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        kind: PatchKind = "merge",
        urgent: bool = False,
    ) -> Mapping[str, Any]:
        """PATCH the object at `path`; the object as it is then."""
        data = await self._do(
            "PATCH", path, body=body, content_type=_CONTENT_TYPE[kind], urgent=urgent
        )
        return _object(f"PATCH {path}", data)

    async def delete(
        self, path: str, *, uid: str | None = None, grace_s: int | None = None
    ) -> None:
        """DELETE the object at `path`.

        With `uid` only that very object: when another has its name, NotFound is raised.
        """
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        try:
            await self._do("DELETE", path, body=options)
        except errors.Conflict as error:
            if uid is not None and "UID in precondition" in str(error):
                raise errors.NotFound(str(error), status=404, reason="NotFound") from error
            raise

    @asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, str], *, silence_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The chunks of a watch, as they arrive. Ends when the server ends it.

        Raises Unavailable when nothing at all arrives for `silence_s`.
        """
        request = f"watch {path}"
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=silence_s)
        response = await self._send("GET", path, params, None, "", timeout)
        try:
            if response.status >= 400:
                raise await _refused(request, response)
            chunks = _chunks(request, response)
            async with aclosing(chunks):
                yield chunks
        finally:
            response.close()

    async def close(self) -> None:
        """Close all connections; requests that are under way fail."""
        for access in (*self._old, self._access):
            await access.api.close()
        self._old.clear()

    async def _do(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        urgent: bool = False,
    ) -> bytes:
        for attempt in range(1, _TRIES + 1):
            try:
                if urgent:
                    return await self._once(method, path, params, body, content_type)
                await self._bucket.take()
                async with self._in_flight:
                    return await self._once(method, path, params, body, content_type)
            except errors.Throttled as error:
                if attempt == _TRIES or error.retry_after_s > _LONGEST_WAIT_S:
                    raise
                await self.clock.sleep(error.retry_after_s)
        raise AssertionError("the loop returns or raises")

    async def _once(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: object,
        content_type: str,
    ) -> bytes:
        request = f"{method} {path}"
        timeout = aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=10.0)
        response = await self._send(method, path, params, body, content_type, timeout)
        async with response:
            if response.status >= 400:
                raise await _refused(request, response)
            return await _read(request, response)

    async def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: object,
        content_type: str,
        timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """One request; with credentials read anew, once more after a 401."""
        access = await self._current()
        response = await _request(access, method, path, params, body, content_type, timeout)
        if response.status != 401:
            return response
        renewed = await self._renew(access)
        if renewed is access or not _differ(renewed, access):
            return response
        response.close()
        return await _request(renewed, method, path, params, body, content_type, timeout)

    async def _current(self) -> credentials.Access:
        if self.clock.monotonic() - self._loaded_at < self._access.lasts_s:
            return self._access
        return await self._renew(self._access)

    async def _renew(self, used: credentials.Access) -> credentials.Access:
        """Credentials other than `used`; `used` itself when there are none.

        Not more often than every few seconds: an exec plugin may take one, and a 401 that stays
        must not start it for every request.
        """
        async with self._renewing:
            now = self.clock.monotonic()
            if self._access is not used or now - self._tried_at < _BETWEEN_RENEWALS_S:
                return self._access
            self._tried_at = now
            try:
                access = await credentials.load(
                    self._settings, places=self._places, now_s=self.clock.time()
                )
            except ConfigError as error:  # a half-written file, a plugin without network
                _log.warning("credentials.reload_failed", error=str(error))
                return used
            self._loaded_at = now
            if access.tls == used.tls:
                await access.api.close()
                access = dataclasses.replace(access, api=used.api)
            else:
                self._old.append(used)
            self._access = access
            return access


def _differ(one: credentials.Access, other: credentials.Access) -> bool:
    return (one.authorization, one.tls) != (other.authorization, other.tls)


async def _request(
    access: credentials.Access,
    method: str,
    path: str,
    params: Mapping[str, str] | None,
    body: object,
    content_type: str,
    timeout: aiohttp.ClientTimeout,
) -> aiohttp.ClientResponse:
    headers = {"Accept": "application/json", "User-Agent": "slurm-bridge"}
    headers["Accept-Encoding"] = "identity"  # near the API server CPU is dearer than bytes
    if content_type:
        headers["Content-Type"] = content_type
    if access.authorization:
        headers["Authorization"] = access.authorization
    query = f"?{urlencode(params)}" if params else ""
    url = URL(access.api.configuration.host + path + query, encoded=True)
    try:
        answer = await access.api.rest_client.request(
            method, url, headers=headers, body=body, _request_timeout=timeout
        )
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _unreachable(f"{method} {path}", access, error) from error
    response: aiohttp.ClientResponse = answer.response
    return response


def _object(request: str, data: bytes) -> Mapping[str, Any]:
    try:
        answer = from_json(data)
    except ValueError as error:
        raise errors.Garbled(
            f"{request}: the answer is not JSON ({error}): {data[:80]!r}"
        ) from None
    if not isinstance(answer, dict):
        raise errors.Garbled(f"{request}: a JSON {type(answer).__name__}, not an object")
    return answer


async def _read(request: str, response: aiohttp.ClientResponse) -> bytes:
    try:
        return await response.read()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise errors.Unavailable(
            f"{request}: the answer broke off ({_said(error)}); it may have been done"
        ) from error


async def _refused(request: str, response: aiohttp.ClientResponse) -> errors.KubeError:
    async with response:
        body = await _read(request, response)
    text = response.headers.get("Retry-After", "")
    retry_after_s = float(text) if text.isascii() and text.isdigit() else None
    return errors.from_answer(
        request, status=response.status, body=body, retry_after_s=retry_after_s
    )


async def _chunks(request: str, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise errors.Unavailable(f"{request}: broke off ({_said(error)})") from error


def _unreachable(request: str, access: credentials.Access, error: Exception) -> errors.Unavailable:
    return errors.Unavailable(
        f"{request}: no answer from {access.target} ({_said(error)}); "
        "check that the API server runs and can be reached from here"
    )


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
