"""Costly reviews take turns, each namespace its own; what people write never waits."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from bridge.admission.reading import (
    NotAReview,
    NotRead,
    Question,
    Reading,
    ReviewReader,
    Untouched,
)
from bridge.admission.scope import Scope
from bridge.admission.turns import (
    COSTLY_S,
    LONGEST_REST_S,
    MOST_WAITING_BYTES,
    OWED_S,
    REST,
    REST_ELSEWHERE,
    SMALL_BYTES,
    ReviewTurns,
)
from bridge.errors import Unreachable
from tests.unit.kube.apiserver import HeldClock

READER = ReviewReader(Scope())
LARGE = SMALL_BYTES + 1


def a_body(namespace: str = "team", size: int = SMALL_BYTES, name: str = "a") -> bytes:
    """A review as the API server writes it, padded to a size."""
    request = {"uid": name, "name": name, "namespace": namespace, "operation": "DELETE"}
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    return json.dumps(review, separators=(",", ":")).encode().ljust(size)


class Process:
    """Reads when the test lets it, as long as the test says; knows in which order."""

    def __init__(self, clock: HeldClock) -> None:
        self.clock = clock
        self.asked: list[str] = []
        self.takes_s = 0.1
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails = False

    async def read(self, reader: ReviewReader, question: Question, body: bytes) -> Reading:
        reading = reader.read(question, body)
        assert isinstance(reading, Untouched)
        self.asked.append(reading.uid)
        await self.gate.wait()
        self.clock.now += self.takes_s
        if self.fails:
            raise Unreachable("it has ended")
        return reading


class World:
    """Turns, with a process and clocks that the test moves. `costs` are the seconds that the next
    readings in the loop take."""

    def __init__(self, costs: tuple[float, ...] = ()) -> None:
        self.clock = HeldClock()
        self.process = Process(self.clock)
        self._costs: Iterator[float] = iter(costs)
        self._timer_s = 0.0
        self._begins = True
        self.turns = ReviewTurns(self.process, clock=self.clock, timer=self._timer)

    def _timer(self) -> float:
        """Called before and after each reading."""
        self._timer_s += 0.0 if self._begins else next(self._costs, 0.0)
        self._begins = not self._begins
        return self._timer_s

    def begin(self, body: bytes) -> "asyncio.Future[Reading | NotRead]":
        return asyncio.ensure_future(self.turns.read(READER, Question.VALIDATE, body))

    async def pass_time(self, seconds: float = 0.0) -> None:
        """Whoever has slept for so long goes on as far as it can."""
        await settle()
        self.clock.advance(seconds)
        await settle()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def give_up(*tasks: "asyncio.Future[Reading | NotRead]") -> None:
    for one in tasks:
        one.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_people_write_is_read_at_once() -> None:
    """In the loop, whatever waits for the process."""
    world = World()
    world.process.gate.clear()
    large = world.begin(a_body("hostile", LARGE))
    await world.pass_time()
    for body in (a_body(), b"{}"):
        reading = world.begin(body)
        await asyncio.sleep(0)
        assert reading.done()
    assert isinstance(await reading, NotAReview)
    assert world.process.asked == ["a"]
    await give_up(large)


async def test_the_next_large_one_waits_as_long_as_the_last_took() -> None:
    """Half of a processor is nobody's."""
    world = World()
    one, two = (world.begin(a_body(size=LARGE, name=name)) for name in "ab")
    await world.pass_time()
    assert (one.done(), two.done()) == (True, False)
    rest_s = REST_ELSEWHERE * world.process.takes_s - OWED_S
    await world.pass_time(rest_s - 0.01)
    assert not two.done()
    await world.pass_time(0.011)
    assert await two == Untouched("b")


async def test_namespaces_take_turns_for_the_process() -> None:
    """Each waits for one review of each other one, however many these send."""
    world = World()
    world.process.gate.clear()
    tasks = [world.begin(a_body("hostile", LARGE, f"hostile-{n}")) for n in range(3)]
    await world.pass_time()
    tasks += [world.begin(a_body(name, LARGE, name)) for name in ("team", "lab")]
    await world.pass_time()
    world.process.gate.set()
    for _ in range(6):
        await world.pass_time(LONGEST_REST_S)
    assert world.process.asked == ["hostile-0", "team", "lab", "hostile-1", "hostile-2"]
    await give_up(*tasks)


