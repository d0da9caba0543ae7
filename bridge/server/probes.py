"""Probes and metrics over plain HTTP, on a port of their own.

`/livez` says that the event loop runs. `/readyz` asks each named check and shows all of them, so
that `kubectl describe pod` (which prints the body of a failed probe) says what is missing. Notes
stand there too (`[!]`): something is wrong, and the process can do its work all the same.
`/healthz` is the Go bridge's name for `/livez`.

Whoever reaches the port may ask, so the metrics are put together at most once a second, however
many ask for them.
"""

import time
from collections.abc import Callable, Mapping

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from bridge import telemetry
from bridge.clock import Clock, SystemClock
from bridge.lifespan import Lifespan
from bridge.server import addresses
from bridge.server.connections import Limits
from bridge.server.cuts import Cuts
from bridge.server.listener import Caller, Listener, Shared
from bridge.server.metrics import ServerMetrics

Check = Callable[[], str]
""""" when all is well, else what is missing."""


_NAME = "probes"
_CONNECTIONS = 256
_METRICS_AGE_S = 1.0
_STOP_S = 1.0


class ProbesServer(Lifespan):
    """Serves `/livez`, `/healthz`, `/readyz` and `/metrics`, with places for connections of its
    own: a crowd at the other server takes none of them."""

    def __init__(
        self,
        *,
        address: addresses.Address,
        checks: Mapping[str, Check],
        notes: Mapping[str, Check] | None = None,
        registry: CollectorRegistry,
        metrics: ServerMetrics,
        shared: Shared | None = None,
        limits: Limits | None = None,
        clock: Clock | None = None,
        log: telemetry.Logger | None = None,
    ) -> None:
        self._address = address
        self._checks = checks
        self._notes = notes or {}
        self._registry = registry
        self._server_metrics = metrics
        self._shared = shared or Shared()
        self._limits = limits or Limits(connections=_CONNECTIONS)
        self._clock = clock or SystemClock()
        self._log = log or telemetry.logger(component="probes")
        self._listener: Listener | None = None
        self._exposition = b""
        self._exposed_s = -_METRICS_AGE_S
        self._pages: Mapping[str, Callable[[], web.Response]] = {
            "/livez": self._live,
            "/healthz": self._live,
            "/readyz": self._ready,
            "/metrics": self._metrics,
        }
        self.port = 0
        """The port it listens on, once started."""

    async def start(self) -> None:
        """Listen. Raises ConfigError when the address can't be used."""
        cuts = Cuts(_NAME, metrics=self._server_metrics, log=self._log, clock=self._clock)
        listener = Listener(
            address=self._address,
            handler=self._serve,
            limits=self._limits,
            shared=self._shared,
            cuts=cuts,
        )
        self.port = await listener.start(stop_s=_STOP_S)
        self._listener = listener
        self._server_metrics.show(_NAME, listener.table, self._shared.budget)

    async def stop(self) -> None:
        """Stop at once: the last server to stop, so that probes see the others stopping."""
        if self._listener is not None:
            await self._listener.stop()
            self._listener = None

    async def _serve(self, request: web.BaseRequest, caller: Caller) -> web.StreamResponse:
        page = self._pages.get(request.path)
        if page is None:
            return web.Response(status=404, text=f"{', '.join(self._pages)} are served here\n")
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={"Allow": "GET, HEAD"})
        await caller.turn()
        start_s = time.perf_counter()
        response = page()
        caller.returns(time.perf_counter() - start_s)
        return response

    def _live(self) -> web.Response:
        return web.Response(text="ok\n")

    def _ready(self) -> web.Response:
        missing = {name: check() for name, check in self._checks.items()}
        wrong = {name: check() for name, check in self._notes.items()}
        lines = [*_lines(missing, "[-]"), *_lines(wrong, "[!]"), ""]
        status = 503 if any(missing.values()) else 200
        return web.Response(status=status, text="\n".join(lines))

    def _metrics(self) -> web.Response:
        now_s = self._clock.monotonic()
        if now_s - self._exposed_s >= _METRICS_AGE_S:
            self._exposition, self._exposed_s = generate_latest(self._registry), now_s
        return web.Response(body=self._exposition, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _lines(reasons: Mapping[str, str], mark: str) -> list[str]:
    return [f"{mark} {name}: {why}" if why else f"[+] {name}" for name, why in reasons.items()]
