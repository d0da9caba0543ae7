"""Whoever reaches our ports may waste his own time, and nobody else's."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.hostile.crowds import Crowd, crowd
from tests.hostile.served import LIMITS, MEMORY_BYTES, PROBES_LIMITS, Honest, Served, serving

ROUNDS = 5
"""Of honest calls, once the crowd is felt."""
ELSEWHERE = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
CUT = "bridge_server_connections_cut_total"
OPEN = "bridge_server_connections"
HELD = "bridge_server_request_bytes"
SERVED = "bridge_served_seconds_count"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Both servers, for all crowds one after the other."""
    with serving(tmp_path_factory.mktemp("servers") / "tls") as servers:
        yield servers


@dataclass(frozen=True)
class Story:
    """A crowd, and the metric by which the servers feel it."""

    callers: Crowd
    felt: Callable[[Honest], float]


def room(honest: Honest) -> float:
    """Connections cut for others."""
    return honest.count(CUT, server="https", reason="room")


STORIES = {
    "idle": Story({"idle": 2200}, room),
    "half handshakes": Story({"half_handshake": 2200}, room),
    "slow headers": Story({"slow_headers": 400}, lambda one: one.count(CUT, reason="request")),
    "slow bodies": Story({"slow_body": 400}, lambda one: one.count(SERVED, outcome="refused")),
    "large bodies": Story({"large_bodies": 30}, lambda one: one.count(CUT, reason="memory")),
    "reviews": Story({"reviews": 300}, lambda one: one.count("bridge_served_in_flight")),
    "probes": Story(
        {"idle_at_the_probes": 600, "scrapes": 20},
        lambda one: one.count(CUT, server="probes", reason="room"),
    ),
    "all at once": Story(
        {
            "idle": 800,
            "half_handshake": 600,
            "slow_headers": 200,
            "slow_body": 200,
            "large_bodies": 10,
            "idle_at_the_probes": 400,
            "scrapes": 10,
        },
        room,
    ),
}


@pytest.mark.parametrize("name", STORIES)
async def test_honest_callers_are_answered(served: Served, name: str) -> None:
    """Every honest call is answered rightly, over kept connections and over new ones, while the
    crowd is there; connections and memory stay within their limits, and are free afterwards."""
    story = STORIES[name]
    async with Honest(served) as honest:
        before = story.felt(honest)
        with crowd(served.doors, story.callers, ELSEWHERE):
            after = 0
            while after < ROUNDS:
                await honest.round()
                after += story.felt(honest) > before
                assert honest.count(OPEN, server="https") <= LIMITS.connections
                assert honest.count(OPEN, server="probes") <= PROBES_LIMITS.connections
                assert honest.count(HELD) <= MEMORY_BYTES
        while honest.count(OPEN) > 12 or honest.count(HELD) > 20_000:  # its own calls
            await honest.round()
