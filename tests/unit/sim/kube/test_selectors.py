"""Label and field selectors."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sim.kube.apiserver import selectors
from bridge.sim.kube.apiserver.failure import ApiFailure

LABELS = {"app": "a", "zone": "z1", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=a", True),
        ("app == a", True),
        ("app=b", False),
        ("app!=b", True),
        ("missing!=b", True),
        ("app in (a, b)", True),
        ("app in (b)", False),
        ("missing in (b)", False),
        ("app notin (b)", True),
        ("missing notin (b)", True),
        ("app", True),
        ("missing", False),
        ("!app", False),
        ("!missing", True),
        ("empty=", True),
        ("app=a,zone=z1", True),
        ("app=a,zone=z2", False),
        ("app in (a,b),zone notin (z2,z3),!missing", True),
        ("domain.example/with-dash", False),
    ],
)
def test_labels(text: str, matches: bool) -> None:
    """All forms of a label selector's text."""
    assert selectors.parse_labels(text).matches(LABELS) is matches


@pytest.mark.parametrize("text", ["app in", "a b", "app in (a", "=a", "a=b=c"])
def test_labels_refused(text: str) -> None:
    """What is no selector is a 400."""
    with pytest.raises(ApiFailure) as refused:
        selectors.parse_labels(text)
    assert refused.value.code == 400


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("status.phase=Running", True),
        ("status.phase!=Running", False),
        ("status.phase==Running,spec.nodeName=", True),
        ("spec.nodeName!=", False),
    ],
)
def test_fields(text: str, matches: bool) -> None:
    """All forms of a field selector."""
    fields = {"status.phase": "Running", "spec.nodeName": ""}
    assert selectors.parse_fields(text).matches(fields) is matches


@pytest.mark.parametrize(
    ("operator", "values", "value", "matches"),
    [
        ("Gt", ("5",), "6", True),
        ("Gt", ("5",), "5", False),
        ("Lt", ("5",), "4", True),
        ("Lt", ("5",), "x", False),
        ("Gt", (), "6", False),
        ("Near", ("5",), "5", False),
    ],
)
def test_numbers(operator: str, values: tuple[str, ...], value: str, matches: bool) -> None:
    """Gt and Lt compare whole numbers and match nothing else."""
    assert selectors.Requirement("n", operator, values).matches({"n": value}) is matches


def test_object_form() -> None:
    """matchLabels and matchExpressions together; nothing selects everything."""
    selector: dict[str, Any] = {
        "matchLabels": {"app": "a"},
        "matchExpressions": [{"key": "zone", "operator": "In", "values": ["z1", "z2"]}],
    }
    assert selectors.from_object(selector).matches(LABELS)
    assert not selectors.from_object(selector).matches({"app": "a"})
    assert selectors.from_object(None).matches({})
    assert selectors.from_object({}).matches(None)


@given(
    st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz")),
    st.sampled_from("abc"),
    st.sampled_from("xyz"),
)
def test_negation(labels: dict[str, str], key: str, value: str) -> None:
    """`!=` is exactly what `=` is not, and `!key` what `key` is not."""
    for yes, no in ((f"{key}={value}", f"{key}!={value}"), (key, f"!{key}")):
        holds = selectors.parse_labels(yes).matches(labels)
        assert selectors.parse_labels(no).matches(labels) is not holds
