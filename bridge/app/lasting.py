"""Parts that run as long as the process: a mistake in one ends neither it nor the others."""

from collections.abc import Awaitable, Callable

import structlog

from bridge.clock import Clock
from bridge.kube.api.throttle import full_jitter
from bridge.retry import Backoff
from bridge.telemetry import Metrics

log = structlog.get_logger(__name__)

_WELL_S = 300.0
"""A part that ran for so long is begun anew at once, as at first."""


async def lasting(
    name: str, run: Callable[[], Awaitable[None]], *, clock: Clock, metrics: Metrics
) -> None:
    """Run the part `name`; whatever it raises is logged, and it is begun anew after a growing
    time."""
    backoff = Backoff(first_s=1.0, most_s=60.0, draw=full_jitter)
    while True:
        began_s = clock.monotonic()
        try:
            await run()
        except Exception:
            log.exception("part.failed", part=name)
            metrics.part_failures.labels(name).inc()
        else:
            return
        if clock.monotonic() - began_s >= _WELL_S:
            backoff.reset()
        await clock.sleep(1.0 + backoff.next_s())
