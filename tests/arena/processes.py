"""The bridge as several processes: controllers of which one leads, extenders, webhooks.

Extenders, webhooks, and the controllers for people who ask, stand behind a balancer each, as behind
a Service: each connection goes to the next of them that answers.
"""

import asyncio
import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge.app.process import LOST_LEASE
from tests.arena.bridge import Bridge

COUNTS = {"controller": 2, "extender": 2, "webhook": 2}
LEASE = {"leaseNamespace": "kube-system", "leaseName": "slurm-bridge-controller"}


class Processes(Bridge):
    """Stands where one `slurm-bridge run` would: `kill` and `stop` are for all of them."""

    def __init__(
        self,
        folder: Path,
        *,
        settings: Mapping[str, Any],
        extender_port: int,
        webhook_port: int,
        api_port: int,
        prefix: tuple[str, ...] = (),
        counts: Mapping[str, int] = COUNTS,
    ) -> None:
        super().__init__(folder, settings=settings, probes_port=0, prefix=prefix)
        self._extender_port = extender_port
        self._webhook_port = webhook_port
        self._api_port = api_port
        self._counts = counts
        self.parts: dict[str, Bridge] = {}
        """By name: controller-0, extender-1 …"""
        self.rpc_ports: dict[str, int] = {}
        self.api_ports: dict[str, int] = {}
        self._balancers: list[Balancer] = []
        self._over = threading.Event()
        self._kubelet: threading.Thread | None = None

    def of(self, kind: str) -> list[Bridge]:
        """The processes of one kind."""
        return [part for name, part in self.parts.items() if name.startswith(kind)]

    def start(self, *, wait: bool = True, seconds: float = 90.0) -> None:
        self._write_config()  # for commands
        if not self.parts:
            self._make()
        for part in self.parts.values():
            if not part.running:
                part.settings = {**self.settings, **_own(part.settings)}
                part.start(wait=False)
        if self._kubelet is None:
            self._over.clear()
            self._kubelet = threading.Thread(target=self._restart, daemon=True)
            self._kubelet.start()
        if wait:
            self.wait_ready(seconds)

    def _restart(self) -> None:
        """As a kubelet does: starts what ended by itself. What a story has killed stays so."""
        while not self._over.wait(0.1):
            for part in list(self.parts.values()):
                if part.exit_code == LOST_LEASE:
                    part.start(wait=False)

    def _make(self) -> None:
        ports: dict[str, list[int]] = {}
        for kind, count in self._counts.items():
            for number in range(count):
                listen, probes, rpc, api = free_ports(4)
                name = f"{kind}-{number}"
                self.rpc_ports[name] = rpc
                self.api_ports[name] = api
                ports.setdefault(kind, []).append(listen)
                self.parts[name] = Bridge(
                    self.folder,
                    settings=_with_ports(
                        self.settings, listen=listen, probes=probes, rpc=rpc, api=api
                    ),
                    probes_port=probes,
                    prefix=self._prefix,
                    command=kind,
                    name=name,
                )
        for port, backends in (
            (self._extender_port, ports["extender"]),
            (self._webhook_port, ports["webhook"]),
            (self._api_port, list(self.api_ports.values())),
        ):
            self._balancers.append(Balancer(port, backends))
            self._balancers[-1].start()

    def wait_ready(self, seconds: float = 90.0) -> None:
        """Until all are; one that has just given up is started again."""
        end_s = time.monotonic() + seconds
        while self.ready() != "":
            assert time.monotonic() < end_s, f"not ready: {self.ready()}\n{self.log()[-4000:]}"
            time.sleep(0.05)

    def ready(self) -> str:
        said = {name: part.ready() for name, part in self.parts.items()}
        return "; ".join(f"{name}: {text}" for name, text in said.items() if text)

    @property
    def running(self) -> bool:
        return bool(self.parts) and all(part.running for part in self.parts.values())

    @property
    def pid(self) -> int | None:
        return next((part.pid for part in self.parts.values() if part.running), None)

    def kill(self) -> None:
        """Each in its turn, so that none is taken for one that ended by itself."""
        for part in self.parts.values():
            part.end()

    def end(self) -> None:
        self.kill()
        self._close()

    def stop(self) -> int:
        codes = [part.stop() for part in self.parts.values()]
        self._close()
        return max(codes, default=0)

    def log(self) -> str:
        return "\n".join(part.log() for part in self.parts.values())

    def forget_log(self) -> None:
        for part in self.parts.values():
            part.forget_log()

    def _close(self) -> None:
        self._over.set()
        if self._kubelet is not None:
            self._kubelet.join()
            self._kubelet = None
        for balancer in self._balancers:
            balancer.stop()
        self._balancers.clear()
        self.parts.clear()


class Balancer:
    """Listens on a port of loopback; each connection goes to the next backend that takes it."""

    def __init__(self, port: int, backends: list[int]) -> None:
        self._port = port
        self._backends = backends
        self._turn = itertools.count()
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"balancer {port}", daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(10), "the balancer does not start"
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=10)
        assert not self._thread.is_alive(), "the balancer does not end"

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # told by start()
            self._error = error
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        calls: set[asyncio.Task[None]] = set()

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            calls.add(task)
            try:
                await self._pass_on(reader, writer)
            finally:
                calls.discard(task)

        server = await asyncio.start_server(take, "127.0.0.1", self._port)
        self._started.set()
        await self._stop.wait()
        server.close()
        for task in tuple(calls):
            task.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        backend = await self._connect()
        if backend is None:
            writer.close()
            return
        there_reader, there_writer = backend
        one = asyncio.create_task(_copy(reader, there_writer))
        other = asyncio.create_task(_copy(there_reader, writer))
        try:
            await asyncio.wait({one, other}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (one, other):
                task.cancel()
            await asyncio.gather(one, other, return_exceptions=True)
            for side in (writer, there_writer):
                side.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for _ in self._backends:
            port = self._backends[next(self._turn) % len(self._backends)]
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port)
        return None


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


_OWN = ("server", "rpc", "api", "leader")


def _own(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a process's settings have that the others' have not."""
    return {key: settings[key] for key in _OWN}


def _with_ports(
    settings: Mapping[str, Any], *, listen: int, probes: int, rpc: int, api: int
) -> dict[str, Any]:
    server = {
        **settings["server"],
        "listen": f"127.0.0.1:{listen}",
        "metricsListen": f"127.0.0.1:{probes}",
    }
    return {
        **settings,
        "server": server,
        "rpc": {"listen": f"127.0.0.1:{rpc}", "advertise": "127.0.0.1", "serverName": "localhost"},
        "api": {"listen": f"127.0.0.1:{api}"},
        "leader": {**LEASE, **settings.get("leader", {})},
    }


def free_ports(count: int) -> list[int]:
    """Ports that are free now, each another."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
