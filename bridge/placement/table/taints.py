"""A node's taints as one value, so that nodes with equal taints share it."""

from collections.abc import Iterable

from bridge.model.scheduling import Taint

TaintSet = tuple[Taint, ...]
"""A node's taints, sorted, each once."""


def taint_set(taints: Iterable[Taint]) -> TaintSet:
    """Sort the taints and drop repeated ones, so that equal sets are equal values."""
    return tuple(sorted(set(taints), key=lambda taint: (taint.key, taint.value, taint.effect)))
