"""What watching Slurm costs, against the real daemons: submits, news, and many jobs at rest.

A stack of the bench's own, with jobs that run and hold a core each. Watching is done in a process
of its own: by a JobWatcher that tracks every job, as the bridge does, and in the same run by
reading `/jobs/` as often (or as often as it can be read). Costs are processor time of the client,
slurmrestd and slurmctld from their process accounting over the same span, and bytes of answers;
the processor time that slurmctld and slurmrestd use when nobody asks is a row of its own, and is
in all others.

    python -m bench.slurm [--span 120] [--jobs 1000,10000]
"""

import argparse
import asyncio
import multiprocessing
import secrets
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import httpx2

from bench import processors
from bench.report import Report
from bridge.clock import SystemClock
from bridge.slurm import (
    JobDescription,
    JobSeen,
    JobWatcher,
    NodeDefinition,
    SlurmClient,
    TokenSource,
)
from bridge.slurm.updates import JobUpdate
from tests.e2e.stack import Settings, Stack

SEED = 4
PORT_BASE = 25600
PARTITION = "slurm-bridge"
CPUS = 100
"""Of each node."""
WRITERS = 8
NEWS_SAMPLES = 15
BYTES_FLOOR = 1 / 50
CPU_FLOOR = 1 / 20
REST_FLOOR = 0.05
_SETTLE_S = 20.0
"""At rest before a span begins: for ten seconds after a change the watcher reads more."""
_CLOCK = SystemClock()


class Counting(httpx2.AsyncBaseTransport):
    """The way to slurmrestd; counts what comes back."""

    def __init__(self) -> None:
        self._real = httpx2.AsyncHTTPTransport()
        self.requests = 0
        self.received = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests += 1
        response = await self._real.handle_async_request(request)
        body = await response.aread()
        self.received += len(body)
        headers = {"content-type": response.headers.get("content-type", "")}
        return httpx2.Response(response.status_code, headers=headers, content=body)

    async def aclose(self) -> None:
        await self._real.aclose()


@dataclass(frozen=True)
class Place:
    """How the processes of this bench reach Slurm."""

    url: str
    token_file: str

    def client(self, transport: Counting | None = None) -> SlurmClient:
        return SlurmClient(
            endpoints=[self.url],
            token=TokenSource.from_file(self.token_file),
            timeout_s=120.0,
            transport=transport,
        )


@dataclass
class Told:
    """What a watching process has to say."""

    requests: int = 0
    received: int = 0
    polls: int = 0
    news_s: list[float] = field(default_factory=list)
    """From a change that others made to its event."""
    start_s: list[float] = field(default_factory=list)
    """From the answer to our own submit to the event that the job runs."""


# -- the watching process --------------------------------------------------------------------------


def _watch(place: Place, pipe: Connection, *, whole: bool, interval_s: float) -> None:
    """Its main: `ready`, then for each message it gets the counts since the last."""
    asyncio.run(_whole(place, pipe, interval_s) if whole else _states(place, pipe))


async def _states(place: Place, pipe: Connection) -> None:
    transport = Counting()
    async with place.client(transport) as client, place.client() as others:
        watcher = JobWatcher(client, all_jobs=True)
        task = asyncio.create_task(watcher.run())
        try:
            await watcher.wait_for_sync()
            while len(watcher.jobs) < len(watcher.states):  # noqa: ASYNC110 - no event tells it
                await asyncio.sleep(0.2)
            pipe.send(None)
            while (wish := await asyncio.to_thread(pipe.recv)) != "end":
                told = Told()
                if wish == "news":
                    await _news(watcher, client, others, told)
                told.requests, transport.requests = transport.requests, 0
                told.received, transport.received = transport.received, 0
                pipe.send(told)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _news(watcher: JobWatcher, client: SlurmClient, others: SlurmClient, told: Told) -> None:
    heard: dict[tuple[int, str], float] = {}

    def hear(news: JobUpdate) -> None:
        if isinstance(news, JobSeen):
            heard.setdefault((news.job.id, news.job.state), time.perf_counter())

    end = watcher.subscribe(hear)
    for number in range(NEWS_SAMPLES):
        job_id = await client.submit(a_job("news"))
        submitted_s = time.perf_counter()
        watcher.track(job_id)
        watcher.trigger()
        told.start_s.append(await _heard(heard, (job_id, "RUNNING")) - submitted_s)
        await asyncio.sleep(6.0 + number % 5 / 5)  # at rest again, at no fixed phase of the polls
        await others.cancel_job(job_id)
        cancelled_s = time.perf_counter()
        told.news_s.append(await _heard(heard, (job_id, "CANCELLED")) - cancelled_s)
    end()


