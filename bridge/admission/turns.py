"""What one namespace's reviews cost is that namespace's to wait for.

The API server sends whatever a tenant wrote, before it knows that the object is too large: a pod of
three megabytes costs a tenth of a second to read, in which the event loop could answer nobody. So
large reviews are read in a process of their own, one at a time (`reader_process`), and the loop
only hands them on. What people write is small, is read in the loop and waits for nothing.

A small review can be costly too, and many can be sent. So after costly reviews their namespace
rests, and those of its reviews that come meanwhile take turns. Of each namespace one large review
at a time waits for the process, in the order of their arrival: a namespace waits for one review of
each other one, whatever these send.
"""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from bridge.admission.reading import NotRead, Question, Reading, ReviewReader
from bridge.clock import Clock
from bridge.errors import Unreachable

log = structlog.get_logger(__name__)

SMALL_BYTES: Final = 32 << 10
"""Of a body that is read in the loop; a pod that people write has ten kilobytes."""
COSTLY_S: Final = 0.00025
"""What takes longer in the loop has to be rested for; a usual one takes a third of it."""
REST: Final = 4.0
"""How many times as long as a costly one took its namespace rests: three quarters of the loop's
time are everybody else's."""
REST_ELSEWHERE: Final = 1.0
"""The same after a large one: a namespace has half of a processor at the most."""
OWED_S: Final = 0.02
"""So much rest a namespace may owe: a usual review takes long at times, as for Python's garbage."""
LONGEST_REST_S: Final = 1.0
"""The API server waits ten seconds for an answer."""
MOST_WAITING_BYTES: Final = 16 << 20
"""Of a namespace's bodies that wait or are read."""
_HEAD_BYTES = 4096
_NAMESPACE = re.compile(rb'"namespace":"([a-z0-9-]{1,63})","operation":')
"""As Go writes the head of a review, before the object."""
_TOO_MANY = NotRead(
    429,
    "TooManyRequests",
    "slurm-bridge is still reading other large pods of this namespace; try again in a second",
)
_FAILED = NotRead(
    503, "ServiceUnavailable", "slurm-bridge could not read this large pod; try again in a second"
)


class Elsewhere(Protocol):
    """Reads outside of the event loop."""

    async def read(self, reader: ReviewReader, question: Question, body: bytes) -> Reading:
        """What `reader` reads. Raises Unreachable. One call at a time."""


@dataclass(slots=True)
class _Turn:
    """Of one namespace that has sent something costly."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting_bytes: int = 0
    rested_at_s: float = 0.0
    """On the monotonic clock: when it has rested for all that was read of it."""

    def is_free(self, now_s: float) -> bool:
        """Nothing of it waits, and its next one may begin."""
        return not self.waiting_bytes and self.left_s(now_s) <= 0

    def is_settled(self, now_s: float) -> bool:
        """Nothing of it waits, and it owes nothing."""
        return not self.waiting_bytes and self.rested_at_s <= now_s

    def left_s(self, now_s: float) -> float:
        """Until its next one may begin, in seconds; not positive if it may now."""
        return self.rested_at_s - OWED_S - now_s

    def charge(self, rest_s: float, now_s: float) -> None:
        """Something was read of it that asks for so much rest."""
        self.rested_at_s = max(self.rested_at_s, now_s) + min(LONGEST_REST_S, rest_s)


class ReviewTurns:
    """The turns of both webhooks. `timer` gives seconds of the loop's own processor time, so that
    nobody rests for what others did on the machine."""

    def __init__(
        self,
        elsewhere: Elsewhere,
        *,
        clock: Clock,
        timer: Callable[[], float] = time.thread_time,
    ) -> None:
        self._elsewhere = elsewhere
        self._clock = clock
        self._timer = timer
        self._turns: dict[bytes, _Turn] = {}
        self._process = asyncio.Lock()  # is given in the order in which it was asked for

    async def read(
        self, reader: ReviewReader, question: Question, body: bytes
    ) -> Reading | NotRead:
        """Read the body when it is its turn. Where too many of its namespace wait, or the process
        fails, it is not read."""
        namespace = _namespace(body)
        turn = self._turns.get(namespace)
        if len(body) <= SMALL_BYTES and (turn is None or turn.is_free(self._clock.monotonic())):
            return self._read_here(namespace, reader, question, body)
        turn = self._turn_of(namespace)
        if turn.waiting_bytes + len(body) > MOST_WAITING_BYTES:
            return _TOO_MANY
        turn.waiting_bytes += len(body)
        try:
            async with turn.lock:
                if (left_s := turn.left_s(self._clock.monotonic())) > 0:
                    await self._clock.sleep(left_s)
                if len(body) <= SMALL_BYTES:
                    return self._read_here(namespace, reader, question, body)
                async with self._process:
                    return await self._read_elsewhere(turn, reader, question, body)
        finally:
            turn.waiting_bytes -= len(body)

    def _read_here(
        self, namespace: bytes, reader: ReviewReader, question: Question, body: bytes
    ) -> Reading:
        began_s = self._timer()
        try:
            return reader.read(question, body)
        finally:
            took_s = self._timer() - began_s
            if took_s > COSTLY_S:
                self._turn_of(namespace).charge(REST * took_s, self._clock.monotonic())

    async def _read_elsewhere(
        self, turn: _Turn, reader: ReviewReader, question: Question, body: bytes
    ) -> Reading | NotRead:
        began_s = self._clock.monotonic()
        try:
            return await self._elsewhere.read(reader, question, body)
        except Unreachable as error:
            log.warning("review.not_read", error=str(error), bytes=len(body))
            return _FAILED
        finally:
            now_s = self._clock.monotonic()
            turn.charge(REST_ELSEWHERE * (now_s - began_s), now_s)

    def _turn_of(self, namespace: bytes) -> _Turn:
        turn = self._turns.get(namespace)
        if turn is None:
            now_s = self._clock.monotonic()
            for name in [name for name, one in self._turns.items() if one.is_settled(now_s)]:
                del self._turns[name]
            turn = self._turns[namespace] = _Turn()
        return turn


def _namespace(body: bytes) -> bytes:
    """Of the review; b"" where its head has another form, whose senders then share their turns."""
    found = _NAMESPACE.search(body, 0, _HEAD_BYTES)
    return found[1] if found else b""
