"""The bridge as several processes: controllers of which one leads, extenders, webhooks.

Extenders, webhooks, and the controllers for people who ask, stand behind a balancer each, as behind
a Service: each connection goes to the next of them that answers.
"""

import asyncio
import contextlib
import itertools
import random
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bridge.app.process import LOST_LEASE
from tests.arena.bridge import Bridge

COUNTS = {"controller": 2, "extender": 2, "webhook": 2}
LEASE = {"leaseNamespace": "kube-system", "leaseName": "slurm-bridge-controller"}


class Ports(NamedTuple):
    """Of one process."""

    listen: int
    probes: int
    rpc: int
    api: int


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
        self._ports: dict[str, Ports] = {}
        self._balancers: list[Balancer] = []
        self._over = threading.Event()
        self._kubelet: threading.Thread | None = None

    @property
    def rpc_ports(self) -> dict[str, int]:
        """Where controllers tell extenders, by name."""
        return {name: ports.rpc for name, ports in self._of("controller")}

    @property
    def api_ports(self) -> dict[str, int]:
        """Where controllers answer people, by name."""
        return {name: ports.api for name, ports in self._of("controller")}

    def of(self, kind: str) -> list[Bridge]:
        """The processes of one kind."""
        return [part for name, part in self.parts.items() if name.startswith(kind)]

    def start(self, *, wait: bool = True, seconds: float = 90.0) -> None:
        self._write_config()  # for commands
        if not self.parts:
            self._make()
        for name, part in self.parts.items():
            if not part.running:
                if part.folder != self.folder:
                    part = self.parts[name] = self._part(name)
                part.settings = _with_ports(self.settings, self._ports[name])
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

    def take_over(self, other: "Processes") -> None:
        """The other's extenders and webhooks go on. Its controllers end, and ours start in their
        place, with other settings."""
        other.end_restarts()
        self.parts, other.parts = other.parts, {}
        self._balancers, other._balancers = other._balancers, []
        self._ports = other._ports
        for part in self.of("controller"):
            assert part.stop() == 0, f"a controller ended badly:\n{part.log()[-3000:]}"
        self.forget_log()
        self.start()

    def _make(self) -> None:
        for kind, count in self._counts.items():
            for number in range(count):
                name = f"{kind}-{number}"
                self._ports[name] = Ports(*free_ports(4))
                self.parts[name] = self._part(name)
        for port, backends in (
            (self._extender_port, self._listen_ports("extender")),
            (self._webhook_port, self._listen_ports("webhook")),
            (self._api_port, list(self.api_ports.values())),
        ):
            self._balancers.append(Balancer(port, backends))
            self._balancers[-1].start()

    def _listen_ports(self, kind: str) -> list[int]:
        return [ports.listen for _, ports in self._of(kind)]

    def _of(self, kind: str) -> list[tuple[str, Ports]]:
        return [item for item in self._ports.items() if item[0].startswith(kind)]

    def _part(self, name: str) -> Bridge:
        ports = self._ports[name]
        return Bridge(
            self.folder,
            settings=_with_ports(self.settings, ports),
            probes_port=ports.probes,
            prefix=self._prefix,
            command=name.partition("-")[0],
            name=name,
        )

    def assert_not_ended(self) -> None:
        """One that has lost its Lease is started again."""
        for name, part in self.parts.items():
            code = part.exit_code
            assert code in (None, LOST_LEASE), f"{name} ended:\n{part.log()[-4000:]}"

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
        return "\n".join(self.logs())

    def logs(self) -> list[str]:
        return [part.log() for part in self.parts.values()]

    def forget_log(self) -> None:
        for part in self.parts.values():
            part.forget_log()

    def end_restarts(self) -> None:
        """What ends from now on is not started again."""
        self._over.set()
        if self._kubelet is not None:
            self._kubelet.join()
            self._kubelet = None

    def _close(self) -> None:
        self.end_restarts()
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


def _with_ports(settings: Mapping[str, Any], ports: Ports) -> dict[str, Any]:
    server = {
        **settings["server"],
        "listen": f"127.0.0.1:{ports.listen}",
        "metricsListen": f"127.0.0.1:{ports.probes}",
    }
    rpc = f"127.0.0.1:{ports.rpc}"
    return {
        **settings,
        "server": server,
        "rpc": {"listen": rpc, "advertise": "127.0.0.1", "serverName": "localhost"},
        "api": {"listen": f"127.0.0.1:{ports.api}"},
        "leader": {**LEASE, **settings.get("leader", {})},
    }


_PORTS = range(20_000, 26_000)
"""None that the kernel takes for outgoing connections, which could come first; nor one of a
real stack."""


def free_ports(count: int) -> list[int]:
    """Ports that are free now, each another."""
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with contextlib.closing(socket.socket()) as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise AssertionError(f"{count} free ports of {_PORTS}: there are {len(found)}")
