"""Node selectors and required node affinity over all nodes at once.

The rules are Kubernetes' (apimachinery `labels.Requirement.Matches`, component-helpers
`nodeaffinity`): terms are ORed, and what is in a term is ANDed. An empty term matches nothing. A
missing key satisfies NotIn and DoesNotExist. Gt and Lt compare 64-bit integers and fail on anything
else. The only field is `metadata.name`, with exactly one value.
"""

from collections.abc import Hashable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from bridge import label_selectors
from bridge.model.ids import NodeName
from bridge.model.scheduling import NodeSelectorTerm, PodShape, Requirement
from bridge.placement.table.interning import Bools
from bridge.placement.table.labels import ABSENT, Labels, LabelSet, WideKey
from bridge.placement.table.shards import FrozenShards

Rows = slice | npt.NDArray[np.intp]
"""The rows to look at: `slice(None)` for all, or their numbers."""

NAME_FIELD = "metadata.name"

_MOST_DIGITS = 19
"""Digits of the largest 64-bit integer."""


def matches(
    labels: Labels, row_of: FrozenShards[NodeName, int], shape: PodShape, rows: Rows
) -> Bools:
    """(rows,) bool: whether the shape's node selector and required affinity accept the node."""
    accepted = all_of(labels, _selector(shape), rows)
    for terms in _alternatives(shape):
        any_term = np.zeros_like(accepted)
        for term in terms:
            if term.expressions or term.fields:
                this_term = all_of(labels, term.expressions, rows)
                for requirement in term.fields:
                    this_term &= _name_matches(row_of, requirement, rows, len(labels.set_numbers))
                any_term |= this_term
        accepted &= any_term
    return accepted


def all_of(labels: Labels, requirements: Iterable[Requirement], rows: Rows) -> Bools:
    """(rows,) bool: whether the node's labels meet all of the requirements."""
    numbers = labels.set_numbers[rows]
    accepted = np.ones(numbers.shape, dtype=np.bool_)
    for requirement in requirements:
        wide = labels.wide.get(requirement.key)
        if wide is not None:
            accepted &= _wide_matches(wide, requirement, rows)
        else:
            accepted &= _set_verdicts(labels, requirement)[numbers]
    return accepted


def question(shape: PodShape) -> tuple[Hashable, ...]:
    """The parts of the shape that `matches` depends on: equal questions have equal answers."""
    return (shape.node_selector, shape.affinity_terms, shape.volume_terms)


def wide_keys(labels: Labels, shape: PodShape) -> tuple[str, ...]:
    """Keys in the shape's selectors that node classes do not cover, in the selectors' order."""
    terms = [term for terms in _alternatives(shape) for term in terms]
    used = [requirement.key for requirement in _selector(shape)]
    used += [requirement.key for term in terms for requirement in term.expressions]
    used = [key for key in used if labels.is_wide(key)]
    used += [requirement.key for term in terms for requirement in term.fields]
    return tuple(dict.fromkeys(used))


def without_wide(labels: Labels, shape: PodShape, rows: Rows) -> Bools:
    """(rows,) bool: the node is accepted whatever its name and the values of its wide keys are.

    If this holds for a node, it holds for each node of its class, also for later ones.
    """
    selector = _selector(shape)
    if any(labels.is_wide(requirement.key) for requirement in selector):
        return np.zeros_like(labels.set_numbers[rows], dtype=np.bool_)
    accepted = all_of(labels, selector, rows)
    for terms in _alternatives(shape):
        any_term = np.zeros_like(accepted)
        for term in terms:
            if _is_narrow(labels, term):
                any_term |= all_of(labels, term.expressions, rows)
        accepted &= any_term
    return accepted


def holds(requirement: Requirement, value: str | None) -> bool:
    """Kubernetes' rule for one label; the value None means that there is no such label."""
    if requirement.operator in ("Gt", "Lt"):
        return value is not None and _compares(requirement, value)
    return label_selectors.holds(requirement, value)


def _selector(shape: PodShape) -> tuple[Requirement, ...]:
    return tuple(Requirement(key, "In", (value,)) for key, value in shape.node_selector)


def _alternatives(shape: PodShape) -> Iterator[tuple[NodeSelectorTerm, ...]]:
    """Lists of terms, the affinity's and each volume's; of each list one term must match."""
    if shape.affinity_terms is not None:
        yield shape.affinity_terms
    yield from shape.volume_terms


def _is_narrow(labels: Labels, term: NodeSelectorTerm) -> bool:
    return (
        bool(term.expressions)
        and not term.fields
        and not any(labels.is_wide(requirement.key) for requirement in term.expressions)
    )


def _set_verdicts(labels: Labels, requirement: Requirement) -> Bools:
    def accepts(label_set: LabelSet) -> bool:
        return holds(requirement, dict(label_set).get(requirement.key))

    return labels.sets.verdicts(requirement, accepts)


def _wide_matches(wide: WideKey, requirement: Requirement, rows: Rows) -> Bools:
    column = wide.column[rows]
    match requirement.operator:
        case "In" | "NotIn":
            wanted = [wide.numbers.find(value, ABSENT) for value in requirement.values]
            among = _among(column, [number for number in wanted if number != ABSENT])
            return among if requirement.operator == "In" else ~among
        case "Exists":
            return np.not_equal(column, ABSENT)
        case "DoesNotExist":
            return np.equal(column, ABSENT)
        case "Gt" | "Lt":
            good = [
                number for value, number in wide.numbers.items() if _compares(requirement, value)
            ]
            return _among(column, good)


def _among(column: npt.NDArray[np.int32], numbers: list[int]) -> Bools:
    if len(numbers) == 1:
        return np.equal(column, numbers[0])
    return np.isin(column, np.array(numbers, dtype=np.int32))


def _name_matches(
    row_of: FrozenShards[NodeName, int], requirement: Requirement, rows: Rows, size: int
) -> Bools:
    numbers = np.arange(size)[rows]
    if (
        requirement.key != NAME_FIELD
        or len(requirement.values) != 1
        or requirement.operator not in ("In", "NotIn")
    ):
        return np.zeros(numbers.shape, dtype=np.bool_)
    row = row_of.find(NodeName(requirement.values[0]), ABSENT)
    return np.equal(numbers, row) if requirement.operator == "In" else np.not_equal(numbers, row)


def _compares(requirement: Requirement, value: str) -> bool:
    mine = _integer(value)
    limit = _integer(requirement.values[0]) if len(requirement.values) == 1 else None
    if mine is None or limit is None:
        return False
    return mine > limit if requirement.operator == "Gt" else mine < limit


def _integer(text: str) -> int | None:
    """Read the text as Go's ParseInt(text, 10, 64) does: optional sign, ASCII digits, 64 bits."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    if len(digits.lstrip("0")) > _MOST_DIGITS:
        return None
    value = int(digits.lstrip("0") or "0") * (-1 if text[:1] == "-" else 1)
    return value if -(2**63) <= value < 2**63 else None
