"""Label selectors (metav1.LabelSelector): read, with a sentence for each mistake, and matched.

The rules are Kubernetes' (apimachinery `LabelSelectorAsSelector`, `labels.Requirement.Matches`).
Below everything else, since the settings have a label selector too. Pure.
"""

import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from bridge.errors import BadInput

Operator = Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]

_TESTS: Mapping[Operator, Callable[[str | None, Collection[str]], bool]] = {
    "In": lambda value, values: value is not None and value in values,
    "NotIn": lambda value, values: value is None or value not in values,
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
}


@dataclass(frozen=True, slots=True)
class Requirement:
    """On one label. Gt and Lt are of node selectors only (`bridge.placement.filters.selectors`)."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()


def matches(requirements: Iterable[Requirement], labels: Mapping[str, str]) -> bool:
    """Whether labels meet all requirements of a label selector; without any they always do."""
    return all(holds(one, labels.get(one.key)) for one in requirements)


def holds(requirement: Requirement, value: str | None) -> bool:
    """Whether the value of its label meets the requirement; None where there is no such label."""
    return _TESTS[requirement.operator](value, requirement.values)


def parse(selector: Mapping[str, object], *, at: str = "") -> tuple[Requirement, ...]:
    """The requirements of a selector that stands at the path `at`. None stands for a part that is
    left out, as in the API server's JSON.

    Raises BadInput for what the API server would refuse.
    """
    try:
        return tuple(_requirements(selector))
    except _Wrong as wrong:
        raise BadInput(f"{at}: {wrong}" if at else str(wrong), field=at) from None


class _Wrong(Exception):
    """What is wrong, as a sentence."""


def _requirements(selector: Mapping[str, object]) -> Iterable[Requirement]:
    if unknown := selector.keys() - {"matchLabels", "matchExpressions"}:
        given = ", ".join(sorted(map(str, unknown)))
        raise _Wrong(f"a label selector has matchLabels and matchExpressions, not {given}")
    labels = selector.get("matchLabels") or {}
    if not isinstance(labels, Mapping) or not _are_texts((*labels, *labels.values())):
        raise _Wrong('matchLabels takes label: "value" pairs; quote true, false and numbers')
    expressions = selector.get("matchExpressions") or ()
    if not isinstance(expressions, list | tuple):
        raise _Wrong("matchExpressions is a list of {key, operator, values}")
    for key in sorted(labels):
        yield _requirement(key, "In", (labels[key],))
    for expression in expressions:
        yield _of_expression(expression)


def _of_expression(expression: object) -> Requirement:
    if not isinstance(expression, Mapping) or not isinstance(expression.get("key"), str):
        raise _Wrong("each of matchExpressions needs a key")
    if unknown := expression.keys() - {"key", "operator", "values"}:
        given = ", ".join(sorted(map(str, unknown)))
        raise _Wrong(f"matchExpressions has key, operator, values, not {given}")
    said, values = expression.get("operator"), expression.get("values") or ()
    operator = next((one for one in _TESTS if one == said), None)
    if operator is None:
        raise _Wrong(f"operator {said!r} is none of {', '.join(_TESTS)}")
    if not isinstance(values, list | tuple) or not _are_texts(values):
        raise _Wrong("values is a list of strings; quote true, false and numbers")
    if bool(values) != (operator in ("In", "NotIn")):
        raise _Wrong("In and NotIn need values, Exists and DoesNotExist take none")
    return _requirement(expression["key"], operator, values)


def _requirement(key: str, operator: Operator, values: Iterable[str]) -> Requirement:
    """Its words are those of many other selectors and labels."""
    return Requirement(sys.intern(key), operator, tuple(map(sys.intern, values)))


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)