async def _heard(heard: Mapping[tuple[int, str], float], what: tuple[int, str]) -> float:
    async with asyncio.timeout(60):
        while what not in heard:  # noqa: ASYNC110 - set by a callback, 2 ms are fine enough
            await asyncio.sleep(0.002)
    return heard[what]


async def _whole(place: Place, pipe: Connection, interval_s: float) -> None:
    """Read `/jobs/` as often as that, parse it, and go on."""
    told = Told()

    async def poll(http: httpx2.AsyncClient) -> None:
        token = await TokenSource.from_file(place.token_file).get(clock=_CLOCK)
        headers = {"X-SLURM-USER-TOKEN": token}
        while True:
            started_s = time.monotonic()
            answer = await http.get(f"{place.url}/slurm/v0.0.45/jobs/", headers=headers)
            told.requests += 1
            told.received += len(answer.content)
            states = {row["job_id"]: row["job_state"] for row in answer.json()["jobs"]}
            told.polls += bool(states)
            await asyncio.sleep(max(0.0, interval_s - (time.monotonic() - started_s)))

    async with httpx2.AsyncClient(timeout=300.0, trust_env=False) as http:
        task = asyncio.create_task(poll(http))
        try:
            while not told.polls:  # noqa: ASYNC110 - once, at the start
                await asyncio.sleep(0.1)
            told = Told()
            pipe.send(None)
            while await asyncio.to_thread(pipe.recv) != "end":
                said, told = told, Told()
                pipe.send(said)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@contextmanager
