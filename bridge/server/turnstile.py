"""Who may handle a call now: handlers run in the loop, so a long one keeps all others waiting.

While calls need little time all go through at once. When they have used up a round's time, the
next ones wait for the next pass of the loop, and there the address goes first that has used the
least. So a caller with small calls waits for one call of each other address, not for all that they
have sent.
"""

import asyncio

from bridge.server.turns import Shares

_ROUND_S = 0.008
_AT_ONCE = 16
"""Calls let in at the beginning of a round; those that find its time used up wait again."""
_CALL_S = 0.0001
"""What a call costs the loop beside its handler: reading, parsing, writing."""


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
