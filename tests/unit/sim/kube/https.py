"""An HTTPS server of a test: each path answered by a function of the parsed body."""

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Json = Any
Handler = Callable[[Json], Json | Awaitable[Json]]


@dataclass(slots=True)
class Service:
    """Where it listens, and what it was asked."""

    port: int = 0
    calls: list[tuple[str, Json]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its root."""
        return f"https://127.0.0.1:{self.port}"


@asynccontextmanager
async def serving(handlers: dict[str, Handler], tls: ssl.SSLContext) -> AsyncIterator[Service]:
    """Serve until the context ends. A handler may give a (code, text) pair instead of a body."""
    service = Service()

    async def handle(request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        service.calls.append((request.path, body))
        answer = handlers[request.path](body)
        if isinstance(answer, Awaitable):
            answer = await answer
        if isinstance(answer, tuple):
            return web.Response(status=answer[0], text=answer[1])
        return web.json_response(answer)

    app = web.Application()
    app.router.add_post("/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    service.port = runner.addresses[0][1]
    try:
        yield service
    finally:
        await runner.cleanup()