def _watching(
    place: Place, *, whole: bool = False, interval_s: float = 0.0
) -> Iterator[tuple[int, Connection]]:
    """The process and the pipe to it, once it has read all jobs."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_watch, args=(place, theirs), kwargs={"whole": whole, "interval_s": interval_s}
    )
    process.start()
    try:
        if not ours.poll(900):
            raise TimeoutError("the watching process did not read all jobs in 15 minutes")
        ours.recv()
        assert process.pid is not None
        yield process.pid, ours
        ours.send("end")
        process.join(30)
    finally:
        process.kill()
        process.join()


# -- what is measured ------------------------------------------------------------------------------


def a_job(name: str) -> JobDescription:
    """One core of any node."""
    return JobDescription(
        name=name,
        partition=PARTITION,
        tasks=1,
        cpus_per_task=1,
        memory_per_cpu_mib=100,
        admin_comment=f"{name} {secrets.token_hex(8)}",
        user_id="1000",
        group_id="1000",
    )


async def _fill(place: Place, wanted: int, report: Report) -> None:
    """Submit until so many jobs run; how fast that went is a row."""
    async with place.client() as client:
        there = await client.job_states()
        todo = wanted - sum("RUNNING" in states for states in there.values())
        began_s = time.perf_counter()
        left = iter(range(todo))

        async def write() -> None:
            for _ in left:
                await client.submit(a_job("rest"), recover=False)

        await asyncio.gather(*(write() for _ in range(WRITERS)))
        took_s = time.perf_counter() - began_s
        report.row(what="submits", jobs=todo, per_second=todo / took_s)
        async with asyncio.timeout(600):
            while True:
                states = (await client.job_states()).values()
                if sum("RUNNING" in one for one in states) >= wanted:
                    return
                await asyncio.sleep(0.5)


async def _nodes(place: Place, count: int) -> None:
    async with place.client() as client:
        for number in range(count):
            node = NodeDefinition(
                name=f"rest-{number}",
                address="127.0.0.1",
                cpus=CPUS,
                memory_mib=1_000_000,
                features=(PARTITION,),
                topology=f"fabric:root:spine:leaf-{number // 32}",
            )
            await client.create_node(node)


class Meter:
    """Spans of rest on one stack."""

    def __init__(self, stack: Stack, report: Report, span_s: float) -> None:
        self._stack = stack
        self._report = report
        self._span_s = span_s

    def rest(
        self, what: str, jobs: int, client: int | None, pipe: Connection | None
    ) -> tuple[float, Told]:
        """Let a span pass. Its processor time as a share of one core, and what was read."""
        running = self._stack.status()
        pids = {"client": client, **{name: running[name] for name in _DAEMONS}}
        time.sleep(_SETTLE_S)
        if pipe is not None:
            pipe.send("counts")
            pipe.recv()
        before, began_s = processors.read(pids), time.monotonic()
        time.sleep(self._span_s)
        used, took_s = processors.read(pids).since(before), time.monotonic() - began_s
        told = Told()
        if pipe is not None:
            pipe.send("counts")
            told = pipe.recv()
        shares = {name: seconds / took_s for name, seconds in used.used_s.items()}
        total = sum(
            shares[name] for name in ("client", "slurmrestd", "slurmctld") if name in shares
        )
        self._report.row(
            what=what,
            jobs=jobs,
            requests_per_s=told.requests / took_s,
            kib_per_s=told.received / took_s / 1024,
            **{f"{name}_cpu_pct": 100 * shares.get(name, 0.0) for name in ("client", *_DAEMONS)},
            all_cpu_pct=100 * total,
        )
        return total, told


_DAEMONS = ("slurmrestd", "slurmctld")


def measure(stack: Stack, report: Report, *, span_s: float, sizes: list[int]) -> None:
    """Everything, smallest size first."""
    place = Place(stack.slurm_url, str(stack.slurm_token_file))
    meter = Meter(stack, report, span_s)
    asyncio.run(_nodes(place, -(-(max(sizes) + WRITERS) // CPUS)))
    for number, size in enumerate(sizes):
        asyncio.run(_fill(place, size, report))
        meter.rest("nobody asks", size, None, None)
        with _watching(place) as (pid, pipe):
            ours, told = meter.rest("watcher", size, pid, pipe)
            if number == 0:
                _add_news(report, size, pipe)
        report.at_most(f"{size:,} jobs at rest, all sides", ours, REST_FLOOR, "cores")
        if number == 0:
            interval_s = span_s / max(1, told.requests)
            with _watching(place, whole=True, interval_s=interval_s) as (pid, pipe):
                theirs, read = meter.rest("/jobs/", size, pid, pipe)
            report.at_most(
                f"{size:,} jobs, bytes per /jobs/ poller's",
                told.received / max(1, read.received),
                BYTES_FLOOR,
                "times",
            )
            report.at_most(
                f"{size:,} jobs, processor time per /jobs/ poller's",
                ours / theirs,
                CPU_FLOOR,
                "times",
            )


def _add_news(report: Report, size: int, pipe: Connection) -> None:
    pipe.send("news")
    told: Told = pipe.recv()
    for what, times in (
        ("own submit → RUNNING told", told.start_s),
        ("change → told", told.news_s),
    ):
        cells: dict[str, Any] = {
            "p50_ms": statistics.median(times) * 1000,
            "max_ms": max(times) * 1000,
        }
        report.row(what=what, jobs=size, **cells)


def main() -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(prog="bench.slurm", description=__doc__)
    parser.add_argument("--span", type=float, default=120.0, help="seconds at rest per row")
    parser.add_argument("--jobs", default="1000,10000", help="numbers of jobs, smallest first")
    options = parser.parse_args()
    sizes = [int(part) for part in options.jobs.split(",")]
    report = Report("slurm", SEED)
    with Stack.up(Settings(name="bench-slurm", port_base=PORT_BASE)) as stack:
        measure(stack, report, span_s=options.span, sizes=sizes)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
