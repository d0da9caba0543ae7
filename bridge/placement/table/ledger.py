"""Values that many rows share, numbered for good, so that an answer about one is never asked again.

An `Interner` gives a free number to another value, and whoever has asked about all values asks
about all of them again. That is right for a few dozen label sets of nodes. Pods have thousands, and
new ones come with every gang. Here a number keeps its value, and an answer is only continued: a
value that comes costs one look for each question that is still asked. When most values are out of
use, the others get new numbers in a new ledger, and the answers move along.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from bridge.placement.table.interning import Bools

T = TypeVar("T", bound=Hashable)

KEPT_BYTES = 16 << 20
"""Answers that are kept, one byte for each value; the one that was used longest ago goes first."""
KEPT_QUESTIONS = 1024

_FEW = 1024
"""Values for which it is never worth to begin anew."""


class _Answers:
    """`holds` (capacity,) bool of the first `seen` values."""

    __slots__ = ("holds", "seen")

    def __init__(self, capacity: int) -> None:
        self.holds: Bools = np.zeros(capacity, dtype=np.bool_)
        self.seen = 0


class Ledger(Generic[T]):
    """Values by number, in the order in which they came, and answers about them.

    Number 0 is `nobody`, a value that no question is asked about: its answer is always False.
    `home` groups values: a question may be about some groups only.
    """

    __slots__ = ("_answers", "_home", "_homes", "values")

    def __init__(self, nobody: T, home: Callable[[T], Hashable] = lambda value: None) -> None:
        self.values: list[T] = [nobody]
        self._home = home
        self._homes: dict[Hashable, list[int]] = {}
        self._answers: OrderedDict[Hashable, _Answers] = OrderedDict()

    def append(self, value: T) -> int:
        """The number of a value that is not in the ledger yet."""
        number = len(self.values)
        self.values.append(value)
        self._homes.setdefault(self._home(value), []).append(number)
        return number

    def verdicts(
        self,
        question: Hashable,
        holds: Callable[[T], bool],
        homes: Collection[Hashable] | None = None,
    ) -> Bools:
        """(values,) bool: `holds` of each value, False outside of `homes` (None: everywhere).

        Equal questions must have equal answers.
        """
        size = len(self.values)
        answers = self._answers.get(question)
        if answers is None:
            answers = _Answers(size)
            self._answers[question] = answers
            self._make_room()
        else:
            self._answers.move_to_end(question)
        if answers.seen < size:
            if size > len(answers.holds):
                larger = np.zeros(2 * size, dtype=np.bool_)
                larger[: answers.seen] = answers.holds[: answers.seen]
                answers.holds = larger
            for number in self._numbers(answers.seen, homes):
                answers.holds[number] = holds(self.values[number])
            answers.seen = size
        return answers.holds[:size]

    def renumbered(self, kept: npt.NDArray[np.intp]) -> "Ledger[T]":
        """A ledger of the values with these numbers, ascending and 0 among them, in that order."""
        other = Ledger(self.values[0], self._home)
        for number in kept[1:].tolist():
            other.append(self.values[number])
        for question, answers in self._answers.items():
            if answers.seen == len(self.values):
                moved = other._answers[question] = _Answers(len(kept))
                moved.holds[:] = answers.holds[kept]
                moved.seen = len(kept)
        return other

    def _numbers(self, first: int, homes: Collection[Hashable] | None) -> Iterable[int]:
        if homes is None or first:  # what has come since is little
            of_homes = None if homes is None else frozenset(homes)
            for number in range(max(first, 1), len(self.values)):
                if of_homes is None or self._home(self.values[number]) in of_homes:
                    yield number
        else:
            for home in homes:
                yield from self._homes.get(home, ())

    def _make_room(self) -> None:
        size = len(self.values)
        most = max(1, min(KEPT_QUESTIONS, KEPT_BYTES // size))
        while len(self._answers) > most:
            self._answers.popitem(last=False)


class LedgerWriter(Generic[T]):
    """The writer's side: it gives values their numbers, and counts who uses them."""

    __slots__ = ("_counts", "_numbers", "_used", "ledger")

    def __init__(self, nobody: T, home: Callable[[T], Hashable] = lambda value: None) -> None:
        self.ledger: Ledger[T] = Ledger(nobody, home)
        self._numbers: dict[T, int] = {}
        self._counts: list[int] = [1]
        self._used = 1

    def find(self, value: T) -> int | None:
        """The number of a value; None if it has none."""
        return self._numbers.get(value)

    def number(self, value: T) -> int:
        """Return the value's number, and count one user more."""
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = self.ledger.append(value)
            self._counts.append(0)
        self._used += not self._counts[number]
        self._counts[number] += 1
        return number

    def release(self, number: int) -> None:
        """Count one user less."""
        self._counts[number] -= 1
        self._used -= not self._counts[number]

    @property
    def is_sparse(self) -> bool:
        """Whether most values are out of use."""
        return len(self._counts) > max(_FEW, 2 * self._used)

    def begin_anew(self) -> npt.NDArray[np.int32]:
        """Begin a ledger with the values in use; (old numbers,) int32 the new ones."""
        kept = np.flatnonzero(np.array(self._counts, dtype=np.int64))
        moved = np.zeros(len(self._counts), dtype=np.int32)
        moved[kept] = np.arange(len(kept), dtype=np.int32)
        self.ledger = self.ledger.renumbered(kept)
        self._counts = [self._counts[number] for number in kept.tolist()]
        self._used = len(self._counts)
        self._numbers = {value: number for number, value in enumerate(self.ledger.values) if number}
        return moved
