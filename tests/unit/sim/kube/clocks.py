"""A clock that stands still until a test moves it."""

import asyncio
import heapq

_SETTLE = 100


class ManualClock:
    """Sleepers wake in order as `advance` passes their time."""

    def __init__(self, start_s: float = 1_800_000_000.0) -> None:
        self._start_s = start_s
        self._now = 0.0
        self._number = 0
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []

    def monotonic(self) -> float:
        return self._now

    def time(self) -> float:
        return self._start_s + self._now

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._number += 1
        heapq.heappush(self._sleepers, (self._now + seconds, self._number, woken))
        await woken.wait()

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, and everybody do what is due, in order."""
        end = self._now + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, woken = heapq.heappop(self._sleepers)
            self._now = max(self._now, due)
            woken.set()
            await settle()
        self._now = end
        await settle()


async def settle() -> None:
    """Let everything run that can run without time passing."""
    for _ in range(_SETTLE):
        await asyncio.sleep(0)
