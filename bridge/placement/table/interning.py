"""Equal values become one small number, so that a rule is evaluated once per distinct value.

15,000 nodes have a few dozen distinct label sets, taint sets and switch paths. Numbers are counted
and reused, because labels may change for months.
"""

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

A = TypeVar("A")
T = TypeVar("T", bound=Hashable)

Bools = npt.NDArray[np.bool_]

KEPT_ANSWERS = 256
"""Answers that one memo keeps; when there are more, it starts over."""


class Memo:
    """Answers computed from something that never changes, so that they never go stale."""

    __slots__ = ("_answers",)

    def __init__(self) -> None:
        self._answers: dict[Hashable, Any] = {}

    def remember(self, question: Hashable, compute: Callable[[], A]) -> A:
        """The answer to `question`; `compute` is called only while the memo does not have it."""
        if question not in self._answers:
            if len(self._answers) >= KEPT_ANSWERS:
                self._answers.clear()
            self._answers[question] = compute()
        answer: A = self._answers[question]
        return answer

    def recall(self, question: Hashable) -> Any | None:
        """The answer if the memo has it, else None."""
        return self._answers.get(question)


class Vocabulary(Memo, Generic[T]):
    """The distinct values of one generation, by number; None where a number is unused.

    It is never empty: rows without a node have the number -1, which may index it and is masked
    afterwards.
    """

    __slots__ = ("values",)

    def __init__(self, values: tuple[T | None, ...]) -> None:
        super().__init__()
        self.values = values

    def verdicts(self, question: Hashable, holds: Callable[[T], bool]) -> Bools:
        """(values,) bool: `holds` of each value, False where unused; computed once."""
        return self.remember(
            question,
            lambda: np.fromiter(
                (value is not None and holds(value) for value in self.values),
                dtype=np.bool_,
                count=len(self.values),
            ),
        )


class Interner(Generic[T]):
    """The writer's side: it gives values their numbers, and counts who uses them."""

    __slots__ = ("_counts", "_free", "_numbers", "_values", "_vocabulary")

    def __init__(self) -> None:
        self._numbers: dict[T, int] = {}
        self._values: list[T | None] = []
        self._counts: list[int] = []
        self._free: list[int] = []
        self._vocabulary: Vocabulary[T] | None = None

    def __len__(self) -> int:
        return len(self._numbers)

    def number(self, value: T) -> int:
        """Return the value's number, and count one user more."""
        number = self._numbers.get(value)
        if number is None:
            number = self._new(value)
        self._counts[number] += 1
        return number

    def value(self, number: int) -> T:
        """The value of a number in use; any other number raises LookupError."""
        value = self._values[number]
        if value is None:
            raise LookupError(f"number {number} is not in use")
        return value

    def release(self, number: int) -> None:
        """Count one user less; without users the number is free for another value."""
        self._counts[number] -= 1
        if not self._counts[number]:
            del self._numbers[self.value(number)]
            self._values[number] = None
            self._free.append(number)
            self._vocabulary = None

    def vocabulary(self) -> Vocabulary[T]:
        """All values by number; the same object until a value comes or goes."""
        if self._vocabulary is None:
            self._vocabulary = Vocabulary(tuple(self._values) or (None,))
        return self._vocabulary

    def _new(self, value: T) -> int:
        self._vocabulary = None
        if self._free:
            number = self._free.pop()
            self._values[number] = value
        else:
            number = len(self._values)
            self._values.append(value)
            self._counts.append(0)
        self._numbers[value] = number
        return number
