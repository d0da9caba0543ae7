"""One tenant's flood is his own: another tenant's pods have their turns."""

from tests.arena.arena import Arena
from tests.arena.fixtures import Begin
from tests.hostile.flood import Flood, nodes


def test_a_flood_does_not_keep_another_tenants_pods_waiting(arena: Arena, begin: Begin) -> None:
    """Each single pod is bound while most of the flood that came before it is still to be done.

    (What that takes, in times of a quiet bridge: `make bench-flood`.)
    """
    begin(nodes())
    flood = Flood(arena, count=300)
    times = flood.run(singles=3)
    assert times.untold[0] > 100, "the first single pod waited for the flood"
    flood.end()
