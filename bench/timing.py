"""Times that can be compared on a noisy machine: candidates in turns, medians taken.

Other processes only ever add time, and they add it in bursts. So candidates run in short slices
one after the other, a turn's time is the best slice, what is shown is the median over turns, and
two candidates are compared within each turn before the median is taken.
"""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Clock = Callable[[], float]
"""Seconds that only grow."""

SLICES = 7


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of one call, by candidate and turn."""

    turns: Mapping[str, list[float]]

    def __getitem__(self, name: str) -> float:
        """The median over turns."""
        return statistics.median(self.turns[name])

    def ratio(self, one: str, other: str) -> float:
        """How many times as long `one` takes as `other`: the median of the turns' ratios."""
        pairs = zip(self.turns[one], self.turns[other], strict=True)
        return statistics.median(mine / theirs for mine, theirs in pairs)


def interleaved(
    candidates: Mapping[str, Callable[[], object]],
    *,
    repeats: int = 7,
    at_least_s: float = 0.001,
    clock: Clock = time.perf_counter,
) -> Times:
    """Run the candidates in `repeats` turns.

    A slice is as many calls as it takes to fill `at_least_s`, so that the clock's grain does not
    count. The garbage collector is off meanwhile. For code that never waits `clock` may be
    `time.process_time`, which leaves out what others do on the machine.
    """
    counts = {name: _calls_for(call, at_least_s, clock) for name, call in candidates.items()}
    turns: dict[str, list[float]] = {name: [] for name in candidates}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(repeats):
            slices = [
                {n: _timed(call, counts[n], clock) / counts[n] for n, call in candidates.items()}
                for _ in range(SLICES)
            ]
            for name, times in turns.items():
                times.append(min(one[name] for one in slices))
    finally:
        if collecting:
            gc.enable()
    return Times(turns)


def _calls_for(call: Callable[[], object], at_least_s: float, clock: Clock) -> int:
    call()
    once = max(_timed(call, 1, clock), 1e-7)
    return max(1, int(at_least_s / once))


def _timed(call: Callable[[], object], count: int, clock: Clock) -> float:
    start = clock()
    for _ in range(count):
        call()
    return clock() - start
