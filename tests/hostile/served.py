"""Our two servers in a process of their own, as in production: uvloop, TLS, the real webhook and
extender behind them; and those who call them rightly."""

import asyncio
import contextlib
import json
import multiprocessing
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

import uvloop
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from bench import admission, calls, extender
from bridge import names, telemetry
from bridge.server import addresses, certificates, descriptors
from bridge.server.budget import Budget
from bridge.server.connections import Limits
from bridge.server.https import HttpsServer, Route
from bridge.server.listener import Shared
from bridge.server.metrics import ServerMetrics
from bridge.server.probes import ProbesServer
from bridge.server.tls import CertificateFiles, Tls
from tests.hostile.crowds import HOST, Doors

LIMITS = Limits(connections=1024, headers_s=1.0, body_s=3.0)
PROBES_LIMITS = Limits(connections=256, headers_s=1.0)
MEMORY_BYTES = 16 << 20
ANSWER_S = 60.0
"""Longer than anything but a hang takes."""
NODE = "node-a"
FILTER = "/scheduler/filter"


@dataclass(frozen=True, slots=True)
class Served:
    """Servers that run."""

    doors: Doors
    folder: certificates.Folder

    def tls(self, *, scheduler: bool = False) -> ssl.SSLContext:
        """How to call them; kube-scheduler shows its certificate."""
        context = ssl.create_default_context(cafile=str(self.folder.ca))
        if scheduler:
            context.load_cert_chain(self.folder.client, self.folder.client_key)
        return context


@contextlib.contextmanager
def serving(path: Path) -> Iterator[Served]:
    """Both servers; certificates are made in `path`."""
    folder = certificates.Folder(path)
    certificates.ensure(folder, hosts=[HOST], now_s=time.time())
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, folder))
    process.start()
    theirs.close()  # so that servers that do not come up are noticed
    try:
        port, probes_port = ours.recv()
        yield Served(Doors(port, probes_port, folder.ca), folder)
    finally:
        ours.close()
        process.join()


def _serve(ready: Connection, folder: certificates.Folder) -> None:
    descriptors.raise_limit()
    uvloop.run(_serving(ready, folder))


async def _serving(ready: Connection, folder: certificates.Folder) -> None:
    telemetry.configure(level="error", log_format="json")
    metrics = telemetry.Metrics()
    counted, shared = ServerMetrics(metrics), Shared(Budget(MEMORY_BYTES))
    webhook = [one for one in admission.routes() if one.path != "/echo"]
    scheduler = extender.routes()[extender.PATHS.index("/filter")]
    https = HttpsServer(
        address=addresses.Address(HOST, 0),
        routes=[*webhook, Route(FILTER, scheduler.handler, client_certificate=True)],
        tls=Tls(CertificateFiles(folder.server, folder.server_key, folder.ca)),
        metrics=counted,
        shared=shared,
        limits=LIMITS,
    )
    probes = ProbesServer(
        address=addresses.Address(HOST, 0),
        checks={"https": https.not_ready},
        registry=metrics.registry,
        metrics=counted,
        shared=shared,
        limits=PROBES_LIMITS,
    )
    async with probes, https:
        ready.send((https.port, probes.port))
        await asyncio.to_thread(ready.poll, None)


class Honest:
    """An API server, a kube-scheduler and a kubelet that scrapes too: each calls over a connection
    that it keeps, and over a new one in every round."""

    def __init__(self, served: Served) -> None:
        self._doors: dict[str, tuple[int, ssl.SSLContext | None]] = {
            "api": (served.doors.https, served.tls()),
            "scheduler": (served.doors.https, served.tls(scheduler=True)),
            "kubelet": (served.doors.probes, None),
        }
        self._review = admission.body(admission.a_pod())
        self._filter = extender.body([NODE], uid=NODE)
        self._kept: dict[str, calls.Connected] = {}
        self._samples: list[Sample] = []

    async def __aenter__(self) -> Self:
        self._kept = {who: await self._open(who) for who in self._doors}
        await self.round()
        return self

    async def __aexit__(self, *ended: object) -> None:
        for _, writer in self._kept.values():
            writer.transport.abort()

    async def round(self) -> None:
        """All calls at once. Fails if one is not answered, or wrongly."""
        fresh: dict[str, calls.Connected] = {}

        async def call_anew(who: str) -> None:
            fresh[who] = await self._open(who)
            await self._call(who, fresh[who])

        try:
            async with asyncio.timeout(ANSWER_S), asyncio.TaskGroup() as group:
                for who in self._doors:
                    group.create_task(self._call(who, self._kept[who]))
                    group.create_task(call_anew(who))
        finally:
            for _, writer in fresh.values():
                writer.transport.abort()

    def count(self, name: str, **labels: str) -> float:
        """What the last metrics say, of all labels together that are not given."""
        return sum(
            one.value
            for one in self._samples
            if one.name == name and labels.items() <= one.labels.items()
        )

    async def _open(self, who: str) -> calls.Connected:
        port, tls = self._doors[who]
        connected: calls.Connected = await asyncio.open_connection(
            HOST, port, ssl=tls, limit=1 << 24
        )
        return connected

    async def _call(self, who: str, connected: calls.Connected) -> None:
        if who == "api":
            for path in (names.MUTATE_PATH, names.VALIDATE_PATH):
                _, status, answer = await calls.call(connected, path, self._review)
                assert (status, b'"allowed"' in answer) == (200, True), answer
        elif who == "scheduler":
            _, status, answer = await calls.call(connected, FILTER, self._filter)
            assert (status, json.loads(answer)["NodeNames"]) == (200, [NODE]), answer
        else:
            assert await _get(connected, "/livez") == "ok\n"
            assert await _get(connected, "/readyz") == "[+] https\n"
            told = await _get(connected, "/metrics")
            self._samples = [
                sample
                for family in text_string_to_metric_families(told)
                for sample in family.samples
            ]


async def _get(connected: calls.Connected, path: str) -> str:
    reader, writer = connected
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    return (await reader.readexactly(length)).decode()
