"""What the extender's `filter` costs, against the server that it runs on.

kube-scheduler waits for each call, so its time is every pod's time. The same HTTPS server (in a
process of its own, as in production, uvloop) answers several paths with the same bodies over TLS:
`echo` sends the body back, `read` answers two bytes, `filter` decides, `waiting` tells a pod
without a node why. A body is what kube-scheduler sends: one pod of about 5 KB and the names of the
candidates; the granted node is the last of them. A pinned pod has one candidate; 15,000 is a pod
that reached kube-scheduler unpinned.

One call at a time: calls take turns, and medians are compared, so that a noisy machine disturbs
all alike. 64 at a time: every call must be answered rightly, and the slowest of a hundred must not
take longer than 64 calls one after the other would, twice over. A crowd keeps both processors busy,
so whatever else runs there only adds to it, in bursts: of several crowds the median one counts.

Amid others: 2,000 connections that send nothing and 200 that send their headers slowly, opened
again as soon as they are cut; medians of one call at a time, over a kept connection and over a new
one for each call, are compared with the same before they came.

    python -m bench.extender
"""

import asyncio
import json
import random
import ssl
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop

from bench import calls
from bench.report import Report
from bridge.clock import SystemClock
from bridge.extender.service import Extender
from bridge.model.ids import NodeName, PodUid, SlurmJobId
from bridge.model.pod_placement import PodPlacement
from bridge.server.https import Route
from tests.hostile.crowds import Doors, crowd

SEED = 6
SIZES = (1, 500, 5_000, 15_000)
MOST_ECHOES = 1.5
"""What a filter may cost, in echoes."""
AT_ONCE = 64
MOST_ROUNDS = 2.0
"""99 of a hundred calls in a crowd take at most so many times as long as the crowd in a row."""
CROWDS, CALLS = 7, 20
"""Crowds, and calls of each of the 64 callers in one."""
NAME = "ip-10-0-0-1.ec2"
OTHERS = {"idle": 2_000, "slow_headers": 200}
MOST_QUIET = 4.0
"""What a call over a kept connection may take amid the others, in calls before they came. The
others are a process that shares the processors, too."""
PATHS = ("/echo", "/read", "/filter", "/waiting")


class Granted:
    """Every pod has the node that its uid names; a pod without one waits."""

    def of(self, uid: PodUid) -> PodPlacement | None:
        if not uid:
            return None
        node = None if uid == "waits" else NodeName(uid)
        return PodPlacement(
            uid, node, SlurmJobId(7), "Slurm job 7 waits in partition gpu: Priority."
        )

    async def confirm(self, placement: PodPlacement) -> bool:
        return True


class NoBinder:
    """Nothing is bound here."""

    async def bind(self, *, namespace: str, name: str, uid: PodUid, node: NodeName) -> None:
        raise NotImplementedError

    async def node_of(self, *, namespace: str, name: str, uid: PodUid) -> NodeName | None:
        raise NotImplementedError


def routes() -> list[Route]:
    """What is served: in `PATHS`' order."""
    extender = Extender(placements=Granted(), binder=NoBinder(), clock=SystemClock())
    handlers = (calls.echo, calls.read, extender.filter, extender.filter)
    return [Route(path, handler) for path, handler in zip(PATHS, handlers, strict=True)]


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


