"""Arrays over rows that one writer changes and many readers see unchanged.

The problem: after each bound pod there is a new snapshot of 15,000 nodes. It must neither copy
megabytes nor be changed by the next write. So a section keeps the writer's arrays plus a few
published copies. When no snapshot uses a copy any more, the rows that changed since are written
into it and it is published again. A new copy is made only while all others are in use.

Python itself knows whether a copy is in use: every view, and every view of a view, holds a
reference to the array that owns the memory.
"""

import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
"""dtypes are documented where the arrays are used (`snapshot.Layout`, `snapshot.Snapshot`)."""

COPIES = 3
"""Published copies kept for reuse: the newest, the one that a reader still holds, one spare."""


class _Copy:
    """One published copy: the arrays as they were when the journal had `seen` entries."""

    __slots__ = ("arrays", "idle_references", "seen")

    def __init__(self, arrays: list[Array], seen: int) -> None:
        self.arrays = arrays
        self.seen = seen
        self.idle_references = self._references()

    def idle(self) -> bool:
        """Whether no view of any of its arrays exists any more."""
        return self._references() == self.idle_references

    def _references(self) -> int:
        return sum(map(sys.getrefcount, self.arrays))


class Section:
    """Named arrays with a common last axis: the row.

    The writer changes `live[name][..., row]` and then calls `mark_dirty(row)`. Nobody else may keep
    an array of `live`, since `grow` and `define` replace them.
    """

    def __init__(self, capacity: int) -> None:
        self.live: dict[str, Array] = {}
        self._capacity = capacity
        self._fill: dict[str, object] = {}
        self._journal: list[int] = []
        self._forgotten = 0
        self._copies: list[_Copy] = []
        self._published: Mapping[str, Array] | None = None
        self._published_size = -1

    def define(
        self, name: str, dtype: npt.DTypeLike, *, fill: object = 0, height: int | None = None
    ) -> None:
        """Add an array of shape (rows,) or (height, rows), `fill` in rows never written."""
        shape = (self._capacity,) if height is None else (height, self._capacity)
        self.live[name] = np.full(shape, fill, dtype=dtype)
        self._fill[name] = fill
        self._start_over()

    def discard(self, name: str) -> None:
        """Remove an array."""
        del self.live[name]
        self._start_over()

    def grow(self, capacity: int) -> None:
        """Make room for more rows."""
        for name, array in self.live.items():
            shape = (*array.shape[:-1], capacity)
            larger = np.full(shape, self._fill[name], dtype=array.dtype)
            larger[..., : self._capacity] = array
            self.live[name] = larger
        self._capacity = capacity
        self._start_over()

    def heighten(self, name: str, height: int) -> None:
        """Give a (height, rows) array more lines."""
        array = self.live[name]
        larger = np.full((height, self._capacity), self._fill[name], dtype=array.dtype)
        larger[: len(array)] = array
        self.live[name] = larger
        self._start_over()

    def mark_dirty(self, row: int) -> None:
        """Note that `row` was changed."""
        self._journal.append(row)
        self._published = None
        if len(self._journal) > max(1024, 2 * self._capacity):
            self._start_over()

    def mark_all_dirty(self) -> None:
        """Note that any row may have been changed."""
        self._start_over()

    def publish(self, size: int) -> Mapping[str, Array]:
        """Read-only arrays of the first `size` rows that no later write changes.

        The mapping is the same object as before if nothing was written in between.
        """
        if self._published is None or self._published_size != size:
            self._published = None
            copy = self._current_copy()
            self._published = MappingProxyType(
                {
                    name: _read_only(array[..., :size])
                    for name, array in zip(self.live, copy.arrays, strict=True)
                }
            )
            self._published_size = size
        return self._published

    def _current_copy(self) -> _Copy:
        written = self._forgotten + len(self._journal)
        for copy in self._copies:
            if copy.idle() or copy.seen == written:
                self._bring_up_to_date(copy, written)
                return copy
        fresh = _Copy([array.copy() for array in self.live.values()], written)
        self._copies = [*self._copies[-(COPIES - 1) :], fresh]
        return fresh

    def _bring_up_to_date(self, copy: _Copy, written: int) -> None:
        changed = self._journal[copy.seen - self._forgotten :]
        if changed:
            rows = np.fromiter(set(changed), dtype=np.intp)
            for array, live in zip(copy.arrays, self.live.values(), strict=True):
                array[..., rows] = live[..., rows]
        copy.seen = written
        oldest = min(copy.seen for copy in self._copies)
        del self._journal[: oldest - self._forgotten]
        self._forgotten = oldest

    def _start_over(self) -> None:
        self._forgotten += len(self._journal)
        self._journal.clear()
        self._copies.clear()
        self._published = None


def _read_only(view: Array) -> Array:
    view.flags.writeable = False
    return view
