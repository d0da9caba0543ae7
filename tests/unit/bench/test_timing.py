"""Times of candidates in turns."""

from bench.timing import SLICES, Times, interleaved


class FakeClock:
    """Seconds that pass only when a candidate says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_best_slice_of_a_turn_counts() -> None:
    """A burst of something else in some slices does not show."""
    clock, calls = FakeClock(), {"a": 0, "b": 0}

    def candidate(name: str, seconds: float) -> None:
        calls[name] += 1
        clock.now += seconds + (5.0 if calls[name] % SLICES else 0.0)

    times = interleaved(
        {"a": lambda: candidate("a", 1.0), "b": lambda: candidate("b", 2.0)}, clock=clock
    )
    assert (times["a"], times["b"]) == (1.0, 2.0)
    assert times.ratio("b", "a") == 2.0


def test_short_calls_are_repeated_until_a_slice_is_full() -> None:
    """What is shown is the time of one call."""
    clock = FakeClock()

    def call() -> None:
        clock.now += 0.0001

    times = interleaved({"a": call}, clock=clock, repeats=3)
    assert abs(times["a"] - 0.0001) < 1e-9
    assert clock.now > 3 * SLICES * 0.0009


def test_ratios_are_taken_within_turns() -> None:
    """Where the machine was slow for a whole turn, both were."""
    times = Times({"a": [1.0, 10.0, 1.0], "b": [2.0, 20.0, 3.0]})
    assert times.ratio("b", "a") == 2.0
