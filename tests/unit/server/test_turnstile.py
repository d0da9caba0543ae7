"""Whose call is handled next."""

import asyncio

import pytest

from bridge.server.turnstile import ReadingTurns, Timed, Turnstile


class Callers:
    """Calls that pass a turnstile, in the order in which they were handled."""

    def __init__(self) -> None:
        self.turnstile = Turnstile()
        self.handled: list[str] = []
        self.passes: list[int] = []
        self._pass = 0

    async def call(self, peer: str, seconds: float) -> None:
        """One call, whose handler is said to have taken so long."""
        await self.turnstile.enter(peer)
        self.handled.append(peer)
        self.passes.append(self._pass)
        self.turnstile.left(peer, seconds)

    async def all(self, *calls: tuple[str, float]) -> None:
        """These at once; passes of the loop are counted meanwhile."""
        tasks = [asyncio.ensure_future(self.call(*one)) for one in calls]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            self._pass += 1
        await asyncio.gather(*tasks)


async def test_small_calls_do_not_wait() -> None:
    """As long as they need little time all go through in one pass of the loop."""
    callers = Callers()
    await callers.all(*[("api", 0.0001)] * 40)
    assert set(callers.passes) == {0}


async def test_long_calls_take_turns() -> None:
    """Of many long calls one is handled in a pass, and a small one of another address is next."""
    callers = Callers()
    await callers.all(*[("flood", 0.080)] * 20, ("api", 0.0001))
    assert callers.handled.index("api") <= 2
    flood = [when for peer, when in zip(callers.handled, callers.passes, strict=True)
             if peer == "flood"]  # fmt: skip
    assert len(set(flood)) == 20


async def test_the_order_of_an_address() -> None:
    """Calls of one address are handled in the order in which they came, also if they are let in
    and find the time used up."""
    callers = Callers()
    order: list[int] = []

    async def call(number: int) -> None:
        await callers.turnstile.enter("flood")
        order.append(number)
        callers.turnstile.left("flood", 0.005)

    await asyncio.gather(*(call(number) for number in range(50)))
    assert order == list(range(50))


async def test_a_share_for_each_address() -> None:
    """Small calls are handled until their address has used as much as the others."""
    callers = Callers()
    await callers.all(*[("flood", 0.050)] * 10, *[("api", 0.001)] * 30)
    first = callers.handled[:33]
    assert first.count("api") == 30


async def test_who_gives_up_loses_nothing_for_others() -> None:
    """A caller that is cancelled while it waits has no turn, and the others have theirs."""
    callers = Callers()
    tasks = [asyncio.ensure_future(callers.call("flood", 0.080)) for _ in range(5)]
    await asyncio.sleep(0)
    for task in tasks[1:4]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert callers.handled == ["flood", "flood"]
    await callers.all(("api", 0.0001))
    assert callers.handled[-1] == "api"


async def test_open_again() -> None:
    """After the crowd everything is as before."""
    callers = Callers()
    await callers.all(*[("flood", 0.080)] * 3)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert callers.turnstile.is_open
    callers.passes.clear()
    await callers.all(*[("api", 0.0001)] * 10)
    assert len(set(callers.passes)) == 1


class Sender(asyncio.Transport):
    """A transport that says when it is read on."""

    def __init__(self, name: str, read: list[str]) -> None:
        super().__init__()
        self.closing = False
        self._name = name
        self._read = read

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self._read.append(f"not {self._name}")

    def resume_reading(self) -> None:
        self._read.append(self._name)


async def test_large_requests_are_read_in_turns() -> None:
    """A few in one pass, the addresses in turns; one that was closed meanwhile is left alone."""
    read: list[str] = []
    reading = ReadingTurns()
    senders = [Sender(f"f{number}", read) for number in range(9)]
    for one in senders:
        reading.wait("flood", one)
    reading.wait("api", Sender("api", read))
    assert read == [f"not f{number}" for number in range(9)] + ["not api"]
    senders[8].closing = True
    passes: list[list[str]] = []
    while len(passes) < 4:
        read.clear()
        await asyncio.sleep(0)
        passes.append(list(read))
    assert passes == [["api", "f7", "f6"], ["f5", "f4", "f3", "f2"], ["f1", "f0"], []]


async def test_only_own_time_counts() -> None:
    """What others do while something is awaited is not its time."""
    now_s = 0.0
    gate = asyncio.Event()

    async def waits() -> str:
        nonlocal now_s
        now_s += 2
        await gate.wait()
        now_s += 3
        return "done"

    async def opens() -> None:
        nonlocal now_s
        now_s += 100
        gate.set()

    timed = Timed(waits(), clock=lambda: now_s)
    result, _ = await asyncio.gather(pass_on(timed), opens())
    assert (result, timed.used_s) == ("done", 5)


async def test_what_is_timed_ends_as_it_would() -> None:
    """What it raises, and what is thrown at it, goes through."""
    ended: list[str] = []

    async def fails() -> str:
        raise ZeroDivisionError

    async def waits() -> str:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return ""

    with pytest.raises(ZeroDivisionError):
        await Timed(fails())
    task = asyncio.ensure_future(pass_on(Timed(waits())))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["cancelled"]


async def pass_on(timed: Timed[str]) -> str:
    """As a coroutine."""
    return await timed
