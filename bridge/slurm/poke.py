"""A pause that news ends early."""

import asyncio

from bridge.clock import Clock


async def sleep_until_poked(clock: Clock, seconds: float, poked: asyncio.Event) -> None:
    """Return after `seconds` or as soon as `poked` is set; it stays set."""
    waits = [asyncio.ensure_future(clock.sleep(seconds)), asyncio.ensure_future(poked.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
