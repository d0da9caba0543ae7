"""What the webhook costs, against the server that it runs on.

The API server waits for both calls of every pod that is created, so their time is every pod's. The
same HTTPS server (in a process of its own, uvloop, TLS) answers the same bodies three ways: `echo`
sends them back, `mutate` and `validate` decide. A body is an AdmissionReview with a pod of about
6 KB, GPUs, affinity and annotations, in a namespace that names user, accounts, partitions and QOS,
with associations known. A *pod* is mutate, then validate of what came out; an *echo* the same two
bodies sent back.

Alone: calls in turns; the quickest tenth is compared. At 200 pods a second: begun at random times
(seeded, exponential gaps) whether or not earlier ones are answered, on eight connections that stay
open, as the API server does it; the time counts from when a pod should have begun. Saturated: 64
callers, each beginning as soon as it is answered; here the server's processor time for a pod is
taken too, which does not depend on what else runs. Paced and crowded runs go in turns with the
echo's, and of several the quickest counts, as whatever else runs on two processors only adds to
them.

Then one tenant sends the most expensive pods there are (`bench.hostile`), of 3 MB and as large as
the event loop still reads itself. *Worst* is what each costs that is read in the loop, per echo of
the same bodies. Of both sizes the one that costs the most is sent by a process of its own, on four
connections, on each as soon as the last is answered, while another tenant's ordinary pods come 200
a second at random times. Rounds beside nobody and beside these go in turns, so that whatever else
runs hits all of them; the median of the rounds counts. Last, one round each, come both as it would
be without `bridge.admission.turns`.

What fails the run are ratios within the same run, and wrong answers; the milliseconds stand beside
the budget of 5 at 200 pods a second.

    python -m bench.admission
"""

import asyncio
import collections
import json
import random
import ssl
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import uvloop

from bench import calls, hostile, processors, tenant
from bench.report import Report
from bridge import names
from bridge.admission import mutate, scope, wire
from bridge.admission.accounts import Accounts
from bridge.admission.identity_validator import IdentityValidator, NothingKnown
from bridge.admission.reader_process import ReaderProcess
from bridge.admission.review import Reviewer
from bridge.admission.turns import SMALL_BYTES, ReviewTurns
from bridge.clock import SystemClock
from bridge.model.namespace import Namespace
from bridge.server.https import Route
from bridge.slurm import Association, AssociationLimits

SEED = 7
PER_S, SECONDS = 200, 5
CONNECTIONS = 8
AT_ONCE, PODS_EACH = 64, 20
ROUNDS = 5
BUDGET_MS = 5.0
MOST_ECHOES = 2.5
"""What a pod's two calls may cost, in echoes of the same bodies."""
MOST_ECHOES_P99 = 4.0
"""The same for the slowest of a hundred, where both wait for the same processors."""
MOST_PROCESSOR = 3.0
"""The same of the server's processor time."""
LEAST_OF_ECHO = 0.35
"""Pods a second at saturation, of the echoes'."""
MOST_WORST = 10.0
"""What the worst pod's two calls may cost, in echoes of the same bodies."""
MOST_BESIDE = 3.0
"""The slowest of a hundred ordinary pods beside the worst ones, per beside nobody."""
MOST_USUAL = 2.0
"""The same for the median."""
OWN, HOSTILE = "research", "hostile"
"""Namespaces: of the ordinary pods, and of the tenant who sends the worst."""
ECHO_PATHS = ("/echo", "/echo")
PATHS = (names.MUTATE_PATH, names.VALIDATE_PATH)
IN_LOOP_PATHS = ("/in-loop" + names.MUTATE_PATH, "/in-loop" + names.VALIDATE_PATH)
"""The webhook as it would be if everything were read at once in the event loop."""
WORST_TURNS = 5
SMALL_ROOM = 8 << 10
"""Of a small body, for what is ordinary in it."""
CALLERS = 4
"""Connections of that tenant, each with a pod under way all the time."""

Json = dict[str, Any]
Bodies = tuple[bytes, bytes]
"""Of a pod's two calls."""
Run = Callable[[str], Awaitable[list[float]]]
"""One run of `echo` or `pod`: seconds of each."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How pods come: so many a second, for so long, over so many connections."""

    per_s: int = PER_S
    seconds: int = SECONDS
    connections: int = CONNECTIONS


PACE = Pace()
BESIDE = Pace(connections=32)
"""Of ordinary pods beside the hostile tenant: with a connection for each that waits, as the API
server has."""


