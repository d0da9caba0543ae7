"""Probes and metrics over plain HTTP, on a port of their own.

`/livez` says that the event loop runs. `/readyz` asks each named check and shows all of them, so
that `kubectl describe pod` (which prints the body of a failed probe) says what is missing.
`/healthz` is the Go bridge's name for `/livez`.
"""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from bridge.server import addresses

Check = Callable[[], str]
""""" when all is well, else what is missing."""


class ProbesServer:
    """Serves `/livez`, `/healthz`, `/readyz` and `/metrics`."""

    def __init__(
        self,
        *,
        address: addresses.Address,
        checks: Mapping[str, Check],
        registry: CollectorRegistry,
    ) -> None:
        self._address = address
        self._checks = checks
        self._registry = registry
        self._runner: web.ServerRunner | None = None
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
        sockets = await addresses.bound(self._address)
        server = web.Server(self._serve, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self._runner.setup()
        for one in sockets:
            await web.SockSite(self._runner, one).start()
        self.port = sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop at once: the last server to stop, so that probes see the others stopping."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

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

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        page = self._pages.get(request.path)
        if page is None:
            return web.Response(status=404, text=f"{', '.join(self._pages)} are served here\n")
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={"Allow": "GET, HEAD"})
        return page()

    def _live(self) -> web.Response:
        return web.Response(text="ok\n")

    def _ready(self) -> web.Response:
        missing = {name: check() for name, check in self._checks.items()}
        lines = [
            f"[-] {name}: {reason}" if reason else f"[+] {name}" for name, reason in missing.items()
        ]
        status = 503 if any(missing.values()) else 200
        return web.Response(status=status, text="\n".join([*lines, ""]))

    def _metrics(self) -> web.Response:
        body = generate_latest(self._registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
