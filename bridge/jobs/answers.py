"""Answers that are kept as long as what they follow from stays as it is."""

from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from bridge.placement.table import Snapshot

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")

MOST_KEPT: Final = 1024
"""The most answers that are kept; beyond that all are dropped. Tenants may ask for another amount
each time, and an answer may name all nodes."""


def of_nodes(snapshot: Snapshot) -> tuple[object, object]:
    """What an answer follows from that depends on the nodes and on no pod that goes again.

    The memories of layout and capacity stand for what these say: they live as long, and pin none of
    the arrays.
    """
    return snapshot.layout.memo, snapshot.capacity.memo


class Answers(Generic[Key, Answer]):
    """Thousands of gangs ask the same in a row; each answer is found once."""

    def __init__(self) -> None:
        self._follows_from: tuple[object, ...] = ()
        self._kept: dict[Key, Answer] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, follows_from: tuple[object, ...], key: Key, find: Callable[[], Answer]) -> Answer:
        """The answer of the key; `find` is called if none is kept that follows from the same."""
        if self._follows_from != follows_from:
            self._follows_from = follows_from
            self._kept.clear()
        if key not in self._kept:
            answer = find()
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[key] = answer
        return self._kept[key]
