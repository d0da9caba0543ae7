"""Label selectors: Kubernetes' rules."""

from typing import Any

import pytest

from bridge import label_selectors
from bridge.errors import BadInput
from bridge.label_selectors import Requirement


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    return label_selectors.matches(label_selectors.parse(selector), labels)


@pytest.mark.parametrize(
    ("expression", "labels", "expected"),
    [
        ({"key": "a", "operator": "In", "values": ["1", "2"]}, {"a": "2"}, True),
        ({"key": "a", "operator": "In", "values": ["1"]}, {"a": "3"}, False),
        ({"key": "a", "operator": "In", "values": ["1"]}, {}, False),
        ({"key": "a", "operator": "NotIn", "values": ["1"]}, {"a": "1"}, False),
        ({"key": "a", "operator": "NotIn", "values": ["1"]}, {"a": "2"}, True),
        ({"key": "a", "operator": "NotIn", "values": ["1"]}, {}, True),
        ({"key": "a", "operator": "Exists"}, {"a": ""}, True),
        ({"key": "a", "operator": "Exists"}, {}, False),
        ({"key": "a", "operator": "DoesNotExist", "values": None}, {"a": ""}, False),
        ({"key": "a", "operator": "DoesNotExist", "values": []}, {}, True),
    ],
)
def test_operators(expression: dict[str, Any], labels: dict[str, str], expected: bool) -> None:
    """Every operator of a label selector means what it means to Kubernetes."""
    assert matches({"matchExpressions": [expression]}, labels) is expected


def test_all_requirements_must_hold() -> None:
    """matchLabels and matchExpressions are ANDed."""
    selector = {
        "matchLabels": {"a": "1"},
        "matchExpressions": [{"key": "b", "operator": "Exists"}],
    }
    assert matches(selector, {"a": "1", "b": ""})
    assert not matches(selector, {"a": "1"})
    assert not matches(selector, {"b": ""})


@pytest.mark.parametrize("selector", [{}, {"matchLabels": None, "matchExpressions": None}])
def test_without_requirements(selector: dict[str, Any]) -> None:
    """A selector without requirements matches everything."""
    assert label_selectors.parse(selector) == ()
    assert matches(selector, {})


def test_equal_selectors_are_equal() -> None:
    """In whatever order they name their labels."""
    assert label_selectors.parse({"matchLabels": {"b": "2", "a": "1"}}) == (
        Requirement("a", "In", ("1",)),
        Requirement("b", "In", ("2",)),
    )


@pytest.mark.parametrize(
    ("selector", "complaint"),
    [
        ({"matchLabel": {"a": "b"}}, "not matchLabel"),
        ({"matchLabels": ["a"]}, "pairs"),
        ({"matchLabels": {"a": True}}, "quote"),
        ({"matchLabels": {1: "a", "b": "c"}}, "quote"),
        ({"matchExpressions": {"key": "a"}}, "is a list"),
        ({"matchExpressions": ["a"]}, "needs a key"),
        ({"matchExpressions": [{"operator": "Exists"}]}, "needs a key"),
        ({"matchExpressions": [{"key": "a"}]}, "None is none of In"),
        ({"matchExpressions": [{"key": "a", "operator": "in"}]}, "'in' is none of In"),
        ({"matchExpressions": [{"key": "a", "operator": ["In"]}]}, "none of In"),
        ({"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}, "none of In"),
        ({"matchExpressions": [{"key": "a", "operator": "In"}]}, "need values"),
        ({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}, "take none"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": "b"}]}, "list of strings"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": [1]}]}, "list of strings"),
        ({"matchExpressions": [{"key": "a", "value": ["b"]}]}, "not value"),
    ],
)
def test_what_kubernetes_would_refuse(selector: dict[str, Any], complaint: str) -> None:
    """It is refused with a sentence that says where it stands and what is wrong."""
    with pytest.raises(BadInput, match=rf"^spec\.selector: .*{complaint}") as raised:
        label_selectors.parse(selector, at="spec.selector")
    assert raised.value.field == "spec.selector"
    with pytest.raises(BadInput, match=complaint) as raised:
        label_selectors.parse(selector)
    assert not str(raised.value).startswith(":")
