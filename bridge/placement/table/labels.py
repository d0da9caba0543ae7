"""The nodes' labels, kept so that a selector costs one look per distinct label set.

There are two kinds of keys. *Narrow* keys (zone, instance type, node group) take few values: the
narrow labels of a node are interned as one set, and nodes with equal sets share its number. *Wide*
keys (hostname, instance id, leaf switch) would make every set unique, so each has a column of value
numbers instead. A key is wide if the settings say so, if it is per node by its meaning, or while it
has more than 64 values among the nodes that exist. The split depends on the present nodes alone, so
every process comes to the same one. Node classes are made of narrow sets.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from bridge import names
from bridge.placement.table.columns import Section
from bridge.placement.table.interning import Interner, Vocabulary
from bridge.placement.table.shards import FrozenShards, Shards

LabelSet = tuple[tuple[str, str], ...]
"""Narrow labels of a node, sorted by key."""

MOST_VALUES = 64
"""A key with more values than this does not describe a group of nodes."""

PER_NODE_KEYS = frozenset(
    {names.HOSTNAME_LABEL, names.SLURM_NODE_NAME_LABEL, names.PRESENT_NODE_LABEL}
)
"""Keys that are wide by their meaning, also in a cluster of three nodes."""

ABSENT = -1
"""The number in a wide key's column where the node has no such label."""

_SET = ""
"""The name of the column of set numbers; no label key is empty."""


@dataclass(frozen=True, slots=True)
class WideKey:
    """The labels of a wide key: `column` (n,) int32 has value numbers, or ABSENT."""

    column: npt.NDArray[np.int32]
    numbers: FrozenShards[str, int]


@dataclass(frozen=True, slots=True)
class Labels:
    """All labels at one moment.

    `set_numbers` (n,) int32 are numbers of `sets`, ABSENT in rows without a node, which the caller
    has to mask.
    """

    set_numbers: npt.NDArray[np.int32]
    sets: Vocabulary[LabelSet]
    wide: Mapping[str, WideKey]
    """The wide keys that some node has, or had."""
    always_wide: frozenset[str] = PER_NODE_KEYS

    def is_wide(self, key: str) -> bool:
        """Whether node classes don't tell the key's values apart, even if no node has it yet."""
        return key in self.wide or _is_wide_by_meaning(key, self.always_wide)


class _WideValues:
    """The numbers of one wide key's values, counted. Leaner than an Interner, since some keys have
    a value per node.
    """

    __slots__ = ("counts", "free", "numbers", "values")

    def __init__(self) -> None:
        self.numbers: Shards[str, int] = Shards()
        self.values: list[str] = []
        self.counts: list[int] = []
        self.free: list[int] = []

    def take(self, value: str) -> int:
        number = self.numbers.get(value)
        if number is None:
            if self.free:
                number = self.free.pop()
                self.values[number] = value
            else:
                number = len(self.values)
                self.values.append(value)
                self.counts.append(0)
            self.numbers.put(value, number)
        self.counts[number] += 1
        return number

    def release(self, number: int) -> None:
        self.counts[number] -= 1
        if not self.counts[number]:
            self.numbers.drop(self.values[number])
            self.values[number] = ""
            self.free.append(number)

    def __len__(self) -> int:
        return len(self.values) - len(self.free)


class LabelStore:
    """The writer's side; rows are the table's."""

    def __init__(self, capacity: int, *, wide: Collection[str], most_values: int) -> None:
        self._always_wide = PER_NODE_KEYS | frozenset(wide)
        self._most_values = most_values
        self._section = Section(capacity)
        self._section.define(_SET, np.int32, fill=ABSENT)
        self._sets: Interner[LabelSet] = Interner()
        self._narrow: dict[str, Counter[str]] = {}
        """Narrow key → value → distinct sets with it."""
        self._wide: dict[str, _WideValues] = {}
        self._given: dict[int, Mapping[str, str]] = {}

    def grow(self, capacity: int) -> None:
        """Make room for more rows."""
        self._section.grow(capacity)

    def set(self, row: int, labels: Mapping[str, str]) -> bool:
        """Give `row` these labels, without copying them; False if it had the same."""
        before = self._given.get(row)
        if before == labels:
            return False
        if before is not None:
            self._detach(row)
        self._attach(row, labels)
        self._settle(labels.keys() | (before or {}).keys())
        return True

    def clear(self, row: int) -> None:
        """Remove the labels of a row."""
        before = self._given.get(row)
        if before is not None:
            self._detach(row)
            self._settle(before.keys())

    def publish(self, size: int) -> Labels:
        """The labels as they are now."""
        columns = self._section.publish(size)
        return Labels(
            set_numbers=columns[_SET],
            sets=self._sets.vocabulary(),
            wide=MappingProxyType(
                {
                    key: WideKey(columns[key], values.numbers.freeze())
                    for key, values in self._wide.items()
                }
            ),
            always_wide=self._always_wide,
        )

    def _attach(self, row: int, labels: Mapping[str, str]) -> None:
        narrow = []
        for key, value in labels.items():
            if key in self._wide or _is_wide_by_meaning(key, self._always_wide):
                self._section.live[key][row] = self._widen(key).take(value)
            else:
                narrow.append((key, value))
        label_set, known = tuple(sorted(narrow)), len(self._sets)
        self._section.live[_SET][row] = self._sets.number(label_set)
        if len(self._sets) > known:
            self._count(label_set, +1)
        self._section.mark_dirty(row)
        self._given[row] = labels

    def _detach(self, row: int) -> None:
        for key, values in self._wide.items():
            number = int(self._section.live[key][row])
            if number != ABSENT:
                values.release(number)
                self._section.live[key][row] = ABSENT
        set_number, known = int(self._section.live[_SET][row]), len(self._sets)
        label_set = self._sets.value(set_number)
        self._sets.release(set_number)
        if len(self._sets) < known:
            self._count(label_set, -1)
        self._section.live[_SET][row] = ABSENT
        self._section.mark_dirty(row)
        del self._given[row]

    def _count(self, label_set: LabelSet, by: int) -> None:
        """Count the values of a distinct set of narrow labels that came or went."""
        for key, value in label_set:
            counts = self._narrow.setdefault(key, Counter())
            counts[value] += by
            if not counts[value]:
                del counts[value]
                if not counts:
                    del self._narrow[key]

    def _widen(self, key: str) -> _WideValues:
        if key not in self._wide:
            self._wide[key] = _WideValues()
            self._section.define(key, np.int32, fill=ABSENT)
        return self._wide[key]

    def _settle(self, keys: Iterable[str]) -> None:
        """Move keys that crossed the limit, for all rows. It is rare, and never part of a query."""
        widen = [key for key in keys if len(self._narrow.get(key, ())) > self._most_values]
        narrow = [
            key
            for key in keys
            if key in self._wide
            and not _is_wide_by_meaning(key, self._always_wide)
            and len(self._wide[key]) <= self._most_values
        ]
        if not widen and not narrow:
            return
        given = list(self._given.items())
        for row, _ in given:
            self._detach(row)
        for key in widen:
            self._widen(key)
        for key in narrow:
            del self._wide[key]
            self._section.discard(key)
        for row, labels in given:
            self._attach(row, labels)


def _is_wide_by_meaning(key: str, always: frozenset[str]) -> bool:
    return key in always or key.startswith(names.AWS_NETWORK_LAYER_PREFIX)