class Slurmdbd(NothingKnown):
    """alice has what the pods ask for."""

    known = Accounts(
        of_user={
            "alice": tuple(
                Association(
                    number, "c", account, user="alice", limits=AssociationLimits(qos=("a",))
                )
                for number, account in enumerate(("physics", "chem"))
            )
        },
        qos_enforced=True,
    )


def routes() -> list[Route]:
    """Echo and the webhook."""
    said = {
        names.NAMESPACE_USER: "alice:hpc",
        names.NAMESPACE_ACCOUNTS: "physics,chem",
        names.NAMESPACE_PARTITIONS: "gpu,cpu",
        names.NAMESPACE_QOS: "a,b",
    }
    reviewer = partial(
        Reviewer,
        pods=scope.Scope(managed_namespaces=frozenset({OWN, HOSTILE})),
        namespaces={name: Namespace(name, name, annotations=said) for name in (OWN, HOSTILE)},
        identity_validator=IdentityValidator(associations=Slurmdbd()),
        bridge_users=frozenset({"bridge"}),
    )
    ours = reviewer(turns=ReviewTurns(ReaderProcess(), clock=SystemClock()))
    in_loop = reviewer()
    return [
        Route("/echo", calls.echo),
        Route(PATHS[0], ours.mutate),
        Route(PATHS[1], ours.validate),
        Route(IN_LOOP_PATHS[0], in_loop.mutate),
        Route(IN_LOOP_PATHS[1], in_loop.validate),
    ]


def a_pod() -> Json:
    """As a training Job's reaches the webhook."""
    zone = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a", "b"]}
    required = {"nodeSelectorTerms": [{"matchExpressions": [zone]}]}
    wishes = {"account": "chem", "timelimit": "2-0", "gres": "gpu:h100:8", "partition": "gpu"}
    amounts = {"cpu": "16", "memory": "256Gi", "nvidia.com/gpu": "8"}
    notes = {f"note-{number}": "x" * 100 for number in range(20)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "train-0",
            "namespace": OWN,
            "labels": {"app": "train", "batch.kubernetes.io/job-completion-index": "0"},
            "annotations": {**notes, **{names.JOB_PREFIX + key: t for key, t in wishes.items()}},
            "ownerReferences": [
                {"apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": "u",
                 "controller": True}
            ],
        },
        "spec": {
            "schedulerName": "default-scheduler",
            "containers": [
                {
                    "name": "main",
                    "image": "example.invalid/train",
                    "resources": {"requests": amounts, "limits": amounts},
                    "env": [{"name": f"V{n}", "value": "y" * 60} for n in range(30)],
                }
            ],
            "affinity": {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}
            },
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        },
    }  # fmt: skip


def body(pod: Json, namespace: str = OWN) -> bytes:
    """The AdmissionReview, as Go writes it."""
    request = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": namespace,
        "operation": "CREATE",
        "userInfo": {"username": "alice", "groups": ["system:authenticated"]},
        "object": pod,
        "oldObject": None,
        "dryRun": False,
    }
    review = {"kind": "AdmissionReview", "apiVersion": wire.REVIEW_VERSION, "request": request}
    return json.dumps(review, separators=(",", ":")).encode()


def mutated(pod: Json) -> Json:
    """The pod after our patch."""
    ours = mutate.node_tolerations(names.SCHEDULER_NAME)
    spec = {
        **pod["spec"],
        "schedulerName": names.SCHEDULER_NAME,
        "schedulingGates": [{"name": names.ALLOCATION_GATE}],
        "tolerations": [*pod["spec"]["tolerations"], *ours],
    }
    return {**pod, "spec": spec}


@dataclass(frozen=True, slots=True)
class Round:
    """One run of one load."""

    times: list[float]
    """Seconds of each pod."""
    per_s: float
    processor_ms: float
    """Of the server, for one pod."""

    @property
    def p99_s(self) -> float:
        """The slowest of a hundred."""
        return calls.p99(self.times)


