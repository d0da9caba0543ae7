"""Who goes next, when many wait for the event loop's time: the addresses in turns.

A flood from one address then delays the callers of other addresses by a share, not by its whole
length. Both classes are pure.
"""

from typing import Generic, TypeVar

Item = TypeVar("Item")


class Turns(Generic[Item]):
    """What waits, by address."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[Item, None]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, peer: str, item: Item) -> None:
        """`item` of the address `peer` waits."""
        self._waiting.setdefault(peer, {})[item] = None

    def drop(self, peer: str, item: Item) -> None:
        """It does not wait any more."""
        items = self._waiting.get(peer)
        if items is not None:
            items.pop(item, None)
            if not items:
                del self._waiting[peer]

    def next(self) -> Item:
        """The newest of the address whose last turn is the longest ago: under a flood the oldest
        have waited so long that their callers may have given up. Raises StopIteration if nothing
        waits."""
        peer = next(iter(self._waiting))
        items = self._waiting.pop(peer)
        item, _ = items.popitem()
        if items:
            self._waiting[peer] = items
        return item


class Pace:
    """At most `rate` starts a second in the long run, and `burst` at once."""

    def __init__(self, *, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._left = float(burst)
        self._seen_s = 0.0

    def may_start(self, now_s: float) -> bool:
        """Whether one more may start at this time; if so, it is counted."""
        self._left = min(self._burst, self._left + (now_s - self._seen_s) * self._rate)
        self._seen_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True
