"""Submits the scenario, looks several times a second, until all is done or something is wrong."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bridge.clock import Clock
from bridge.sim.demo.checks import Checks
from bridge.sim.demo.observer import Observer
from bridge.sim.demo.scenario import NAMESPACE, Scenario
from bridge.sim.demo.service import Service
from bridge.sim.demo.timeline import Timeline

Show = Callable[[Timeline], None]
"""Called after each look."""
Ending = Literal["done", "wrong", "stuck", "too long", "interrupted"]


@dataclass(frozen=True, slots=True)
class Pace:
    """Times of a run, in seconds.

    `patience_s` is how long nothing may move, `limit_s` how long all may take, `settle_s` how
    long Slurm may need to be empty after the last pod.
    """

    look_s: float = 0.3
    patience_s: float = 20.0
    limit_s: float = 60.0
    settle_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went."""

    ending: Ending
    timeline: Timeline
    checks: Checks

    @property
    def ok(self) -> bool:
        """All done and nothing wrong."""
        return not self.problems

    @property
    def problems(self) -> list[str]:
        """What was wrong, in sentences."""
        at = f"{self.timeline.snapshot.at_s:.0f} s"
        told = {
            "stuck": [f"nothing moved any more, given up after {at}"],
            "too long": [f"not done after {at}"],
            "interrupted": ["interrupted"],
        }
        return told.get(self.ending, []) + self.checks.problems


class DemoRun:
    """One run of a scenario against a cluster that stands."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        kubernetes: Service,
        observer: Observer,
        timeline: Timeline,
        clock: Clock,
        pace: Pace | None = None,
    ) -> None:
        self._scenario = scenario
        self.kubernetes = kubernetes
        self._observer = observer
        self._clock = clock
        self._pace = pace or Pace()
        self.timeline = timeline
        self.checks = Checks(scenario)
        self._moved: tuple[object, ...] = ()
        self._moved_s = 0.0

    async def run(self, stop: asyncio.Event, show: Show) -> Outcome:
        """DemoRun it; `stop` interrupts. Raises Refusal when a service does not answer."""
        self._observer.begin()
        began_s = self._clock.monotonic()
        author = asyncio.create_task(self._submit(began_s), name="author")
        try:
            ending = await self._watch(author, stop, show)
        finally:
            author.cancel()
            await asyncio.wait([author])
        if ending != "interrupted":
            await self._settle()
        show(self.timeline)
        return Outcome(ending, self.timeline, self.checks)

    async def _submit(self, began_s: float) -> None:
        path = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
        for workload in sorted(self._scenario.workloads, key=lambda one: one.arrives_s):
            wait_s = began_s + workload.arrives_s - self._clock.monotonic()
            if wait_s > 0:
                await self._clock.sleep(wait_s)
            await self.kubernetes.post(path, workload.manifest())
            self.timeline.arrived(workload.name, self._clock.monotonic() - began_s)

    async def _watch(self, author: asyncio.Task[None], stop: asyncio.Event, show: Show) -> Ending:
        while True:
            await self._look()
            show(self.timeline)
            if author.done():
                author.result()  # raises what went wrong
            if self.timeline.all_done:
                return "done"
            if not self.checks.ok:
                return "wrong"
            if self.timeline.snapshot.at_s > self._pace.limit_s:
                return "too long"
            if self.timeline.snapshot.at_s - self._moved_s > self._pace.patience_s:
                return "stuck"
            if await self._interrupted(stop):
                return "interrupted"

    async def _look(self) -> None:
        snapshot = await self._observer.look()
        self.timeline.take(snapshot)
        self.checks.take(snapshot)
        moved = (self.timeline.counts(), len(snapshot.after), self.timeline.done)
        if moved != self._moved:
            self._moved, self._moved_s = moved, snapshot.at_s

    async def _interrupted(self, stop: asyncio.Event) -> bool:
        waiting = asyncio.create_task(stop.wait())
        pause = asyncio.create_task(self._clock.sleep(self._pace.look_s))
        await asyncio.wait({waiting, pause}, return_when=asyncio.FIRST_COMPLETED)
        for task in (waiting, pause):
            task.cancel()
        await asyncio.wait({waiting, pause})
        return stop.is_set()

    async def _settle(self) -> None:
        """The bridge may need a moment to end the last jobs; what is left then has leaked."""
        until_s = self._clock.monotonic() + self._pace.settle_s
        while self.timeline.all_done and self.timeline.snapshot.live_jobs:
            if self._clock.monotonic() > until_s:
                break
            await self._clock.sleep(self._pace.look_s)
            await self._look()
        self.checks.finish(self.timeline.snapshot)
