"""Time, handed in. Everything that waits or stamps takes a `Clock`, so tests need no sleep."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def monotonic(self) -> float:
        """Seconds that only grow, for durations and deadlines."""

    def time(self) -> float:
        """Seconds since the epoch (UTC), for what is shown or sent."""

    async def sleep(self, seconds: float) -> None:
        """Wait at least `seconds`."""


class SystemClock:
    """The real one."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def sleep_until_triggered(clock: Clock, seconds: float, triggered: asyncio.Event) -> None:
    """Return after `seconds` or as soon as `triggered` is set; it stays set."""
    waits = [asyncio.ensure_future(clock.sleep(seconds)), asyncio.ensure_future(triggered.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
