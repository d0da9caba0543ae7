"""Waits that double."""

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridge import retry
from bridge.retry import Backoff


def test_waits_double_up_to_the_bound() -> None:
    """And begin anew once it worked."""
    backoff = Backoff(first_s=1, most_s=5)
    assert [backoff.next_s() for _ in range(5)] == [1, 2, 4, 5, 5]
    assert backoff.failures == 5
    backoff.reset()
    assert backoff.next_s() == 1


@given(failures=st.integers(0, 100_000), first_s=st.floats(0.001, 10), most_s=st.floats(0.001, 1e6))
def test_any_number_of_failures(failures: int, first_s: float, most_s: float) -> None:
    """A wait is never longer than the bound, and never shorter than the one before."""
    waits = [
        retry.pause_s(count, first_s=first_s, most_s=most_s) for count in (failures, failures + 1)
    ]
    assert all(min(first_s, most_s) <= wait_s <= most_s for wait_s in waits)
    assert all(earlier <= later for earlier, later in pairwise(waits))


def test_when_it_is_due() -> None:
    """At once before the first failure, and after one that was followed by a success."""
    backoff = Backoff(first_s=2, most_s=60)
    assert backoff.due_s == -math.inf
    assert backoff.failed(100.0) == 2
    assert backoff.due_s == 102.0
    assert backoff.failed(103.0) == 4
    assert backoff.due_s == 107.0
    backoff.reset()
    assert backoff.due_s == -math.inf


def test_failures_are_forgotten() -> None:
    """One that comes long after the last is the first again; a little sooner it is the next."""
    backoff = Backoff(first_s=1, most_s=60, forget_s=600)
    assert [backoff.failed(now_s) for now_s in (0.0, 600.0)] == [1, 2]
    assert backoff.failed(602.0 + 600.0) == 1


def test_never_forgotten() -> None:
    """Unless it is said so."""
    backoff = Backoff(first_s=1, most_s=60)
    assert [backoff.failed(now_s) for now_s in (0.0, 1e9)] == [1, 2]


def test_drawn() -> None:
    """A wait is what is drawn of the doubled one."""
    backoff = Backoff(first_s=1, most_s=60, draw=lambda full_s: full_s / 2)
    assert [backoff.next_s() for _ in range(3)] == [0.5, 1, 2]
