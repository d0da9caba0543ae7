"""Who goes next, when many wait for the event loop's time: the addresses in turns.

A flood from one address then delays the callers of other addresses by a share, not by its whole
length. All classes are pure.
"""

from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")
_REMEMBERED = 1024
"""Addresses that do not wait and whose time is remembered."""


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


class Shares(Generic[Item]):
    """What waits, by address; next is the address that has used the least time.

    An address that begins to wait starts with the time of the one that was served last, so that
    nobody saves up time while away.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Item]] = {}
        self._used_s: dict[str, float] = {}
        self._served_s = 0.0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, peer: str, item: Item) -> None:
        """`item` of the address `peer` waits, behind the others of its address."""
        self._items(peer).append(item)

    def put_back(self, peer: str, item: Item) -> None:
        """It waits again, before the others of its address."""
        self._items(peer).appendleft(item)

    def used(self, peer: str, seconds: float) -> None:
        """An item of the address has taken so much time."""
        self._used_s[peer] = max(self._used_s.get(peer, 0.0), self._served_s) + seconds
        if len(self._used_s) > 2 * len(self._waiting) + _REMEMBERED:
            self._used_s = {one: self._used_s[one] for one in self._waiting}

    def next(self) -> Item:
        """The oldest of the address that has used the least. Raises ValueError if nothing waits."""
        peer = min(self._waiting, key=self._used_s.__getitem__)
        self._served_s = self._used_s[peer]
        items = self._waiting[peer]
        item = items.popleft()
        if not items:
            del self._waiting[peer]
        return item

    def forget(self) -> None:
        """All addresses begin anew. Only while nothing waits."""
        self._used_s.clear()
        self._served_s = 0.0

    def _items(self, peer: str) -> deque[Item]:
        items = self._waiting.get(peer)
        if items is None:
            self._used_s[peer] = max(self._used_s.get(peer, 0.0), self._served_s)
            items = self._waiting[peer] = deque()
        return items
