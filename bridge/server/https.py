"""The HTTPS server that the API server and kube-scheduler call.

Both call with POST and JSON, over connections that they keep; both treat anything but 200 as "the
webhook is broken". So a handler answers in bytes and never raises for bad input; what raises all
the same is a bug, answered with 500 and logged, and the next request is served.

Too many callers, and slow ones: `listener` has the limits.

Stopping: first not ready (`not_ready` says so), so that Services send no new callers; still
answering, and asking callers to reconnect elsewhere; then no new connection; then, when what is
in flight is answered, closed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from aiohttp import ClientPayloadError, StreamReader, web

from bridge import telemetry
from bridge.clock import Clock, SystemClock
from bridge.errors import ConfigError
from bridge.lifespan import Lifespan
from bridge.server import addresses
from bridge.server.connections import Limits, Stage
from bridge.server.cuts import Cuts
from bridge.server.listener import Caller, Listener, Shared
from bridge.server.metrics import OTHER, ServerMetrics
from bridge.server.tls import Tls
from bridge.server.turnstile import Timed

Handler = Callable[[bytes], Awaitable[tuple[int, bytes]]]
"""Body in; HTTP status and JSON body out."""

_NAME = "https"
_SMALL_PIECE_BYTES, _PIECE_BYTES = 4 << 10, 64 << 10
"""A body that comes in pieces below the first is put together up to the second as it comes."""
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


class HttpsServer(Lifespan):
    """Serves `routes` on `address`. `tls` None serves plain HTTP, for tests and benches on the
    loopback only.

    `limits` hold for its connections; `shared` is what it shares with other servers. The rest of
    a body that was refused unread is taken for `linger_s`, so that its sender sees the answer; a
    call in flight at the stop is given `shutdown_timeout_s`.
    """

    def __init__(
        self,
        *,
        address: addresses.Address,
        routes: Iterable[Route],
        tls: Tls | None,
        metrics: ServerMetrics,
        shared: Shared | None = None,
        limits: Limits | None = None,
        clock: Clock | None = None,
        log: telemetry.Logger | None = None,
        shutdown_timeout_s: float = 10.0,
        linger_s: float = 1.0,
    ) -> None:
        self._address = address
        self._routes = {route.path: route for route in routes}
        self._tls = tls
        self._metrics = metrics
        self._clock = clock or SystemClock()
        self._log = log or telemetry.logger(component="server")
        self._shared = shared or Shared()
        self._limits = limits or Limits()
        self._shutdown_timeout_s = shutdown_timeout_s
        self._linger_s = linger_s
        self._listener: Listener | None = None
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
        listener = Listener(
            address=self._address,
            handler=self._serve,
            limits=self._limits,
            shared=self._shared,
            cuts=Cuts(_NAME, metrics=self._metrics, log=self._log, clock=self._clock),
            linger_s=self._linger_s,
        )
        context = self._tls.context if self._tls else None
        self.port = await listener.start(context, stop_s=self._shutdown_timeout_s)
        self._listener = listener
        self._metrics.show(_NAME, listener.table, self._shared.budget)
        self._log.info("server.started", address=str(self._address), port=self.port)

    async def stop(self, *, drain_s: float = 0.0) -> None:
        """Stop as described above; `drain_s` is how long Services may take to notice."""
        self._stopping = True
        if drain_s > 0:
            await self._clock.sleep(drain_s)
        if self._listener is not None:
            await self._listener.stop()
            self._listener = None
            self._log.info("server.stopped", address=str(self._address), port=self.port)

    def not_ready(self) -> str:
        """ "" when it serves; else why not. A check for the probes server."""
        if self._stopping:
            return "stopping"
        return "" if self._listener is not None else "not started"

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

    async def _serve(self, request: web.BaseRequest, caller: Caller) -> web.StreamResponse:
        start_s = time.perf_counter()
        route = self._routes.get(request.path)
        with self._metrics.in_flight.track_inprogress():
            response = await self._answer(request, caller, route)
        if self._stopping:
            response.force_close()
        path = route.path if route else OTHER
        self._metrics.answered(path, response.status, time.perf_counter() - start_s)
        return response

    async def _answer(
        self, request: web.BaseRequest, caller: Caller, route: Route | None
    ) -> web.Response:
        if route is None:
            return _refused(404, f"nothing is served at {request.path[:200]}")
        if request.method != "POST":
            return _refused(405, f"{route.path} is called with POST", allow="POST")
        if route.client_certificate and not caller.connection.known:
            return _refused(
                403,
                f"{route.path} is only for callers with a client certificate of the bridge's CA; "
                "give kube-scheduler's extender configuration certFile and keyFile",
            )
        if "Content-Encoding" in request.headers:
            return _refused(415, "the body is compressed; send it as it is")
        try:
            body = await self._body(request, caller, route.max_body_bytes)
        except TimeoutError:
            if request.content.is_eof():
                return _crowded(keep=True)
            if caller.connection.stage is Stage.CLOSING:
                return _crowded(keep=False)
            return _refused(408, f"the body did not arrive within {self._limits.body_s:g} s")
        except (ClientPayloadError, ConnectionError) as error:
            return _refused(400, f"the body broke off: {error}")
        if body is None:
            return _refused(
                413,
                f"the body is larger than {route.max_body_bytes} bytes (an extender configuration "
                "without nodeCacheCapable: true sends every Node object)",
            )
        caller.calls()
        return await self._handled(route, caller, body)

    async def _body(self, request: web.BaseRequest, caller: Caller, most: int) -> bytes | None:
        """The body, when it is its turn; None when it is larger than `most`. Raises TimeoutError
        when it is late, or given up for others."""
        content = request.content
        if (request.content_length or 0) > most:
            return None
        if content.is_eof() and caller.may_call:
            return caller.took(await _read(content, most))  # as usual: nothing to wait for
        async with asyncio.timeout(self._limits.body_s) as caller.reading:
            try:
                body = caller.took(await _read(content, most))
                await caller.turn()
            finally:
                caller.reading = None
        return body

    async def _handled(self, route: Route, caller: Caller, body: bytes) -> web.Response:
        handled = Timed(route.handler(body))
        try:
            status, answer = await handled
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not caller.given_up or task is None:
                raise
            task.uncancel()
            return _crowded(keep=True)
        except Exception:  # a bug in a handler: its caller gets an answer, the server lives on
            self._log.exception("request.failed", path=route.path)
            return _refused(500, f"{route.path} failed inside slurm-bridge; its log says how")
        finally:
            caller.returns(handled.used_s)
        return web.Response(status=status, body=answer, content_type="application/json")


async def _read(content: StreamReader, most: int) -> bytes | None:
    """All of it; None when it is more than `most`."""
    pieces = [await content.readany()]
    size = len(pieces[0])
    while size <= most and not content.at_eof():
        piece = await content.readany()
        size += len(piece)
        if len(piece) < _SMALL_PIECE_BYTES and len(pieces[-1]) < _PIECE_BYTES:
            pieces[-1] += piece  # a small object takes many times the memory of what it holds
        else:
            pieces.append(piece)
    return b"".join(pieces) if size <= most else None


def _crowded(*, keep: bool) -> web.Response:
    return _refused(503, "too many requests at once; try again", retry_after_s=1, keep=keep)


def _refused(
    status: int, sentence: str, *, allow: str = "", retry_after_s: int = 0, keep: bool = False
) -> web.Response:
    """`keep`: the whole request has been taken, so the connection can be used again."""
    response = web.Response(status=status, text=sentence + "\n")
    if allow:
        response.headers["Allow"] = allow
    if retry_after_s:
        response.headers["Retry-After"] = str(retry_after_s)
    if status in (400, 408, 413, 415, 503) and not keep:
        response.force_close()  # its body may still be on the way
    return response
