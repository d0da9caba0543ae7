"""Which namespaces are managed."""

from collections.abc import Mapping
from typing import Any

import pytest

from bridge.admission import scope
from bridge.config import Settings
from bridge.errors import ConfigError
from tests.unit.admission.manifests import known


def managed(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool | None:
    pods = scope.Scope(selector=scope.parse_selector(selector))
    return pods.manages("team", known(team=labels))


def test_by_name() -> None:
    """Without a selector the list of names decides, and no labels are needed."""
    pods = scope.Scope.from_settings(Settings(managed_namespaces=("team",)))
    assert pods.manages("team", known()) is True
    assert pods.manages("other", known()) is False


def test_a_selector_makes_the_list_of_names_void() -> None:
    """With a selector the names are ignored, as in the Go bridge."""
    settings = Settings(
        managed_namespaces=("team",),
        managed_namespace_selector={"matchLabels": {"slurm": "yes"}},
    )
    pods = scope.Scope.from_settings(settings)
    assert pods.manages("team", known(team={})) is False
    assert pods.manages("lab", known(lab={"slurm": "yes"})) is True


def test_the_empty_selector_is_every_namespace() -> None:
    """A selector without requirements selects all, known or not."""
    pods = scope.Scope.from_settings(Settings(managed_namespace_selector={}))
    assert pods.manages("brand-new", known()) is True


def test_nothing_is_managed_by_default() -> None:
    """Settings that name no namespace manage none."""
    assert scope.Scope.from_settings(Settings()).manages("team", known()) is False


def test_an_unknown_namespace_can_not_be_judged_by_a_selector() -> None:
    """Labels that are not known yet are neither a yes nor a no."""
    pods = scope.Scope(selector=scope.parse_selector({"matchLabels": {"slurm": "yes"}}))
    assert pods.manages("brand-new", known()) is None


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
        ({"key": "a", "operator": "DoesNotExist"}, {"a": ""}, False),
        ({"key": "a", "operator": "DoesNotExist"}, {}, True),
    ],
)
def test_operators(expression: dict[str, Any], labels: dict[str, str], expected: bool) -> None:
    """Every operator of a label selector means what it means to Kubernetes."""
    assert managed({"matchExpressions": [expression]}, labels) is expected


def test_all_requirements_must_hold() -> None:
    """matchLabels and matchExpressions are ANDed."""
    selector = {
        "matchLabels": {"a": "1"},
        "matchExpressions": [{"key": "b", "operator": "Exists"}],
    }
    assert managed(selector, {"a": "1", "b": ""}) is True
    assert managed(selector, {"a": "1"}) is False
    assert managed(selector, {"b": ""}) is False


@pytest.mark.parametrize(
    ("selector", "said"),
    [
        ({"matchLabel": {}}, "matchLabel"),
        ({"matchLabels": ["a"]}, "map of strings"),
        ({"matchExpressions": {"a": 1}}, "a list"),
        ({"matchExpressions": ["a"]}, "matchExpressions[0]"),
        ({"matchExpressions": [{"operator": "Exists"}]}, "matchExpressions[0]"),
        ({"matchExpressions": [{"key": "a", "operator": "Equals"}]}, "'Equals' is none of In"),
        ({"matchExpressions": [{"key": "a"}]}, "'None' is none of In"),
        ({"matchExpressions": [{"key": "a", "operator": "In"}]}, "need values"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": "b"}]}, "list of strings"),
        ({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}, "take none"),
    ],
)
def test_what_is_no_selector(selector: Mapping[str, Any], said: str) -> None:
    """A selector that can't be read stops the start, with the part that is wrong."""
    with pytest.raises(ConfigError, match="managedNamespaceSelector") as raised:
        scope.parse_selector(selector)
    assert said in str(raised.value)
