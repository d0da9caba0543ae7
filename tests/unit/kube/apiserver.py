"""A loopback API server whose answers are scripted, and a clock that jumps."""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from aiohttp import web

from bridge.config import KubernetesSettings
from bridge.kube.api.client import KubeClient
from bridge.kube.api.credentials import Places

Answer = Callable[["ApiServer", web.Request], Awaitable[web.StreamResponse]]


class JumpClock:
    """Sleeping takes no time and moves the clock; the waits are kept."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_800_000_000.0 + self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class HeldClock(JumpClock):
    """Sleepers wake when the test advances the clock, in the order of their times."""

    def __init__(self) -> None:
        super().__init__()
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        woken = asyncio.Event()
        self._sleepers.append((self.now + seconds, woken))
        await woken.wait()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        for due, woken in sorted(self._sleepers, key=lambda one: one[0]):
            if due <= self.now:
                woken.set()
        self._sleepers = [one for one in self._sleepers if one[0] > self.now]

    @property
    def sleepers(self) -> int:
        """How many wait."""
        return len(self._sleepers)


async def until(test: Callable[[], bool]) -> None:
    """Let the others run until it is true."""
    async with asyncio.timeout(10):
        while not test():  # noqa: ASYNC110  (what is waited for has no event)
            await asyncio.sleep(0)


@dataclass(frozen=True)
class Request:
    """What arrived."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


class ApiServer:
    """Answers `on(method, path)` in the order given; the last answer repeats."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.url = ""
        self.closing = asyncio.Event()
        self._answers: dict[tuple[str, str], deque[Answer]] = defaultdict(deque)
        self._arrived = asyncio.Condition()
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *error: object) -> None:
        self.closing.set()
        await self._runner.cleanup()

    def on(self, method: str, path: str, *answers: Answer) -> Self:
        """More answers for this request."""
        self._answers[method, path].extend(answers)
        return self

    def seen(self, method: str, path: str | None = None) -> list[Request]:
        """Requests that arrived so far."""
        return [
            one
            for one in self.requests
            if one.method == method and (path is None or one.path == path)
        ]

    async def until(self, count: int, method: str, path: str | None = None) -> list[Request]:
        """Wait until so many of these have arrived."""
        async with asyncio.timeout(10), self._arrived:
            await self._arrived.wait_for(lambda: len(self.seen(method, path)) >= count)
        return self.seen(method, path)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        data = await request.read()
        async with self._arrived:
            self.requests.append(
                Request(
                    method=request.method,
                    path=request.path,
                    query=dict(request.query),
                    headers=dict(request.headers),
                    body=json.loads(data) if data else None,
                )
            )
            self._arrived.notify_all()
        answers = self._answers[request.method, request.path]
        if not answers:
            return web.json_response({"message": "nothing scripted", "code": 404}, status=404)
        answer = answers.popleft() if len(answers) > 1 else answers[0]
        return await answer(self, request)


def ok(body: Any, status: int = 200) -> Answer:
    """A JSON body."""

    async def answer(_: ApiServer, __: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status)

    return answer


def refuse(
    code: int,
    reason: str = "",
    message: str = "no",
    *,
    headers: Mapping[str, str] | None = None,
    details: Mapping[str, Any] | None = None,
) -> Answer:
    """A Status object, as the API server refuses."""
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
        "details": details or {},
    }

    async def answer(_: ApiServer, __: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=code, headers=headers)

    return answer


def raw(data: bytes, status: int = 200) -> Answer:
    """Any bytes."""

    async def answer(_: ApiServer, __: web.Request) -> web.StreamResponse:
        return web.Response(body=data, status=status, content_type="text/plain")

    return answer


def drop() -> Answer:
    """The connection is closed without a word."""

    async def answer(_: ApiServer, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    return answer


def silent() -> Answer:
    """Nothing at all, until the server closes."""

    async def answer(server: ApiServer, _: web.Request) -> web.StreamResponse:
        await server.closing.wait()
        return web.Response(status=503)

    return answer


def watch(*pieces: bytes, then: Literal["end", "drop", "stay"] = "stay") -> Answer:
    """The pieces one by one, and then the stream ends, breaks, or stays open and silent."""

    async def answer(server: ApiServer, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        if then == "drop":
            assert request.transport is not None
            request.transport.abort()
        elif then == "stay":
            await server.closing.wait()
        return response

    return answer


def event(kind: str, obj: Mapping[str, Any]) -> bytes:
    """One line of a watch."""
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def listed(*items: Mapping[str, Any], version: str = "100", more: str = "") -> Mapping[str, Any]:
    """A list, or one page of it."""
    meta = {"resourceVersion": version, **({"continue": more} if more else {})}
    return {"kind": "List", "apiVersion": "v1", "metadata": meta, "items": list(items)}


def kubeconfig(path: Path, server: str, user: Mapping[str, Any] | None = None) -> Path:
    """A kubeconfig with the contexts `main` and `other`."""
    cluster = {"server": server}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "main",
        "clusters": [{"name": "here", "cluster": cluster}],
        "users": [{"name": "me", "user": dict(user or {"token": "secret"})}],
        "contexts": [
            {"name": "main", "context": {"cluster": "here", "user": "me"}},
            {"name": "other", "context": {"cluster": "here", "user": "me"}},
        ],
    }
    path.write_text(yaml.safe_dump(document))
    return path


@asynccontextmanager
async def connected(
    server: ApiServer,
    folder: Path,
    *,
    clock: JumpClock | None = None,
    user: Mapping[str, Any] | None = None,
    timeout_s: float = 5.0,
    **settings: Any,  # of KubernetesSettings
) -> AsyncIterator[KubeClient]:
    """A client of that server."""
    file = await asyncio.to_thread(kubeconfig, folder / "config", server.url, user)
    client = await KubeClient.connect(
        KubernetesSettings(kubeconfig=str(file), **settings),
        clock=clock or JumpClock(),
        places=Places(environ={}, service_account=folder / "none", home=folder / "home"),
        timeout_s=timeout_s,
    )
    try:
        yield client
    finally:
        await client.close()
