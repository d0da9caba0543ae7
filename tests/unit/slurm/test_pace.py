from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.slurm.pace import Pace, back_off

_COST = st.floats(0.0001, 2.0)


def _pace() -> Pace:
    return Pace(quick_s=0.05, interval_s=0.5, longest_s=5.0)


def test_rests_at_the_interval_while_jobs_are_watched() -> None:
    """A cheap Slurm is looked at each half second; each five when nobody tracks a job."""
    pace = _pace()
    for _ in range(20):
        pace.looked(took_s=0.002, changed=False)
    assert pace.pause_s(watching=True) == 0.5
    assert pace.pause_s(watching=False) == 5.0


def test_looks_quickly_after_something_of_ours_then_slows_down() -> None:
    """Half a second of quick looks, then doubling."""
    pace = _pace()
    pace.hurry()
    pauses = []
    for _ in range(14):
        pauses.append(pace.pause_s(watching=True))
        pace.looked(took_s=0.002, changed=False)
    assert pauses[:9] == [0.05] * 9
    assert pauses[9:13] == [0.1, 0.2, 0.4, 0.5]
    assert sum(pauses[:9]) < 0.5


def test_a_change_hurries_too() -> None:
    """One job's start is often followed by another's."""
    pace = _pace()
    for _ in range(20):
        pace.looked(took_s=0.002, changed=False)
    pace.looked(took_s=0.002, changed=True)
    assert pace.pause_s(watching=True) == 0.05


@pytest.mark.parametrize(("cost_s", "resting_s"), [(0.005, 0.5), (0.05, 2.5), (1.0, 5.0)])
def test_an_expensive_slurm_is_looked_at_less(cost_s: float, resting_s: float) -> None:
    """At rest at most a fiftieth of the time is spent looking, but never less than each 5 s."""
    pace = _pace()
    for _ in range(30):
        pace.looked(took_s=cost_s, changed=False)
    assert pace.pause_s(watching=True) == pytest.approx(resting_s, rel=0.01)


@given(st.lists(st.tuples(_COST, st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_a_pause_is_always_within_bounds(looks: list[tuple[float, bool, bool]]) -> None:
    """Whatever happened: at least the quick pause, at most the longest, at most a tenth of load."""
    pace = _pace()
    for cost_s, changed, triggered in looks:
        pace.looked(took_s=cost_s, changed=changed)
        if triggered:
            pace.hurry()
        for watching in (True, False):
            pause_s = pace.pause_s(watching=watching)
            assert 0.05 <= pause_s <= 5.0
            assert pause_s >= min(10 * pace.cost_s, 5.0) * 0.999


@given(st.floats(0, 0.999))
def test_back_off_grows_to_its_end(jitter: float) -> None:
    """Failures in a row wait longer and longer, never more than the bound, never nothing."""
    failures = back_off(longest_s=5.0, jitter=lambda: jitter)
    pauses = [failures.next_s() for _ in range(200)]
    assert all(0.1 <= pause_s <= 5.0 for pause_s in pauses)
    assert all(earlier <= later for earlier, later in pairwise(pauses))
    assert pauses[-1] >= 2.5