class Client:
    """Calls the server with one size of list after the other."""

    def __init__(self, port: int, ca: Path, report: Report) -> None:
        self._port = port
        self._ca = ca
        self._tls = ssl.create_default_context(cafile=str(ca))
        self._report = report
        self._chooser = random.Random(SEED)

    async def run(self) -> None:
        """All sizes."""
        for size in SIZES:
            names = [
                f"ip-10-{n >> 8}-{n & 255}-{self._chooser.randrange(256)}.ec2" for n in range(size)
            ]
            contents = dict.fromkeys(PATHS, body(names, uid=names[-1]))
            contents["/waiting"] = body(names, uid="waits")
            await self._alone(size, contents, names[-1])
            await self._crowd(size, contents["/filter"], names[-1])

    async def amid_others(self) -> None:
        """One name, before and amid those who want nothing."""
        doors = Doors(self._port, 0, self._ca)
        content = body([NAME], uid=NAME)
        quiet = await self._pair("quiet", content)
        with crowd(doors, OTHERS, ("127.0.0.2",)) as complete:
            await asyncio.to_thread(complete)
            amid = await self._pair("2,000 idle, 200 slow", content)
        self._report.at_most("filter amid others, per quiet", amid / quiet, MOST_QUIET, "times")

    async def _pair(self, others: str, content: bytes) -> float:
        """Median seconds over a kept connection; those over new ones are reported beside it."""
        kept, fresh = [], []
        connected = await calls.connect(self._port, self._tls)
        for turn in range(500):
            kept.append((await calls.call(connected, "/filter", content))[0])
            if turn % 5 == 0:
                start = time.perf_counter()
                new = await calls.connect(self._port, self._tls)
                await calls.call(new, "/filter", content)
                fresh.append(time.perf_counter() - start)
                new[1].transport.abort()
        connected[1].close()
        median_s = statistics.median(kept)
        self._report.row(
            names=1,
            at_once=1,
            others=others,
            filter_ms=median_s * 1000,
            filter_p99_ms=calls.p99(kept) * 1000,
            new_connection_ms=statistics.median(fresh) * 1000,
        )
        return median_s

    async def _alone(self, size: int, contents: dict[str, bytes], granted: str) -> None:
        """One call at a time, paths in turn."""
        connected = await calls.connect(self._port, self._tls)
        times: dict[str, list[float]] = {path: [] for path in PATHS}
        for turn in range(320 if size > 1_000 else 2_020):
            for path in PATHS:
                seconds, _, answer = await calls.call(connected, path, contents[path])
                if turn >= 20:
                    times[path].append(seconds)
                elif path == "/filter" and json.loads(answer)["NodeNames"] != [granted]:
                    raise SystemExit(f"the filter does not pass {granted}")
        connected[1].close()
        median = {path: statistics.median(values) * 1000 for path, values in times.items()}
        ratio = median["/filter"] / median["/echo"]
        self._report.row(
            names=size,
            at_once=1,
            body_kib=round(len(contents["/echo"]) / 1024, 1),
            echo_ms=median["/echo"],
            read_ms=median["/read"],
            filter_ms=median["/filter"],
            waiting_ms=median["/waiting"],
            filter_p99_ms=calls.p99(times["/filter"]) * 1000,
            filter_per_echo=ratio,
        )
        self._report.at_most(f"filter per echo, {size:,} names", ratio, MOST_ECHOES, "times")

    async def _crowd(self, size: int, content: bytes, granted: str) -> None:
        """64 callers that call again as soon as they are answered; between two crowds some calls
        one at a time, so that both are measured on the same machine.
        """
        connections = [await calls.connect(self._port, self._tls) for _ in range(AT_ONCE)]
        errors = 0

        async def caller(connected: calls.Connected, count: int) -> list[float]:
            nonlocal errors
            times = []
            for _ in range(count):
                seconds, status, answer = await calls.call(connected, "/filter", content)
                errors += status != 200 or json.loads(answer).get("NodeNames") != [granted]
                times.append(seconds)
            return times

        alone, crowds = [], []
        for _ in range(CROWDS):
            alone.append(statistics.median(await caller(connections[0], 100)))
            found = await asyncio.gather(*(caller(one, CALLS) for one in connections))
            crowds.append(sorted(seconds for one in found for seconds in one))
        middle = sorted(crowds, key=calls.p99)[len(crowds) // 2]
        for _, writer in connections:
            writer.close()
        self._report.row(
            names=size,
            at_once=AT_ONCE,
            body_kib=round(len(content) / 1024, 1),
            filter_ms=statistics.median(middle) * 1000,
            filter_p99_ms=calls.p99(middle) * 1000,
            errors=errors,
        )
        self._report.at_most(f"errors, {AT_ONCE} at once, {size:,} names", errors, 0)
        what = f"p99 at {AT_ONCE} per {AT_ONCE} calls in a row, {size:,} names"
        rounds = calls.p99(middle) / (AT_ONCE * statistics.median(alone))
        self._report.at_most(what, rounds, MOST_ROUNDS, "times")


def main() -> int:
    """Run it; the exit code."""
    report = Report("extender", SEED)
    with calls.serving(routes) as server:
        client = Client(server.port, server.ca, report)
        uvloop.run(client.run())
        uvloop.run(client.amid_others())
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
