"""A pause that a trigger ends early."""

import asyncio

from bridge.clock import Clock


async def sleep_until_triggered(clock: Clock, seconds: float, triggered: asyncio.Event) -> None:
    """Return after `seconds` or as soon as `triggered` is set; it stays set."""
    waits = [asyncio.ensure_future(clock.sleep(seconds)), asyncio.ensure_future(triggered.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
