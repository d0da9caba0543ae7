"""What each part of a process has in common: begun by name, checked for readiness."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from bridge import telemetry
from bridge.app.lasting import lasting
from bridge.clock import Clock

log = structlog.get_logger("bridge.app")

Checks = Mapping[str, Callable[[], str]]
"""Readiness by the name of a check: "" for ready, else what is not."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What every part is built with."""

    clock: Clock
    metrics: telemetry.Metrics
    slurm_outage: telemetry.OutageLog
    kubernetes_outage: telemetry.OutageLog

    @classmethod
    def of(cls, clock: Clock) -> "Tools":
        """New ones."""
        metrics = telemetry.Metrics()

        def outage(side: str) -> telemetry.OutageLog:
            return telemetry.OutageLog(side, logger=log, clock=clock, metrics=metrics)

        return cls(clock, metrics, outage("slurm"), outage("kubernetes"))


class Begin:
    """Begins what runs as long as the process, under the name that it has in the log and in the
    metrics."""

    def __init__(self, group: asyncio.TaskGroup, tools: Tools) -> None:
        self._group = group
        self._tools = tools

    def __call__(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        part = lasting(name, run, clock=self._tools.clock, metrics=self._tools.metrics)
        self._group.create_task(part, name=name)
