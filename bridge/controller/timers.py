"""One timer for each gang, which rings at the earliest of the times that were asked for."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol

from bridge.clock import Clock
from bridge.model.ids import GangId


class Handle(Protocol):
    """A call that is still to come."""

    def cancel(self) -> object:
        """Cancels the call."""


Later = Callable[[float, Callable[[], None]], Handle]
"""(seconds, callback) → the call that is still to come."""


def call_later(after_s: float, callback: Callable[[], None]) -> Handle:
    """Has the running loop call `callback` after so many seconds."""
    return asyncio.get_running_loop().call_later(after_s, callback)


class Timers:
    """The timers of all gangs."""

    def __init__(self, *, later: Later, clock: Clock) -> None:
        self._later = later
        self._clock = clock
        self._set: dict[GangId, tuple[float, Handle]] = {}
        """The monotonic time at which a gang's timer rings, and the call."""

    def wake(self, gang_id: GangId, after_s: float, ring: Callable[[], None]) -> None:
        """Calls `ring` after so many seconds, unless the gang's timer rings earlier."""
        due_s = self._clock.monotonic() + after_s
        known = self._set.get(gang_id)
        if known is not None and known[0] <= due_s:
            return
        self.cancel(gang_id)
        handle = self._later(after_s, partial(self._ring, gang_id, ring))
        self._set[gang_id] = (due_s, handle)

    def cancel(self, gang_id: GangId) -> None:
        """Cancels the gang's timer."""
        known = self._set.pop(gang_id, None)
        if known is not None:
            known[1].cancel()

    def _ring(self, gang_id: GangId, ring: Callable[[], None]) -> None:
        del self._set[gang_id]
        ring()
