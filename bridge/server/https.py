"""The HTTPS server that the API server and kube-scheduler call.

Both call with POST and JSON, over connections that they keep; both treat anything but 200 as "the
webhook is broken". So a handler answers in bytes and never raises for bad input; what raises all
the same is a bug, answered with 500 and logged, and the next request is served.

Stopping: first not ready (`not_ready` says so), so that Services send no new callers; still
answering, and asking callers to reconnect elsewhere; then no new connection; then, when what is
in flight is answered, closed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiohttp import ClientPayloadError, web

from bridge import telemetry
from bridge.clock import Clock, SystemClock
from bridge.errors import ConfigError
from bridge.server import addresses
from bridge.server.metrics import OTHER, ServerMetrics
from bridge.server.tls import Tls

Handler = Callable[[bytes], Awaitable[tuple[int, bytes]]]
"""Body in; HTTP status and JSON body out."""

_KEEPALIVE_S = 180.0
"""Longer than Go's clients keep an idle connection (90 s): the side that sends closes first."""
_RELOAD_S = 10.0


@dataclass(frozen=True, slots=True)
class Route:
    """A path that is answered.

    `client_certificate`: only for callers that show a certificate of the accepted CA.
    `max_body_bytes` bounds what one call may cost; larger bodies are refused unread.
    """

    path: str
    handler: Handler
    client_certificate: bool = False
    max_body_bytes: int = 8 << 20


class HttpsServer:
    """Serves `routes` on `address`. `tls` None serves plain HTTP, for tests and benches on the
    loopback only.

    A body must arrive within `read_timeout_s`; the rest of one that was refused unread is taken
    for `linger_s`, so that its sender sees the answer; a call in flight at the stop is given
    `shutdown_timeout_s`.
    """

    def __init__(
        self,
        *,
        address: addresses.Address,
        routes: Iterable[Route],
        tls: Tls | None,
        metrics: ServerMetrics,
        clock: Clock | None = None,
        log: telemetry.Logger | None = None,
        read_timeout_s: float = 10.0,
        shutdown_timeout_s: float = 10.0,
        linger_s: float = 1.0,
    ) -> None:
        self._address = address
        self._routes = {route.path: route for route in routes}
        self._tls = tls
        self._metrics = metrics
        self._clock = clock or SystemClock()
        self._log = log or telemetry.logger(component="server")
        self._read_timeout_s = read_timeout_s
        self._shutdown_timeout_s = shutdown_timeout_s
        self._linger_s = linger_s
        self._runner: web.ServerRunner | None = None
        self._stopping = False
        self.port = 0
        """The port it listens on, once started."""
        wanting = [path for path, route in self._routes.items() if route.client_certificate]
        if wanting and not (tls and tls.asks_for_client_certificate):
            raise ConfigError(
                f"{wanting[0]} is only for callers with a client certificate, but no CA is set "
                "that would accept one; set server.clientCaFile"
            )

    async def start(self) -> None:
        """Listen. Raises ConfigError when the address or the certificate can't be used."""
        if self._tls is not None:
            await self._tls.load()
            self._metrics.certificate_ends.set(self._tls.not_after_s)
        self._metrics.expect(self._routes)
        sockets = await addresses.bound(self._address)
        server = web.Server(
            self._serve,
            access_log=None,
            keepalive_timeout=_KEEPALIVE_S,
            lingering_time=self._linger_s,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=self._shutdown_timeout_s)
        await self._runner.setup()
        context = self._tls.context if self._tls else None
        for one in sockets:
            await web.SockSite(self._runner, one, ssl_context=context, backlog=1024).start()
        self.port = sockets[0].getsockname()[1]
        self._log.info("server.started", address=str(self._address), port=self.port)

    async def stop(self, *, drain_s: float = 0.0) -> None:
        """Stop as described above; `drain_s` is how long Services may take to notice."""
        self._stopping = True
        if drain_s > 0:
            await self._clock.sleep(drain_s)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            self._log.info("server.stopped", address=str(self._address), port=self.port)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def not_ready(self) -> str:
        """ "" when it serves; else why not. A check for the probes server."""
        if self._stopping:
            return "stopping"
        return "" if self._runner is not None else "not started"

    async def watch_certificate(self, *, every_s: float = _RELOAD_S) -> None:
        """Take changed files into use, for ever. Run it as a task beside the server."""
        while True:
            await self._clock.sleep(every_s)
            await self.reload_certificate()

    async def reload_certificate(self) -> bool:
        """Whether a new certificate is in use. Unusable files are logged and counted; the old
        certificate stays in use, and the files are looked at again next time."""
        if self._tls is None:
            return False
        try:
            changed = await self._tls.reload()
        except ConfigError as error:
            self._metrics.reload_failures.inc()
            self._log.error("certificate.reload_failed", error=str(error))
            return False
        if changed:
            self._metrics.certificate_ends.set(self._tls.not_after_s)
            self._log.info("certificate.reloaded", not_after_s=self._tls.not_after_s)
        return changed

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        start_s = time.perf_counter()
        route = self._routes.get(request.path)
        with self._metrics.in_flight.track_inprogress():
            response = await self._answer(request, route)
        if self._stopping:
            response.force_close()
        path = route.path if route else OTHER
        self._metrics.answered(path, response.status, time.perf_counter() - start_s)
        return response

    async def _answer(self, request: web.BaseRequest, route: Route | None) -> web.Response:
        if route is None:
            return _refused(404, f"nothing is served at {request.path[:200]}")
        if request.method != "POST":
            return _refused(405, f"{route.path} is called with POST", allow="POST")
        if route.client_certificate and not _has_certificate(request):
            return _refused(
                403,
                f"{route.path} is only for callers with a client certificate of the bridge's CA; "
                "give kube-scheduler's extender configuration certFile and keyFile",
            )
        try:
            async with asyncio.timeout(self._read_timeout_s):
                body = await _read(request, route.max_body_bytes)
        except TimeoutError:
            return _refused(408, f"the body did not arrive within {self._read_timeout_s:g} s")
        except (ClientPayloadError, ConnectionError) as error:
            return _refused(400, f"the body broke off: {error}")
        if body is None:
            return _refused(
                413,
                f"the body is larger than {route.max_body_bytes} bytes (an extender configuration "
                "without nodeCacheCapable: true sends every Node object)",
            )
        return await self._handled(route, body)

    async def _handled(self, route: Route, body: bytes) -> web.Response:
        try:
            status, answer = await route.handler(body)
        except Exception:  # a bug in a handler: its caller gets an answer, the server lives on
            self._log.exception("request.failed", path=route.path)
            return _refused(500, f"{route.path} failed inside slurm-bridge; its log says how")
        return web.Response(status=status, body=answer, content_type="application/json")


async def _read(request: web.BaseRequest, most: int) -> bytes | None:
    """The body; None when it is larger than `most`."""
    length = request.content_length
    if length is not None:
        return None if length > most else await request.content.read()
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)


def _has_certificate(request: web.BaseRequest) -> bool:
    """Of the accepted CA: the handshake fails with any other."""
    return bool(request.transport and request.transport.get_extra_info("peercert"))


def _refused(status: int, sentence: str, *, allow: str = "") -> web.Response:
    response = web.Response(status=status, text=sentence + "\n")
    if allow:
        response.headers["Allow"] = allow
    if status in (400, 408, 413):
        response.force_close()  # its body may still be on the way
    return response
