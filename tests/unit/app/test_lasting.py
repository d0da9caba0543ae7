"""Parts that are begun anew."""

import asyncio
from itertools import pairwise

import pytest
import structlog

from bridge.app.lasting import lasting
from bridge.telemetry import Metrics
from tests.unit.kube.apiserver import JumpClock


async def test_a_part_that_fails_is_begun_anew_after_a_growing_time() -> None:
    """Logged each time, counted, and never the end of anything else."""
    clock, metrics, began = JumpClock(), Metrics(), []

    async def run() -> None:
        began.append(clock.monotonic())
        if len(began) < 6:
            raise RuntimeError("a mistake")

    with structlog.testing.capture_logs() as logged:
        await lasting("nodes", run, clock=clock, metrics=metrics)
    waits = [later - earlier for earlier, later in pairwise(began)]
    assert len(began) == 6
    assert min(waits) >= 1.0
    assert max(waits) <= 61.0
    assert [line["part"] for line in logged] == ["nodes"] * 5
    assert metrics.part_failures.labels("nodes")._value.get() == 5


async def test_a_stop_is_a_stop() -> None:
    """Cancelled, a part is not begun anew."""

    async def run() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(lasting("nodes", run, clock=JumpClock(), metrics=Metrics()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
