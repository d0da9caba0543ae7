"""How fast we may ask: a token bucket, and how long to wait after a failure."""

import asyncio
import random
from collections.abc import Callable

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


class Backoff:
    """Waits that double, each drawn from zero to its bound (full jitter).

    A thousand clients that lost the same server then come back spread out, not in step.
    `draw(bound)` gives a number between 0 and `bound`.
    """

    def __init__(
        self,
        *,
        base_s: float = 0.25,
        cap_s: float = 30.0,
        draw: Callable[[float], float] = lambda bound: random.uniform(0.0, bound),
    ) -> None:
        self._base_s = base_s
        self._cap_s = cap_s
        self._draw = draw
        self._failures = 0

    def next_s(self, *, at_least_s: float = 0.0) -> float:
        """Seconds to wait after one more failure; `at_least_s` is what the server asked for."""
        bound = min(self._cap_s, self._base_s * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return at_least_s + self._draw(bound)

    def reset(self) -> None:
        """It worked: the next failure is the first again."""
        self._failures = 0
