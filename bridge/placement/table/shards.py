"""A mapping that can be frozen at any time for the price of what changes afterwards.

A snapshot needs "which row has this node" and "what does this pod hold" as they were. Copying
100,000 entries for each snapshot would cost milliseconds. Here a frozen view shares all shards, and
a later write copies only the one shard that it hits (a few hundred entries).
"""

from collections.abc import Collection, Iterator, Mapping
from itertools import repeat
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

SHARDS = 512
MANY = 512
"""From so many keys on, a lookup pays for one dictionary of all shards."""


class FrozenShards(Mapping[K, V]):
    """The mapping as it was when it was frozen."""

    __slots__ = ("_length", "_shards", "_whole")

    def __init__(self, shards: tuple[dict[K, V], ...], length: int) -> None:
        self._shards = shards
        self._length = length
        self._whole: dict[K, V] | None = None

    def __getitem__(self, key: K) -> V:
        return self._shards[hash(key) % SHARDS][key]

    def find_all(self, keys: Collection[K], default: V) -> list[V]:
        """Look up many keys; the first long list makes one dictionary of all shards, for all."""
        if self._whole is None and len(keys) < MANY:
            return [self.find(key, default) for key in keys]
        if self._whole is None:
            self._whole = {key: value for shard in self._shards for key, value in shard.items()}
        return list(map(self._whole.get, keys, repeat(default)))

    def find(self, key: K, default: V) -> V:
        """Look up one key, without the exception that `get` handles for a missing one."""
        return self._shards[hash(key) % SHARDS].get(key, default)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[K]:
        for shard in self._shards:
            yield from shard


class Shards(Generic[K, V]):
    """The writer's side. The order of iteration is not defined."""

    __slots__ = ("_frozen", "_length", "_owned", "_shards")

    def __init__(self) -> None:
        self._shards: list[dict[K, V]] = [{}] * SHARDS
        self._owned: set[int] = set()
        self._length = 0
        self._frozen: FrozenShards[K, V] | None = None

    def get(self, key: K) -> V | None:
        """The value, or None."""
        return self._shards[hash(key) % SHARDS].get(key)

    def put(self, key: K, value: V) -> None:
        """Insert or replace the value."""
        shard = self._own(key)
        self._length += key not in shard
        shard[key] = value

    def drop(self, key: K) -> V | None:
        """Remove the key and return its value; None if there was none."""
        if self.get(key) is None:
            return None
        self._length -= 1
        return self._own(key).pop(key)

    def freeze(self) -> FrozenShards[K, V]:
        """The mapping as it is now; the same object until the next write."""
        if self._frozen is None:
            self._frozen = FrozenShards(tuple(self._shards), self._length)
            self._owned.clear()
        return self._frozen

    def _own(self, key: K) -> dict[K, V]:
        """The key's shard, copied first if a frozen view shares it."""
        index = hash(key) % SHARDS
        self._frozen = None
        if index not in self._owned:
            self._shards[index] = dict(self._shards[index])
            self._owned.add(index)
        return self._shards[index]