async def test_costly_small_ones_are_rested_for() -> None:
    """The next ones of the namespace wait, small as they are, in turn; nobody else does."""
    world = World(costs=(OWED_S, 0.0, OWED_S))
    rest_s = (REST - 1) * OWED_S + 1e-9
    assert await world.begin(a_body("hostile")) == Untouched("a")
    tasks = [world.begin(a_body("hostile")) for _ in range(3)]
    await world.pass_time()
    assert not any(task.done() for task in tasks)
    other = world.begin(a_body("team"))
    await asyncio.sleep(0)
    assert other.done()
    await world.pass_time(rest_s)
    assert [task.done() for task in tasks] == [True, False, False]
    await world.pass_time(REST * OWED_S)
    assert [task.done() for task in tasks] == [True, True, True]
    again = world.begin(a_body("hostile"))
    await asyncio.sleep(0)
    assert again.done()


async def test_the_rest_is_in_proportion() -> None:
    """However many are sent, a quarter of the loop's time is the namespace's."""
    cost_s = 4 * COSTLY_S
    world = World(costs=(cost_s,) * 1000)
    began_s = world.clock.now
    for _ in range(500):
        reading = world.begin(a_body())
        await asyncio.sleep(0)
        while not reading.done():
            await world.pass_time(COSTLY_S)
    passed_s = world.clock.now - began_s
    assert 500 * cost_s * REST - OWED_S == pytest.approx(passed_s, rel=0.02)


async def test_usual_ones_are_rested_for_by_nobody() -> None:
    """However many come; nor is one that took long for once."""
    world = World(costs=(COSTLY_S / 2,) * 100 + (OWED_S / REST,) + (0.0,))
    for _ in range(102):
        reading = world.begin(a_body())
        await asyncio.sleep(0)
        assert reading.done()


async def test_what_a_namespace_owes_is_not_forgotten() -> None:
    """While others come that owe something too."""
    world = World(costs=(OWED_S / REST, OWED_S / REST, OWED_S / REST))
    for namespace in ("hostile", "team", "hostile"):
        reading = world.begin(a_body(namespace))
        await asyncio.sleep(0)
        assert reading.done()
    waits = world.begin(a_body("hostile"))
    await world.pass_time()
    assert not waits.done()
    await world.pass_time(OWED_S + 1e-9)
    assert waits.done()


async def test_more_than_a_few_that_wait_are_sent_away() -> None:
    """They hold memory; whoever sent them is told to try again."""
    world = World()
    world.process.gate.clear()
    size = MOST_WAITING_BYTES // 4
    waiting = [world.begin(a_body(size=size)) for _ in range(4)]
    await world.pass_time()
    reading = await world.begin(a_body(size=LARGE))
    assert isinstance(reading, NotRead)
    assert (reading.code, reading.reason) == (429, "TooManyRequests")
    assert "try again" in reading.message
    await give_up(*waiting)
    # Who has given up is waited for no longer, and holds nothing.
    world.process.gate.set()
    again = world.begin(a_body(size=size))
    await world.pass_time(LONGEST_REST_S)
    assert await again == Untouched("a")


async def test_a_process_that_fails_costs_one_review() -> None:
    """Who sent it may send it again; the turn goes on."""
    world = World()
    world.process.fails = True
    reading = world.begin(a_body(size=LARGE))
    await world.pass_time()
    answer = await reading
    assert isinstance(answer, NotRead)
    assert answer.code == 503
    world.process.fails = False
    again = world.begin(a_body(size=LARGE))
    await world.pass_time(LONGEST_REST_S)
    assert await again == Untouched("a")


@pytest.mark.parametrize(
    "name", ["a", '","namespace":"victim","operation":"'], ids=["usual", "that looks like a head"]
)
async def test_a_namespace_is_what_the_api_server_says(name: str) -> None:
    """No text of a user makes it somebody else's."""
    world = World()
    world.process.gate.clear()
    odd = world.begin(a_body("x" * 99, LARGE, name))  # no name of a namespace: shares its turns
    await world.pass_time()
    world.process.gate.set()
    victim = world.begin(a_body("victim", LARGE, "v"))
    await world.pass_time()
    assert victim.done()
    await give_up(odd)
