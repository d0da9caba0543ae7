"""Large reviews take turns, each namespace its own; small ones never wait."""

import asyncio
import json

import pytest

from bridge.admission.large import LONGEST_REST_S, MOST_WAITING, SMALL_BYTES, LargeReviews, rest_s
from tests.unit.kube.apiserver import HeldClock


def a_body(namespace: str = "team", size: int = SMALL_BYTES + 1, name: str = "a") -> bytes:
    """A review as the API server writes it, padded to a size."""
    request = {"uid": "u", "name": name, "namespace": namespace, "operation": "CREATE"}
    head = json.dumps({"kind": "AdmissionReview", "request": request}, separators=(",", ":"))
    return head.encode() + b" " * (size - len(head))


class Answers:
    """A handler that takes as long as the test says, and what it has answered."""

    def __init__(self, clock: HeldClock, takes_s: float = 0.1) -> None:
        self.clock = clock
        self.takes_s = takes_s
        self.answered: list[bytes] = []

    async def __call__(self, body: bytes) -> tuple[int, bytes]:
        self.clock.now += self.takes_s
        self.answered.append(body)
        return 200, b"{}"


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_next_one_waits_several_times_as_long() -> None:
    """Meanwhile everybody else is answered."""
    clock = HeldClock()
    answers = Answers(clock)
    handler = LargeReviews(clock=clock).guard(answers)
    one, two = (asyncio.ensure_future(handler(a_body(name=name))) for name in "ab")
    await settle()
    clock.advance(0)
    await settle()
    assert (one.done(), two.done()) == (True, False)
    assert await handler(a_body(size=SMALL_BYTES)) == (200, b"{}")
    clock.advance(rest_s(answers.takes_s) - 0.2)
    await settle()
    assert not two.done()
    clock.advance(0.2)
    assert await two == (200, b"{}")


async def test_another_namespace_does_not_wait() -> None:
    """Its turns are its own."""
    clock = HeldClock()
    handler = LargeReviews(clock=clock).guard(Answers(clock))
    first = [asyncio.ensure_future(handler(a_body("hostile", name=str(n)))) for n in range(3)]
    other = asyncio.ensure_future(handler(a_body("team")))
    await settle()
    clock.advance(0)
    await settle()
    assert other.done()
    for one in first:
        one.cancel()
    await asyncio.gather(*first, return_exceptions=True)
    # Who has given up is waited for no longer.
    clock.advance(LONGEST_REST_S)
    again = asyncio.ensure_future(handler(a_body("hostile")))
    await settle()
    clock.advance(LONGEST_REST_S)
    assert (await again)[0] == 200


async def test_more_than_a_few_that_wait_are_sent_away() -> None:
    """They hold memory; whoever sent them is told to try again."""
    clock = HeldClock()
    handler = LargeReviews(clock=clock).guard(Answers(clock))
    waiting = [asyncio.ensure_future(handler(a_body())) for _ in range(MOST_WAITING)]
    await settle()
    status, answer = await handler(a_body())
    assert status == 429
    assert "try again" in json.loads(answer)["message"]
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_handler_that_fails_gives_its_turn_back() -> None:
    """Whatever it raises reaches the server."""
    clock = HeldClock()

    async def fails(body: bytes) -> tuple[int, bytes]:
        raise RuntimeError("a bug")

    handler = LargeReviews(clock=clock).guard(fails)
    for _ in range(2):
        task = asyncio.ensure_future(handler(a_body()))
        await settle()
        clock.advance(LONGEST_REST_S)
        with pytest.raises(RuntimeError, match="a bug"):
            await task


@pytest.mark.parametrize(
    "body",
    [
        b" " * (SMALL_BYTES + 1),
        a_body(name='","namespace":"victim","operation":"'),
        a_body("x" * 99),
    ],
    ids=["none", "a name that looks like one", "no name"],
)
async def test_a_namespace_is_what_the_api_server_says(body: bytes) -> None:
    """A head of another form shares its turns with others of such forms; no text of a user makes
    it somebody else's."""
    clock = HeldClock()
    handler = LargeReviews(clock=clock).guard(Answers(clock))
    odd = [asyncio.ensure_future(handler(body)) for _ in range(2)]
    victim = asyncio.ensure_future(handler(a_body("victim")))
    await settle()
    clock.advance(0)
    await settle()
    assert victim.done()
    for one in odd:
        one.cancel()
    await asyncio.gather(*odd, return_exceptions=True)
