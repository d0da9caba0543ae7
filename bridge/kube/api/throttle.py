"""How fast we may ask: a token bucket, and when to come back after a failure."""

import asyncio
import random

from bridge.clock import Clock


class TokenBucket:
    """At most `burst` at once and `per_s` a second in the long run, first come first served."""

    def __init__(self, *, per_s: float, burst: int, clock: Clock) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._clock = clock
        self._tokens = float(burst)
        self._at = clock.monotonic()
        self._turn = asyncio.Lock()

    async def take(self) -> None:
        """Wait for a token."""
        async with self._turn:
            self._refill()
            if self._tokens < 1.0:  # once: what rounding leaves may be too short for the clock
                await self._clock.sleep((1.0 - self._tokens) / self._per_s)
                self._refill()
            self._tokens -= 1.0

    def _refill(self) -> None:
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_s)
        self._at = now


def full_jitter(bound_s: float) -> float:
    """Any time from zero to the bound: a thousand clients that lost the same server come back
    spread out, not in step."""
    return random.uniform(0.0, bound_s)
