"""Sets under keys; a key without values is no key."""

from collections.abc import Hashable, Iterator, Set
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value", bound=Hashable)


class Indexed(Generic[Key, Value]):
    """Which values stand under a key."""

    def __init__(self) -> None:
        self._sets: dict[Key, set[Value]] = {}

    def __len__(self) -> int:
        return len(self._sets)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._sets)

    def add(self, key: Key, value: Value) -> None:
        """Put the value under the key."""
        self._sets.setdefault(key, set()).add(value)

    def discard(self, key: Key, value: Value) -> None:
        """Take it away, if it is there."""
        there = self._sets.get(key)
        if there is not None:
            there.discard(value)
            if not there:
                del self._sets[key]

    def of(self, key: Key) -> Set[Value]:
        """The values under the key; not to be kept."""
        return self._sets.get(key, frozenset())
