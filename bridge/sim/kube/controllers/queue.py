"""A work queue: each key at most once, now or later, never two workers on one key."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from bridge.clock import Clock
from bridge.sim.kube.apiserver.failure import ApiFailure

Key = TypeVar("Key")

_FIRST_RETRY_S: Final = 0.01
_LAST_RETRY_S: Final = 30.0


class WorkQueue(Generic[Key]):
    """Keys that want attention. A key added while it is worked on is worked on once more."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ready: dict[Key, None] = {}
        self._arrived = asyncio.Event()
        self._later: dict[Key, tuple[float, asyncio.Task[None]]] = {}
        self._failures: dict[Key, int] = {}

    def add(self, key: Key) -> None:
        """As soon as possible."""
        self._ready[key] = None
        self._arrived.set()

    def add_after(self, key: Key, delay_s: float) -> None:
        """In `delay_s`, unless it is due sooner already."""
        if delay_s <= 0:
            self.add(key)
            return
        due = self._clock.monotonic() + delay_s
        waiting = self._later.get(key)
        if waiting is not None:
            if waiting[0] <= due:
                return
            waiting[1].cancel()
        self._later[key] = (due, asyncio.ensure_future(self._wait(key, delay_s)))

    async def work(self, handle: Callable[[Key], Awaitable[None]]) -> None:
        """Handle keys for ever; what the API server refuses is tried again later."""
        try:
            while True:
                await self._arrived.wait()
                while self._ready:
                    key = next(iter(self._ready))
                    del self._ready[key]
                    await self._handle(key, handle)
                self._arrived.clear()
        finally:
            for _, task in self._later.values():
                task.cancel()

    async def _handle(self, key: Key, handle: Callable[[Key], Awaitable[None]]) -> None:
        try:
            await handle(key)
        except ApiFailure:
            count = self._failures.get(key, 0)
            self._failures[key] = count + 1
            self.add_after(key, min(_FIRST_RETRY_S * 2**count, _LAST_RETRY_S))
        else:
            self._failures.pop(key, None)

    async def _wait(self, key: Key, delay_s: float) -> None:
        await self._clock.sleep(delay_s)
        del self._later[key]
        self.add(key)
