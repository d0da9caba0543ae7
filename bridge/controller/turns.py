"""The turns of gangs: changes come in crowds, and no tenant's crowd blocks the event loop."""

import asyncio
import contextlib
from collections.abc import Callable, Collection

from bridge.clock import Clock
from bridge.fairness import FairQueue
from bridge.lifecycle import events as ev
from bridge.model.ids import GangId

_GATHER_S = 0.003
"""Changes of one gang come in crowds; a turn costs as much as the gang has members."""
_SLICE_S = 0.005
"""How long gangs have their turns before other tasks of the event loop run."""
_TURN_S = 0.001
"""A longer turn is charged as several turns: a gang may have thousands of pods."""
_PULSE_S = 1.0
"""The loop goes round at least this often; readiness checks that."""

Reasons = Collection[ev.Event | None]
"""Why a gang has its turn; None means that its pods and owner are read again."""


Take = Callable[[GangId, Reasons], None]
"""Gives a gang its turn."""


class Turns:
    """A queue of gangs that something has happened to. Namespaces take turns."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._queue: FairQueue[tuple[GangId, str]] = FairQueue()
        self._reasons: dict[GangId, dict[type, ev.Event | None]] = {}
        self._some = asyncio.Event()
        self._alive_s = clock.monotonic()

    def add(self, gang_id: GangId, reason: ev.Event | None, *, tenant: str) -> None:
        """Queues a turn for the gang; the same reason counts once until then."""
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
