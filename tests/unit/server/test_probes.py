"""Probes and metrics over plain HTTP."""

from collections.abc import Iterable

import pytest
from prometheus_client import CollectorRegistry, Counter, Metric

from bridge import telemetry
from bridge.server import addresses
from bridge.server.metrics import ServerMetrics
from bridge.server.probes import Check, ProbesServer
from tests.unit.extender.calls import ManualClock
from tests.unit.server.tools import ANYWHERE, call


def probes(registry: CollectorRegistry | None = None, **checks: Check) -> ProbesServer:
    return ProbesServer(
        address=addresses.parse("[::]:0"),
        checks=checks,
        registry=registry or CollectorRegistry(),
        metrics=ServerMetrics(telemetry.Metrics()),
    )


@pytest.mark.parametrize("path", ["/livez", "/healthz"])
async def test_alive(path: str) -> None:
    """A process whose loop runs is alive, whatever it still waits for; both families are served."""
    async with probes(slurm=lambda: "no answer") as server:
        for host in ("127.0.0.1", "[::1]"):
            assert await call(server.port, path, method="GET", host=host) == (200, b"ok\n")


async def test_ready() -> None:
    """Ready when every check is content."""
    async with probes(slurm=lambda: "", cache=lambda: "") as server:
        status, body = await call(server.port, "/readyz", method="GET")
    assert (status, body) == (200, b"[+] slurm\n[+] cache\n")


async def test_not_ready_says_why() -> None:
    """One check that is not content is enough, and the body says which and why."""
    async with probes(slurm=lambda: "no answer for 9 s", cache=lambda: "") as server:
        status, body = await call(server.port, "/readyz", method="GET")
    assert (status, body) == (503, b"[-] slurm: no answer for 9 s\n[+] cache\n")


async def test_notes_do_not_make_it_not_ready() -> None:
    """They are shown in the body."""
    server = ProbesServer(
        address=addresses.parse("[::]:0"),
        checks={"cache": lambda: ""},
        notes={"slurm": lambda: "no answer for 9 s", "recovery": lambda: ""},
        registry=CollectorRegistry(),
        metrics=ServerMetrics(telemetry.Metrics()),
    )
    async with server:
        status, body = await call(server.port, "/readyz", method="GET")
    assert (status, body) == (200, b"[+] cache\n[!] slurm: no answer for 9 s\n[+] recovery\n")


async def test_checks_are_asked_each_time() -> None:
    """Readiness follows what it is about."""
    reasons = ["starting", ""]
    async with probes(state=lambda: reasons.pop(0)) as server:
        assert (await call(server.port, "/readyz", method="GET"))[0] == 503
        assert (await call(server.port, "/readyz", method="GET"))[0] == 200


async def test_metrics() -> None:
    """The registry that was handed in is shown, and only that."""
    registry = CollectorRegistry()
    Counter("bridge_things", "Things.", registry=registry).inc(3)
    async with probes(registry) as server:
        status, body = await call(server.port, "/metrics", method="GET")
    assert status == 200
    assert b"bridge_things_total 3.0" in body
    assert b"python_gc" not in body


async def test_metrics_are_put_together_once_a_second() -> None:
    """However many ask for them."""
    collected = []

    class Counting(CollectorRegistry):
        """Knows how often it is asked."""

        def collect(self) -> Iterable[Metric]:
            collected.append(clock.now_s)
            return super().collect()

    clock = ManualClock()
    server = ProbesServer(
        address=ANYWHERE,
        checks={},
        registry=Counting(),
        metrics=ServerMetrics(telemetry.Metrics()),
        clock=clock,
    )
    async with server:
        for clock.now_s in (0.0, 0.5, 0.99, 1.0, 1.5, 2.0):
            assert (await call(server.port, "/metrics", method="GET"))[0] == 200
    assert collected == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("POST", "/livez", 405), ("HEAD", "/livez", 200)],
)
async def test_other_requests(method: str, path: str, status: int) -> None:
    """Anything else is told apart."""
    async with probes() as server:
        assert (await call(server.port, path, method=method))[0] == status
