"""Large reviews of one namespace take turns, so that they leave the event loop to all others.

The API server sends whatever a tenant wrote, before it knows that the object is too large: a pod of
a megabyte costs twenty milliseconds to read, in which nobody else is answered. So the large ones of
a namespace are answered one after the other, and after each as much time is everybody else's as it
took, several times over. Small ones, which is all that people write, wait for nothing.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from bridge.clock import Clock

Handler = Callable[[bytes], Awaitable[tuple[int, bytes]]]
"""Body in; HTTP status and JSON body out."""

SMALL_BYTES: Final = 64 << 10
"""Of a body that never waits; a pod that people write has ten kilobytes."""
REST: Final = 4.0
"""How many times as long as a large one took the next of its namespace waits."""
LONGEST_REST_S: Final = 1.0
"""The API server waits ten seconds for an answer."""
MOST_WAITING: Final = 8
"""Large ones of a namespace that wait; they hold memory."""
_HEAD_BYTES = 4096
_NAMESPACE = re.compile(rb'"namespace":"([a-z0-9-]{1,63})","operation":')
"""As Go writes the head of a review, before the object."""
_TOO_MANY = (
    b'{"apiVersion":"v1","kind":"Status","status":"Failure","code":429,"reason":"TooManyRequests",'
    b'"message":"slurm-bridge is still reading other large pods of this namespace; try again"}'
)


@dataclass(slots=True)
class _Turn:
    """Of one namespace."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    free_at_s: float = 0.0
    """On the monotonic clock: when its next large one may begin."""


class LargeReviews:
    """Guards handlers; those guarded by the same one share the turns."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._turns: dict[bytes, _Turn] = {}

    def guard(self, handler: Handler) -> Handler:
        """The handler, with turns for large bodies. Too many that wait are answered 429, which
        fails the request of whoever sent them."""

        async def answer(body: bytes) -> tuple[int, bytes]:
            if len(body) <= SMALL_BYTES:
                return await handler(body)
            return await self._in_turn(handler, body)

        return answer

    async def _in_turn(self, handler: Handler, body: bytes) -> tuple[int, bytes]:
        turn = self._turn_of(_namespace(body))
        if turn.waiting >= MOST_WAITING:
            return 429, _TOO_MANY
        turn.waiting += 1
        try:
            async with turn.lock:
                await self._clock.sleep(max(0.0, turn.free_at_s - self._clock.monotonic()))
                began_s = self._clock.monotonic()
                try:
                    return await handler(body)
                finally:
                    now_s = self._clock.monotonic()
                    turn.free_at_s = now_s + rest_s(now_s - began_s)
        finally:
            turn.waiting -= 1

    def _turn_of(self, namespace: bytes) -> _Turn:
        now_s = self._clock.monotonic()
        for name, turn in list(self._turns.items()):
            if not turn.waiting and turn.free_at_s <= now_s:
                del self._turns[name]
        return self._turns.setdefault(namespace, _Turn())


def rest_s(took_s: float) -> float:
    """How long the next one waits after one that took so long, in seconds."""
    return min(LONGEST_REST_S, REST * took_s)


def _namespace(body: bytes) -> bytes:
    """Of the review; b"" where its head has another form, whose senders then share their turns."""
    found = _NAMESPACE.search(body, 0, _HEAD_BYTES)
    return found[1] if found else b""
