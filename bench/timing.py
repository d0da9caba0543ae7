"""Times that can be compared on a noisy machine: candidates interleaved, medians taken."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping


def interleaved(
    candidates: Mapping[str, Callable[[], object]], *, repeats: int = 7, at_least_s: float = 0.002
) -> dict[str, float]:
    """Median seconds of one call of each candidate, measured in turns.

    Each turn calls a candidate as often as it takes to fill `at_least_s`, so that the clock's
    grain and one interruption do not decide. The garbage collector is off meanwhile.
    """
    counts = {name: _calls_for(call, at_least_s) for name, call in candidates.items()}
    times: dict[str, list[float]] = {name: [] for name in candidates}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(repeats):
            for name, call in candidates.items():
                times[name].append(_timed(call, counts[name]) / counts[name])
    finally:
        if collecting:
            gc.enable()
    return {name: statistics.median(values) for name, values in times.items()}


def _calls_for(call: Callable[[], object], at_least_s: float) -> int:
    call()
    once = max(_timed(call, 1), 1e-7)
    return max(1, int(at_least_s / once))


def _timed(call: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - start
