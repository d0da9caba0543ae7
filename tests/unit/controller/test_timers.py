"""One timer for each gang."""

from functools import partial

from bridge.controller.timers import Timers
from bridge.model.ids import GangId
from tests.unit.slurm.clocks import ManualClock

G, H = GangId("g"), GangId("h")


class Ringing:
    """Timers under a clock that the test turns, and who rang when."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.timers = Timers(later=self.clock.later, clock=self.clock)
        self.rung: list[tuple[str, float]] = []
        self._began_s = self.clock.now_s

    def wake(self, gang_id: GangId, after_s: float, what: str = "") -> None:
        self.timers.wake(gang_id, after_s, partial(self._ring, what or gang_id))

    def _ring(self, what: str) -> None:
        self.rung.append((what, self.clock.now_s - self._began_s))


async def test_the_earliest_of_the_times_that_were_asked_for_counts() -> None:
    """Whichever was asked for first; the gang is woken once."""
    ringing = Ringing()
    ringing.wake(G, 5.0, "middle")
    ringing.wake(G, 9.0, "late")
    ringing.wake(G, 2.0, "early")
    ringing.wake(G, 3.0, "too late")
    await ringing.clock.advance(60)
    assert ringing.rung == [("early", 2.0)]


async def test_a_later_time_counts_once_the_earlier_has_rung() -> None:
    """Also one that is asked for while it rings."""
    ringing = Ringing()
    ringing.timers.wake(G, 1.0, lambda: ringing.wake(G, 4.0))
    await ringing.clock.advance(60)
    assert ringing.rung == [("g", 5.0)]


async def test_what_is_cancelled_rings_no_more() -> None:
    """And keeps no new timer from being set, however late."""
    ringing = Ringing()
    ringing.wake(G, 1.0, "cancelled")
    ringing.timers.cancel(G)
    ringing.timers.cancel(G)
    ringing.wake(G, 30.0)
    await ringing.clock.advance(60)
    assert ringing.rung == [("g", 30.0)]


async def test_gangs_have_their_own_timers() -> None:
    """One gang's says nothing of another's."""
    ringing = Ringing()
    ringing.wake(G, 2.0)
    ringing.wake(H, 1.0)
    ringing.timers.cancel(G)
    await ringing.clock.advance(60)
    assert ringing.rung == [("h", 1.0)]