class Client:
    """Asks the webhook and the echo in turns."""

    def __init__(self, server: calls.Served, report: Report) -> None:
        self._server = server
        self._tls = ssl.create_default_context(cafile=str(server.ca))
        self._report = report
        pod = a_pod()
        self._bodies = (body(pod), body(mutated(pod)))
        self._paths = {"echo": ECHO_PATHS, "pod": PATHS}
        self._errors = 0

    async def run(self) -> None:
        """All three loads."""
        await self._alone()
        await self._compare("200/s", self._paced)
        await self._compare("saturated", self._crowd)
        large = await self._worst(hostile.OBJECT_BYTES)
        small = await self._worst(SMALL_BYTES - SMALL_ROOM)
        await self._beside(large=large, small=small)
        self._report.at_most("wrong answers", self._errors, 0)

    async def _worst(self, size: int) -> Bodies:
        """The bodies of the pod of that size that costs the most."""
        connected = await calls.connect(self._server.port, self._tls)
        costs: dict[str, tuple[float, Bodies]] = {}
        most = 0.0
        for name, pod in hostile.pods(a_pod(), size=size).items():
            bodies = (body(pod, HOSTILE), body(mutated(pod), HOSTILE))
            times: dict[tuple[str, str], list[float]] = {ECHO_PATHS: [], IN_LOOP_PATHS: []}
            for _ in range(WORST_TURNS):
                for paths, found in times.items():
                    found.append(await self._send(connected, paths, bodies))
            echo_s, in_loop_s = map(min, times.values())
            most = max(most, in_loop_s / echo_s)
            costs[name] = in_loop_s, bodies
            self._report.row(
                load=f"worst, {size // 1000} KB",
                what=name,
                body_kib=round(sum(map(len, bodies)) / 1024, 1),
                p50_ms=statistics.median(times[IN_LOOP_PATHS]) * 1000,
                per_echo=in_loop_s / echo_s,
            )
        connected[1].close()
        metric = f"the worst pod of {size // 1000} KB per echo of it"
        self._report.at_most(metric, most, MOST_WORST, "times")
        return max(costs.values())[1]

    async def _beside(self, *, large: Bodies, small: Bodies) -> None:
        """Ordinary pods while nobody, or a tenant, sends these all the time."""
        sent: dict[str, tenant.Content] = {
            "nobody": (),
            "worst large ones": tuple(zip(PATHS, large, strict=True)),
            "worst small ones": tuple(zip(PATHS, small, strict=True)),
        }
        without_turns: dict[str, tenant.Content] = {
            "worst small ones without turns": tuple(zip(IN_LOOP_PATHS, small, strict=True)),
            "worst large ones without turns": tuple(zip(IN_LOOP_PATHS, large, strict=True)),
        }
        p50 = collections.defaultdict[str, list[float]](list)
        p99 = collections.defaultdict[str, list[float]](list)
        answered: collections.Counter[str] = collections.Counter()
        for contents in (*[sent] * ROUNDS, without_turns):
            for beside, content in contents.items():
                with tenant.sending(self._server, content, callers=CALLERS) as told:
                    times = await self._paced("pod", BESIDE)
                p50[beside].append(statistics.median(times))
                p99[beside].append(calls.p99(times))
                answered[beside] += told.total()
                self._errors += told.total() - told[200]
        for beside, slowest in p99.items():
            slowest_ms = statistics.median(slowest) * 1000
            self._report.row(
                load="200/s",
                what=f"pods beside {beside}",
                others_per_s=answered[beside] / len(slowest) / BESIDE.seconds,
                p50_ms=statistics.median(p50[beside]) * 1000,
                p99_ms=slowest_ms,
                budget_ms=BUDGET_MS,
                within=slowest_ms <= BUDGET_MS,
            )
        for beside in ("worst large ones", "worst small ones"):
            for name, found, most in (("p99", p99, MOST_BESIDE), ("p50", p50, MOST_USUAL)):
                metric = f"{name} of a pod beside {beside}, per beside nobody"
                ratio = statistics.median(found[beside]) / statistics.median(found["nobody"])
                self._report.at_most(metric, ratio, most, "times")

    async def _send(
        self, connected: calls.Connected, paths: tuple[str, str], bodies: Bodies
    ) -> float:
        """Seconds of both calls of a pod that may be refused, but is answered."""
        took_s = 0.0
        for path, content in zip(paths, bodies, strict=True):
            seconds, status, _ = await calls.call(connected, path, content)
            self._errors += status != 200
            took_s += seconds
        return took_s

    async def _ask(self, connected: calls.Connected, who: str) -> tuple[float, float]:
        """Seconds of each of the two calls."""
        times = []
        for path, content in zip(self._paths[who], self._bodies, strict=True):
            seconds, status, answer = await calls.call(connected, path, content)
            if path != "/echo":
                allowed = b'"allowed": true' in answer and status == 200
                patch = (b'"patch"' in answer) == (path == names.MUTATE_PATH)
                self._errors += not (allowed and patch)
            times.append(seconds)
        return times[0], times[1]

    async def _alone(self) -> None:
        connected = await calls.connect(self._server.port, self._tls)
        times: dict[str, list[tuple[float, float]]] = {who: [] for who in self._paths}
        for turn in range(2_020):
            for who, found in times.items():
                seconds = await self._ask(connected, who)
                if turn >= 20:
                    found.append(seconds)
        connected[1].close()
        for who, found in times.items():
            pairs = [sum(pair) for pair in found]
            self._row("alone", who, pairs, None)
        mutate_s, validate_s = (statistics.median(one) for one in zip(*times["pod"], strict=True))
        self._report.row(load="alone", what="of that mutate", p50_ms=mutate_s * 1000)
        self._report.row(load="alone", what="of that validate", p50_ms=validate_s * 1000)
        ratio = _quick(times["pod"]) / _quick(times["echo"])
        self._report.at_most("a pod per echo, alone", ratio, MOST_ECHOES, "times")

    async def _compare(self, load: str, run: Run) -> None:
        """Rounds in turns; of each the quickest."""
        found: dict[str, list[Round]] = {who: [] for who in self._paths}
        for _ in range(ROUNDS):
            for who, rounds in found.items():
                rounds.append(await self._timed(run, who))
        best = {who: min(rounds, key=lambda one: one.p99_s) for who, rounds in found.items()}
        for who, chosen in best.items():
            self._row(load, who, chosen.times, chosen)
        ratio = best["pod"].p99_s / best["echo"].p99_s
        self._report.at_most(f"p99 of a pod per echo's, {load}", ratio, MOST_ECHOES_P99, "times")
        if load == "saturated":
            most = {who: max(one.per_s for one in rounds) for who, rounds in found.items()}
            share = most["pod"] / most["echo"]
            self._report.at_least("pods a second of echoes, saturated", share, LEAST_OF_ECHO)
            least = {who: min(one.processor_ms for one in rounds) for who, rounds in found.items()}
            what = "processor time of a pod per echo's, saturated"
            self._report.at_most(what, least["pod"] / least["echo"], MOST_PROCESSOR, "times")

    async def _timed(self, run: Run, who: str) -> Round:
        pids = {"server": self._server.pid}
        before, began_s = processors.read(pids), time.perf_counter()
        times = await run(who)
        took_s, used = time.perf_counter() - began_s, processors.read(pids).since(before)
        processor_ms = used.used_s["server"] * 1000 / len(times)
        return Round(times, len(times) / took_s, processor_ms)

    async def _paced(self, who: str, pace: Pace = PACE) -> list[float]:
        """Seconds from when each should have begun."""
        free: asyncio.Queue[calls.Connected] = asyncio.Queue()
        for _ in range(pace.connections):
            free.put_nowait(await calls.connect(self._server.port, self._tls))
        times: list[float] = []
        chooser = random.Random(SEED)

        async def one(due_s: float) -> None:
            connected = await free.get()
            await self._ask(connected, who)
            times.append(time.perf_counter() - due_s)
            free.put_nowait(connected)

        due_s = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(pace.per_s * pace.seconds):
                due_s += chooser.expovariate(pace.per_s)
                await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
                group.create_task(one(due_s))
        while not free.empty():
            free.get_nowait()[1].close()
        return times

    async def _crowd(self, who: str) -> list[float]:
        connections = [await calls.connect(self._server.port, self._tls) for _ in range(AT_ONCE)]

        async def caller(connected: calls.Connected) -> list[float]:
            return [sum(await self._ask(connected, who)) for _ in range(PODS_EACH)]

        found = await asyncio.gather(*(caller(one) for one in connections))
        for _, writer in connections:
            writer.close()
        return [seconds for one in found for seconds in one]

    def _row(self, load: str, who: str, times: list[float], chosen: Round | None) -> None:
        slowest_ms = calls.p99(times) * 1000
        in_budget = who == "pod" and load == "200/s"
        self._report.row(
            load=load,
            what=who,
            per_s=chosen.per_s if chosen else None,
            body_kib=round(sum(map(len, self._bodies)) / 1024, 1),
            p50_ms=statistics.median(times) * 1000,
            p99_ms=slowest_ms,
            processor_ms=chosen.processor_ms if chosen else None,
            budget_ms=BUDGET_MS if in_budget else None,
            within=slowest_ms <= BUDGET_MS if in_budget else None,
        )


def _quick(pairs: list[tuple[float, float]]) -> float:
    """Nine of ten take longer: others on the machine add time to some, and take none off."""
    return statistics.quantiles([sum(pair) for pair in pairs], n=10)[0]


def main() -> int:
    """Run it; the exit code."""
    report = Report("admission", SEED)
    with calls.serving(routes) as server:
        uvloop.run(Client(server, report).run())
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
