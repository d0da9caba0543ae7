"""Times that can be compared on a noisy machine: candidates interleaved, medians taken."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping

Clock = Callable[[], float]
"""Seconds that only grow."""


def interleaved(
    candidates: Mapping[str, Callable[[], object]],
    *,
    repeats: int = 7,
    at_least_s: float = 0.002,
    clock: Clock = time.perf_counter,
) -> dict[str, float]:
    """Median seconds of one call of each candidate, measured in turns.

    Each turn calls a candidate as often as it takes to fill `at_least_s`, so that the clock's
    grain and one interruption do not decide. The garbage collector is off meanwhile. For code
    that never waits `clock` may be `time.process_time`, which leaves out what others do on the
    machine.
    """
    counts = {name: _calls_for(call, at_least_s, clock) for name, call in candidates.items()}
    times: dict[str, list[float]] = {name: [] for name in candidates}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(repeats):
            for name, call in candidates.items():
                times[name].append(_timed(call, counts[name], clock) / counts[name])
    finally:
        if collecting:
            gc.enable()
    return {name: statistics.median(values) for name, values in times.items()}


def _calls_for(call: Callable[[], object], at_least_s: float, clock: Clock) -> int:
    call()
    once = max(_timed(call, 1, clock), 1e-7)
    return max(1, int(at_least_s / once))


def _timed(call: Callable[[], object], count: int, clock: Clock) -> float:
    start = clock()
    for _ in range(count):
        call()
    return clock() - start
