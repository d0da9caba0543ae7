"""The rate and the waits, against a clock that jumps."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from bridge.kube.api.throttle import TokenBucket, full_jitter
from tests.unit.kube.apiserver import JumpClock


async def test_burst_then_rate() -> None:
    """A full bucket gives its burst at once, then one token each 1/rate."""
    clock = JumpClock()
    bucket = TokenBucket(per_s=10, burst=2, clock=clock)
    for _ in range(4):
        await bucket.take()
    assert [round(one, 6) for one in clock.slept] == [0.1, 0.1]


async def test_idle_fills_up_to_the_burst() -> None:
    """However long it rests, a bucket holds no more than its burst."""
    clock = JumpClock()
    bucket = TokenBucket(per_s=10, burst=2, clock=clock)
    clock.now += 3600
    for _ in range(3):
        await bucket.take()
    assert len(clock.slept) == 1


@given(
    per_s=st.floats(0.5, 500),
    burst=st.integers(1, 50),
    pauses=st.lists(st.floats(0, 5), max_size=60),
)
def test_never_faster(per_s: float, burst: int, pauses: list[float]) -> None:
    """In any interval no more than burst + rate x its length are given."""

    async def given_at() -> list[float]:
        clock = JumpClock()
        bucket = TokenBucket(per_s=per_s, burst=burst, clock=clock)
        times = []
        for pause in pauses:
            clock.now += pause
            await bucket.take()
            times.append(clock.now)
        return times

    times = asyncio.run(given_at())
    for first, start in enumerate(times):
        for last in range(first, len(times)):
            allowed = burst + per_s * (times[last] - start)
            assert last - first + 1 <= allowed + 1e-6


async def test_a_rest_too_small_for_the_clock_is_no_endless_wait() -> None:
    """Late on a clock, a wait of 1e-13 s does not move it."""
    clock = JumpClock()
    clock.now = 1e6
    bucket = TokenBucket(per_s=300, burst=1, clock=clock)
    await bucket.take()
    clock.now += (1.0 - 1e-12) / 300
    await bucket.take()
    assert clock.now < 1e6 + 1


async def test_first_come_first_served() -> None:
    """Who waits longest gets the next token."""
    clock = JumpClock()
    bucket = TokenBucket(per_s=1, burst=1, clock=clock)
    order: list[int] = []

    async def take(number: int) -> None:
        await bucket.take()
        order.append(number)

    await asyncio.gather(*(take(number) for number in range(5)))
    assert order == [0, 1, 2, 3, 4]


@given(bound_s=st.floats(0, 100))
def test_jitter_is_anything_up_to_its_bound(bound_s: float) -> None:
    """Never more than the bound."""
    assert 0 <= full_jitter(bound_s) <= bound_s
