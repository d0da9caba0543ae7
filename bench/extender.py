"""What the extender's `filter` costs, against the server that it runs on.

kube-scheduler waits for each call, so its time is every pod's time. The same server (in a process
of its own, as in production, uvloop) answers three paths with the same bodies: `echo` sends the
body back, `read` answers two bytes, `filter` decides. Calls take turns, medians are compared, so
that a noisy machine disturbs all alike. A body is what kube-scheduler sends: one pod of about
5 KB and the names of the candidates; the granted node is the last of them.

A pinned pod has one candidate; 15,000 is a pod that reached kube-scheduler unpinned. For few names
an echo costs 0.1 ms, so there the fixed cost of reading the pod (0.04 ms) is most of the ratio.

    python -m bench.extender
"""

import asyncio
import json
import multiprocessing
import random
import statistics
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

import uvloop

from bench.report import Report
from bridge import telemetry
from bridge.clock import SystemClock
from bridge.extender.service import Extender
from bridge.model.ids import NodeName, PodUid, SlurmJobId
from bridge.model.verdict import Verdict
from bridge.server import addresses
from bridge.server.https import HttpsServer, Route
from bridge.server.metrics import ServerMetrics

SEED = 6
FLOORS = {1: 2.0, 500: 2.0, 5_000: 2.0, 15_000: 1.5}
"""Names → how many echoes a filter may cost."""
PATHS = ("/echo", "/read", "/filter", "/waiting")


class Granted:
    """Every pod has the node that its uid names; a pod without one waits."""

    def verdict(self, uid: PodUid) -> Verdict | None:
        if not uid:
            return None
        node = None if uid == "waits" else NodeName(uid)
        return Verdict(uid, node, SlurmJobId(7), "Slurm job 7 waits in partition gpu: Priority.")

    async def confirm(self, verdict: Verdict) -> bool:
        return True


class NoBinder:
    """Nothing is bound here."""

    async def bind(self, *, namespace: str, name: str, uid: PodUid, node: NodeName) -> None:
        raise NotImplementedError

    async def node_of(self, *, namespace: str, name: str, uid: PodUid) -> NodeName | None:
        raise NotImplementedError


async def _echo(body: bytes) -> tuple[int, bytes]:
    return 200, body


async def _read(body: bytes) -> tuple[int, bytes]:
    return 200, b"{}"


def _serve(ready: Connection) -> None:
    """The server's process: tells its port, serves until the other end closes."""
    uvloop.run(_serving(ready))


async def _serving(ready: Connection) -> None:
    extender = Extender(verdicts=Granted(), binder=NoBinder(), clock=SystemClock())
    telemetry.configure(level="error", log_format="json")
    handlers = (_echo, _read, extender.filter, extender.filter)
    server = HttpsServer(
        address=addresses.Address("127.0.0.1", 0),
        routes=[Route(path, handler) for path, handler in zip(PATHS, handlers, strict=True)],
        tls=None,
        metrics=ServerMetrics(telemetry.Metrics()),
    )
    async with server:
        ready.send(server.port)
        await asyncio.to_thread(ready.poll, None)


def body(names: Sequence[str], *, uid: str) -> bytes:
    """ExtenderArgs as Go writes it."""
    pod = {
        "metadata": {
            "name": "train-0",
            "namespace": "research",
            "uid": uid,
            "annotations": {f"note-{number}": "x" * 100 for number in range(20)},
        },
        "spec": {
            "containers": [
                {"name": "main", "env": [{"name": f"V{n}", "value": "y" * 40} for n in range(30)]}
            ]
        },
    }
    args = {"Pod": pod, "Nodes": None, "NodeNames": list(names)}
    return json.dumps(args, separators=(",", ":")).encode()


async def _call(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, content: bytes
) -> tuple[float, bytes]:
    """Seconds from the first byte sent to the last received, and the answer."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    start = time.perf_counter()
    writer.write(head)
    writer.write(content)
    told = await reader.readuntil(b"\r\n\r\n")
    length = int(told.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    answer = await reader.readexactly(length)
    return time.perf_counter() - start, answer


async def _measure(port: int, report: Report) -> None:
    chooser = random.Random(SEED)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    for size in FLOORS:
        names = [f"ip-10-{n >> 8}-{n & 255}-{chooser.randrange(256)}.ec2" for n in range(size)]
        contents = dict.fromkeys(PATHS, body(names, uid=names[-1]))
        contents["/waiting"] = body(names, uid="waits")
        times: dict[str, list[float]] = {path: [] for path in PATHS}
        for turn in range(300 if size > 1_000 else 2_000):
            for path in PATHS:
                seconds, answer = await _call(reader, writer, path, contents[path])
                if turn >= 20:
                    times[path].append(seconds)
                elif path == "/filter":
                    assert json.loads(answer)["NodeNames"] == [names[-1]]
        _add(report, size, len(contents["/echo"]), times)
    writer.close()


def _add(report: Report, size: int, length: int, times: dict[str, list[float]]) -> None:
    median = {path: statistics.median(values) * 1000 for path, values in times.items()}
    ratio = median["/filter"] / median["/echo"]
    report.row(
        names=size,
        body_kib=round(length / 1024, 1),
        echo_ms=median["/echo"],
        read_ms=median["/read"],
        filter_ms=median["/filter"],
        waiting_ms=median["/waiting"],
        filter_p99_ms=statistics.quantiles(times["/filter"], n=100)[98] * 1000,
        filter_per_echo=ratio,
        filter_per_read=median["/filter"] / median["/read"],
    )
    report.at_most(f"filter per echo, {size:,} names", ratio, FLOORS[size], "times")


def main() -> int:
    """Run it; the exit code."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,))
    server.start()
    report = Report("extender", SEED)
    try:
        uvloop.run(_measure(ours.recv(), report))
    finally:
        ours.send(None)
        server.join()
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
