"""A clock that tests turn by hand."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count


class ManualClock:
    """Time stands still until `advance`."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.slept: list[float] = []
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def monotonic(self) -> float:
        """Seconds that only grow."""
        return self.now_s

    def time(self) -> float:
        """Seconds since the epoch."""
        return 1_700_000_000.0 + self.now_s

    async def sleep(self, seconds: float) -> None:
        """Until time was advanced so far."""
        self.slept.append(seconds)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now_s + seconds, next(self._order), done))
        await done

    def later(self, seconds: float, callback: Callable[[], None]) -> "asyncio.Future[None]":
        """`callback` is called when time was advanced so far; `cancel` takes that back."""
        due: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due.add_done_callback(lambda done: None if done.cancelled() else callback())
        heapq.heappush(self._sleepers, (self.now_s + seconds, next(self._order), due))
        return due

    async def advance(self, seconds: float) -> None:
        """Let time pass; who sleeps wakes in order, and all that follows happens."""
        until_s = self.now_s + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= until_s:
            self.now_s, _, done = heapq.heappop(self._sleepers)
            if not done.done():
                done.set_result(None)
                await settle()
        self.now_s = until_s
        await settle()


class ImpatientClock(ManualClock):
    """Time passes at once whenever somebody sleeps."""

    async def sleep(self, seconds: float) -> None:
        """No wait at all."""
        self.slept.append(seconds)
        self.now_s += seconds
        await asyncio.sleep(0)


async def settle() -> None:
    """Until nothing more happens by itself."""
    for _ in range(40):
        await asyncio.sleep(0)
