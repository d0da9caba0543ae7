"""Sets of values under keys; a key without values is dropped."""

from collections.abc import Hashable, Iterator, Set
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value", bound=Hashable)


class Indexed(Generic[Key, Value]):
    """The values under each key."""

    def __init__(self) -> None:
        self._sets: dict[Key, set[Value]] = {}

    def __len__(self) -> int:
        return len(self._sets)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._sets)

    def add(self, key: Key, value: Value) -> None:
        """Adds the value under the key."""
        self._sets.setdefault(key, set()).add(value)

    def discard(self, key: Key, value: Value) -> None:
        """Removes the value from under the key, if it is there."""
        there = self._sets.get(key)
        if there is not None:
            there.discard(value)
            if not there:
                del self._sets[key]

    def of(self, key: Key) -> Set[Value]:
        """The values under the key; callers must not keep the set."""
        return self._sets.get(key, frozenset())
