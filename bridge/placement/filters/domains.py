"""Topology domains: the nodes that have one value of a node label, as a number for each node."""

from typing import Final

import numpy as np
import numpy.typing as npt

from bridge.placement.table.interning import Bools
from bridge.placement.table.labels import ABSENT, LabelSet
from bridge.placement.table.snapshot import Layout

Numbers = npt.NDArray[np.int32]

NOWHERE: Final = ABSENT
"""The number where a node does not have the label, or a row has no node."""


def of(layout: Layout, key: str) -> Numbers:
    """(n,) int32: the number of each node's domain, or NOWHERE."""
    wide = layout.labels.wide.get(key)
    if wide is not None:
        return wide.column
    by_set, _ = _narrow(layout, key)
    return layout.memo.remember(("domains", key), lambda: by_set[layout.labels.set_numbers])


def count(numbers: Numbers) -> int:
    """One more than the largest number."""
    return int(numbers.max(initial=NOWHERE)) + 1


def having(numbers: Numbers, rows: npt.NDArray[np.intp] | Bools) -> Bools:
    """(n,) bool: the node is in the domain of one of the rows."""
    among = np.zeros(count(numbers) + 1, dtype=np.bool_)
    among[numbers[rows]] = True
    among[NOWHERE] = False  # the last one
    found: Bools = among[numbers]
    return found


def value(layout: Layout, key: str, number: int) -> str:
    """The label's value in the domain of this number."""
    wide = layout.labels.wide.get(key)
    if wide is None:
        return _narrow(layout, key)[1][number]
    return next((text for text, of_text in wide.numbers.items() if of_text == number), "")


def _narrow(layout: Layout, key: str) -> tuple[Numbers, list[str]]:
    """(label sets + 1,) int32 the domain of each set of narrow labels, the last one for rows
    without a node; and the domains' values.
    """
    sets = layout.labels.sets
    return sets.remember(("domains", key), lambda: _number(sets.values, key))


def _number(sets: tuple[LabelSet | None, ...], key: str) -> tuple[Numbers, list[str]]:
    of_each = [dict(label_set or ()).get(key) for label_set in sets]
    values = sorted({text for text in of_each if text is not None})
    number_of = {text: number for number, text in enumerate(values)}
    numbers = [NOWHERE if text is None else number_of[text] for text in of_each]
    return np.array([*numbers, NOWHERE], dtype=np.int32), values
