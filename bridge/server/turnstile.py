"""Whose call is handled, and whose request is read on, in this pass of the event loop.

Handlers run in the loop, so a long one keeps all others waiting. While calls need little time all
go through at once. When they have used up a round's time, the next ones wait for the next pass,
and there the address goes first that has used the least. So a caller with small calls waits for
one call of each other address, not for all that they have sent.

Large requests cost the loop as much before they are handled, by decryption and copying. So of
those only a few are read on in one pass, the addresses in turns.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar

from bridge.server.turns import Shares, Turns

T = TypeVar("T")
_ROUND_S = 0.008
_AT_ONCE = 16
"""Calls let in at the beginning of a round; those that find its time used up wait again."""
_CALL_S = 0.0001
"""What a call costs the loop beside its handler: reading, parsing, writing."""

_READ_AT_ONCE = 4
"""Large requests that are read on in one pass, by up to 256 KiB each."""


class Turnstile:
    """One for all servers of a process. `left` follows each `enter` that did not raise."""

    def __init__(self) -> None:
        self._waiting: Shares[asyncio.Future[None]] = Shares()
        self._too_late: list[tuple[str, asyncio.Future[None]]] = []
        self._used_s = 0.0
        self._next_round: asyncio.Handle | None = None

    @property
    def is_open(self) -> bool:
        """Nobody waits, and there is time left."""
        return self._used_s < _ROUND_S and not self._waiting and not self._too_late

    async def enter(self, peer: str) -> None:
        """Wait for the turn of the address `peer`."""
        if self.is_open:
            return
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.add(peer, turn)
        self._begin_round()
        await turn
        while self._used_s >= _ROUND_S:
            turn = loop.create_future()
            self._too_late.append((peer, turn))
            self._begin_round()
            await turn

    def left(self, peer: str, seconds: float) -> None:
        """A call of the address has been handled for so long."""
        seconds += _CALL_S
        self._used_s += seconds
        if self._used_s >= _ROUND_S:
            self._begin_round()
        if self._next_round is not None:
            self._waiting.used(peer, seconds)

    def _begin_round(self) -> None:
        if self._next_round is None:
            self._next_round = asyncio.get_running_loop().call_soon(self._round)

    def _round(self) -> None:
        self._next_round = None
        self._used_s = 0.0
        for peer, turn in reversed(self._too_late):
            self._waiting.put_back(peer, turn)
        self._too_late.clear()
        if not self._waiting:
            self._waiting.forget()
            return
        let_in = 0
        while self._waiting and let_in < _AT_ONCE:
            turn = self._waiting.next()
            if not turn.done():  # its caller may have gone
                turn.set_result(None)
                let_in += 1
        self._begin_round()


class ReadingTurns:
    """One for all servers of a process."""

    def __init__(self) -> None:
        self._waiting: Turns[asyncio.Transport] = Turns()
        self._next_pass: asyncio.Handle | None = None

    def wait(self, peer: str, transport: asyncio.Transport) -> None:
        """Nothing is read from it until it is the turn of its address `peer`."""
        transport.pause_reading()
        self._waiting.add(peer, transport)
        if self._next_pass is None:
            self._next_pass = asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        self._next_pass = None
        for _ in range(_READ_AT_ONCE):
            if not self._waiting:
                return
            transport = self._waiting.next()
            if not transport.is_closing():
                transport.resume_reading()
        self._next_pass = asyncio.get_running_loop().call_soon(self._read_on)


class Timed(Generic[T]):
    """Awaits something, and knows how much of the loop's time that took: not how long it waited
    for others meanwhile. `clock` gives seconds."""

    def __init__(
        self, awaited: Awaitable[T], *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._awaited = awaited
        self._clock = clock
        self.used_s = 0.0

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._awaited.__await__()
        resume: Any = steps.send
        sent: Any = None
        while True:
            began_s = self._clock()
            try:
                waits_for = resume(sent)
            except StopIteration as ended:
                result: T = ended.value
                return result
            finally:
                self.used_s += self._clock() - began_s
            try:
                sent, resume = (yield waits_for), steps.send
            except BaseException as error:  # it is for what is awaited
                sent, resume = error, steps.throw
