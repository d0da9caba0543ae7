"""A way to the API server that can go bad: between the bridge and whichever stack it is on.

The bridge is pointed at it by a kubeconfig of its own; everybody else goes straight. What is not
to fail is passed on as it is, watches chunk by chunk.
"""

import asyncio
import json
import queue
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp
import yaml
from aiohttp import web

_DROPPED = {"connection", "keep-alive", "transfer-encoding", "host", "content-length"}
_REASONS = {410: "Expired", 429: "TooManyRequests", 500: "InternalError"}


@dataclass(slots=True)
class Fault:
    """What the next `times` requests of this method whose path has `part` in it meet.

    `answer`: they are refused with `status`. `watch`: a watch opens, and then brings an ERROR
    event with that code.
    """

    status: int
    method: str
    part: str
    times: int
    kind: Literal["answer", "watch"] = "answer"
    met: int = 0

    def meets(self, request: web.Request) -> bool:
        watching = request.query.get("watch") in ("true", "1")
        return (
            self.met < self.times
            and self.method in ("", request.method)
            and self.part in request.path
            and (self.kind != "watch" or watching)
        )


class Gate:
    """`with Gate(folder, kubeconfig) as gate`: `gate.kubeconfig` leads through it."""

    def __init__(self, folder: Path, upstream: Path) -> None:
        loaded = yaml.safe_load(upstream.read_text())
        self._cluster = loaded["clusters"][0]["cluster"]
        self._user = loaded["users"][0]["user"]
        self.kubeconfig = folder / "gate.kubeconfig"
        self.faults: list[Fault] = []
        self._started: queue.SimpleQueue[int | BaseException] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="gate", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        port = self._started.get(timeout=30)
        if isinstance(port, BaseException):
            raise port
        user = {"token": self._user["token"]} if "token" in self._user else {}
        self.kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "gate",
                    "clusters": [
                        {"name": "gate", "cluster": {"server": f"http://127.0.0.1:{port}"}}
                    ],
                    "users": [{"name": "gate", "user": user}],
                    "contexts": [{"name": "gate", "context": {"cluster": "gate", "user": "gate"}}],
                }
            )
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=30)
        assert not self._thread.is_alive(), "the gate does not end"

    def fail(self, status: int, *, method: str = "", part: str = "", times: int = 3) -> Fault:
        """The next requests that match are refused."""
        return self._add(Fault(status, method, part, times))

    def fail_watch(self, status: int, *, part: str = "", times: int = 1) -> Fault:
        """The next watches that match open and end with an ERROR event."""
        return self._add(Fault(status, "GET", part, times, "watch"))

    def _add(self, fault: Fault) -> Fault:
        self.faults.append(fault)
        return fault

    def end_watches(self) -> None:
        """Watches that are open break off, so that new ones are begun."""
        self._loop.call_soon_threadsafe(self._break.set)

    # -- in its thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # told by __enter__
            self._started.put(error)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop, self._break = asyncio.Event(), asyncio.Event()
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        connector = aiohttp.TCPConnector(ssl=self._tls(), limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            self._session = session
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self._started.put(int(runner.addresses[0][1]))
            await self._stop.wait()
            self._break.set()
            await runner.cleanup()

    def _tls(self) -> ssl.SSLContext | bool:
        if not self._cluster["server"].startswith("https"):
            return False
        context = ssl.create_default_context(cafile=self._cluster["certificate-authority"])
        if "client-certificate" in self._user:
            context.load_cert_chain(self._user["client-certificate"], self._user["client-key"])
        return context

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        fault = next((one for one in self.faults if one.meets(request)), None)
        if fault is not None:
            fault.met += 1
            return await self._refuse(request, fault)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _DROPPED}
        url = self._cluster["server"] + request.path_qs
        body = await request.read()
        async with self._session.request(
            request.method, url, headers=headers, data=body or None
        ) as found:
            kept = {k: v for k, v in found.headers.items() if k.lower() not in _DROPPED}
            answer = web.StreamResponse(status=found.status, headers=kept)
            await answer.prepare(request)
            await self._pass_on(found, answer)
            return answer

    async def _pass_on(self, found: aiohttp.ClientResponse, answer: web.StreamResponse) -> None:
        broken = asyncio.create_task(self._break.wait())
        try:
            while True:
                more = asyncio.ensure_future(found.content.readany())
                await asyncio.wait({more, broken}, return_when=asyncio.FIRST_COMPLETED)
                if not more.done():
                    more.cancel()
                    self._break.clear()
                    return
                if not (chunk := more.result()):
                    return
                with suppress(ConnectionError):
                    await answer.write(chunk)
        finally:
            broken.cancel()

    async def _refuse(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        status: dict[str, Any] = {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "reason": _REASONS[fault.status], "code": fault.status,
            "message": f"the gate says {fault.status}",
        }  # fmt: skip
        if fault.kind == "watch":
            return web.json_response({"type": "ERROR", "object": status}, dumps=_line)
        headers = {"Retry-After": "1"} if fault.status == 429 else {}
        return web.json_response(status, status=fault.status, headers=headers)


def _line(content: Any) -> str:
    return json.dumps(content) + "\n"
