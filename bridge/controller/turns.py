"""Whose gang has its turn: changes come in crowds, and no tenant's crowd holds the loop."""

import asyncio
import contextlib
from collections.abc import Callable, Collection

from bridge.clock import Clock
from bridge.fairness import FairQueue
from bridge.lifecycle import events as ev
from bridge.model.ids import GangId

_GATHER_S = 0.003
"""Changes of one gang come in crowds; a look at it costs as much as it has members."""
_SLICE_S = 0.005
"""For so long gangs have their turns before others in the event loop have theirs."""
_TURN_S = 0.001
"""A look that takes longer is charged as several: the pods of one gang are up to thousands."""
_PULSE_S = 1.0
"""The loop goes round at least so often, which readiness looks at."""

Reasons = Collection[ev.Event | None]
"""Why a gang has its turn: None stands for a look at its pods and owner."""


Take = Callable[[GangId, Reasons], None]
"""Gives a gang its turn."""


class Turns:
    """Gangs that something has happened to. Namespaces take turns."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._queue: FairQueue[tuple[GangId, str]] = FairQueue()
        self._reasons: dict[GangId, dict[type, ev.Event | None]] = {}
        self._some = asyncio.Event()
        self._alive_s = clock.monotonic()

    def add(self, gang_id: GangId, reason: ev.Event | None, *, tenant: str) -> None:
        """The gang's turn comes; what happens again until then is one reason."""
        reasons = self._reasons.get(gang_id)
        if reasons is None:
            reasons = self._reasons[gang_id] = {}
            self._queue.add((gang_id, tenant), tenant=tenant)
            self._some.set()
        reasons[type(reason)] = reason

    @property
    def alive_s(self) -> float:
        """Seconds since the loop last went round."""
        return self._clock.monotonic() - self._alive_s

    async def run(self, take: Take) -> None:
        """Give turns until cancelled."""
        while True:
            self._alive_s = self._clock.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PULSE_S):
                    await self._some.wait()
            if self._queue:
                await self._clock.sleep(_GATHER_S)
                await self._go_round(take)
            self._some.clear()

    async def _go_round(self, take: Take) -> None:
        began_s = self._clock.monotonic()
        while self._queue:
            gang_id, tenant = self._queue.take()
            turn_s = self._clock.monotonic()
            take(gang_id, self._reasons.pop(gang_id).values())
            took_s = self._clock.monotonic() - turn_s
            self._queue.charge(tenant, int(took_s / _TURN_S))
            if self._clock.monotonic() - began_s >= _SLICE_S:
                await asyncio.sleep(0)
                self._alive_s = began_s = self._clock.monotonic()
