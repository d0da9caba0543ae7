"""What one pass over the nodes does, and when the next one comes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import structlog

from bridge.clock import Clock, SystemClock
from bridge.nodes import definition
from bridge.nodes.controller import NodeController
from bridge.nodes.performer import NodePerformer
from bridge.slurm import (
    InvalidRequest,
    NodeDefinition,
    NodeListing,
    Partition,
    Reservation,
    SlurmError,
    Unavailable,
)
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState
from bridge.telemetry import Metrics, OutageLog
from tests.builders import SCHEDULER, a_node
from tests.unit.slurm.clocks import ManualClock


@dataclass
class Slurm:
    """Knows no node, and fails to register these."""

    refused: dict[str, SlurmError]
    asked: list[str] = field(default_factory=list)
    away: SlurmError | None = None
    looks: int = 0

    async def list_nodes_since(self, _: int) -> NodeListing:
        self.looks += 1
        if self.away is not None:
            raise self.away
        return NodeListing((), 0)

    async def list_partitions(self) -> tuple[Partition, ...]:
        return ()

    async def list_reservations(self) -> tuple[Reservation, ...]:
        return ()

    async def configuration(self) -> dict[str, object]:
        return {}

    async def create_node(self, node: NodeDefinition) -> None:
        self.asked.append(node.name)
        if node.name in self.refused:
            raise self.refused[node.name]


@dataclass
class Recorder:
    """Keeps events."""

    notes: list[str] = field(default_factory=list)

    def emit(self, *, note: str, **_: object) -> None:
        self.notes.append(note)


def controller(
    slurm: Slurm,
    recorder: Recorder,
    *names: str,
    interval_s: float = 5.0,
    clock: Clock | None = None,
) -> NodeController:
    cluster = KubeState(scheduler_name=SCHEDULER)
    for name in names:
        cluster.upsert_node(a_node(name))
    metrics, clock = Metrics(), clock or SystemClock()
    return NodeController(
        cluster=cluster,
        slurm_state=SlurmState(),
        client=cast("Any", slurm),
        performer=NodePerformer(
            cluster=cluster,
            client=cast("Any", slurm),
            kube=cast("Any", None),
            recorder=cast("Any", recorder),
            scheduler_name=SCHEDULER,
            metrics=metrics,
            clock=clock,
        ),
        rules=definition.Rules(cluster="0123456789abcdef"),
        scheduler_name=SCHEDULER,
        interval_s=interval_s,
        outage=OutageLog("slurm", logger=structlog.get_logger(), clock=clock, metrics=metrics),
        changed=lambda: None,
        slurm_room_changed=lambda: None,
        classes_in_use=frozenset,
        clock=clock,
    )


NEVER = InvalidRequest("registering a node: no such topology")


async def test_a_node_that_slurm_refuses_calls_for_no_further_pass() -> None:
    """Else all nodes would be listed again at once, for ever; its admin is told once."""
    slurm, recorder = Slurm({"bad": NEVER}), Recorder()
    nodes = controller(slurm, recorder, "bad")
    assert [await nodes.reconcile() for _ in range(2)] == [False, False]
    assert slurm.asked == ["bad"]
    assert recorder.notes == ["Slurm refused node bad: registering a node: no such topology"]


async def test_a_node_that_was_registered_is_looked_at_again() -> None:
    """Beside one that was refused, too."""
    slurm = Slurm({"bad": NEVER})
    assert await controller(slurm, Recorder(), "bad", "good").reconcile()
    assert set(slurm.asked) == {"bad", "good"}


async def test_a_node_that_could_not_be_registered_for_now_is_tried_again() -> None:
    """Soon: nothing is wrong with it."""
    slurm = Slurm({"late": Unavailable("registering a node: no answer")})
    assert await controller(slurm, Recorder(), "late").reconcile()


@asynccontextmanager
async def at_work(nodes: NodeController, clock: ManualClock) -> AsyncIterator[None]:
    """It looks, until the test is over."""
    task = asyncio.create_task(nodes.run())
    await clock.advance(0)
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("interval_s", [2.0, 90.0])
async def test_looks_come_at_the_interval(interval_s: float) -> None:
    """Whatever its length."""
    clock, slurm = ManualClock(), Slurm({})
    async with at_work(controller(slurm, Recorder(), interval_s=interval_s, clock=clock), clock):
        assert slurm.looks == 1
        await clock.advance(interval_s - 0.01)
        assert slurm.looks == 1
        await clock.advance(0.01)
        assert slurm.looks == 2


async def test_a_change_leads_to_a_look_at_once() -> None:
    """One look for many changes that come together."""
    clock, slurm = ManualClock(), Slurm({})
    nodes = controller(slurm, Recorder(), interval_s=90.0, clock=clock)
    async with at_work(nodes, clock):
        for _ in range(5):
            nodes.mark_dirty()
        await clock.advance(0.2)
        assert slurm.looks == 2


@pytest.mark.parametrize(
    ("interval_s", "pauses_s"), [(2.0, [2, 4, 8, 16, 30, 30]), (90.0, [90, 90])]
)
async def test_looks_at_a_slurm_that_is_away(interval_s: float, pauses_s: list[float]) -> None:
    """Are rarer, but come each 30 s, or at the interval where that is longer."""
    clock, slurm = ManualClock(), Slurm({}, away=Unavailable("listing the nodes: no answer"))
    async with at_work(controller(slurm, Recorder(), interval_s=interval_s, clock=clock), clock):
        for pause_s in pauses_s:
            before = slurm.looks
            await clock.advance(pause_s - 0.01)
            assert slurm.looks == before
            await clock.advance(0.01)
            assert slurm.looks == before + 1
        slurm.away = None
        await clock.advance(90.0)
        slurm.looks = 0
        await clock.advance(interval_s)
        assert slurm.looks == 1
