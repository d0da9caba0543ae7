"""Quantities as they are written back, equality, omission, QoS, affinity that tightens."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model import quantity
from bridge.sim.kube.apiserver.rules import (
    amounts,
    equality,
    omission,
    pod_spec,
    pod_updates,
)

Json = Any
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("1", "1"), (1, "1"), (1.5, "1500m"), ("1000m", "1"), ("0.5", "500m"), ("1024Mi", "1Gi"),
        ("0.5Gi", "512Mi"), ("1.5Gi", "1536Mi"), ("1000", "1k"), ("1000k", "1M"), ("1e3", "1e3"),
        ("5E", "5E"), ("100Ki", "100Ki"), ("512", "512"), ("0", "0"), ("0m", "0"), ("-1", "-1"),
        ("0.1Ki", "102400m"), ("12e6", "12e6"), ("100M", "100M"), ("nonsense", "nonsense"),
    ],
)  # fmt: skip
def test_canonical(given: str | float, canonical: str) -> None:
    """As Go's Quantity prints itself."""
    assert amounts.canonical(given) == canonical


@given(
    st.integers(min_value=0, max_value=10**12),
    st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi"]),
)
def test_canonical_keeps_the_value(number: int, suffix: str) -> None:
    """Same value, and canonical text is its own canonical text."""
    text = f"{number}{suffix}"
    canonical = amounts.canonical(text)
    assert quantity.parse(canonical) == quantity.parse(text)
    assert amounts.canonical(canonical) == canonical


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ({"a": None}, {}, True),
        ({"a": []}, {}, True),
        ({"a": {}}, {}, True),
        ({"a": ""}, {}, True),
        ({"a": 0}, {}, False),
        ({"affinity": {}}, {}, False),
        (
            {"resources": {"limits": {"cpu": "1"}}},
            {"resources": {"limits": {"cpu": "1000m"}}},
            True,
        ),
        ({"x": {"cpu": "1"}}, {"x": {"cpu": "1000m"}}, False),
        ([{"a": 1}], [{"a": 1, "b": None}], True),
    ],
)
def test_equality(left: Json, right: Json, same: bool) -> None:
    """Absent, null and empty are one; quantities are numbers; empty structs of pointers are not."""
    assert equality.same(left, right) is same


def test_omission() -> None:
    """Empty lists and maps that Go omits go, structs and null times stay."""
    pod = {
        "metadata": {"labels": {}, "finalizers": [], "name": "x"},
        "spec": {"securityContext": {}, "nodeName": "", "containers": [{"resources": {}}]},
        "status": {"conditions": [{"lastProbeTime": None, "message": None}]},
    }
    assert omission.prune(pod) == {
        "metadata": {"name": "x"},
        "spec": {"securityContext": {}, "containers": [{"resources": {}}]},
        "status": {"conditions": [{"lastProbeTime": None}]},
    }


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"limits": {"nvidia.com/gpu": "1"}, "requests": {"nvidia.com/gpu": "1"}}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}, "Burstable"),
        (
            {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}},
            "Guaranteed",
        ),
        (
            {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}},
            "Burstable",
        ),
        ({"requests": {"cpu": "0"}}, "BestEffort"),
    ],
)
def test_qos(resources: Json, expected: str) -> None:
    """The QoS class follows CPUs and memory only."""
    spec = {"containers": [{"name": "a", "resources": resources}]}
    assert pod_spec.qos_class(spec) == expected


expressions = st.fixed_dictionaries(
    {
        "key": st.sampled_from("ab"),
        "operator": st.just("In"),
        "values": st.lists(st.sampled_from("xy"), min_size=1, max_size=2),
    }
)
terms = st.fixed_dictionaries(
    {},
    optional={
        "matchExpressions": st.lists(expressions, max_size=2),
        "matchFields": st.lists(expressions, max_size=1),
    },
)


def _spec(listed: list[Json], gates: list[str]) -> Json:
    return {
        "containers": [{"name": "a", "image": "b"}],
        "affinity": {"nodeAffinity": {_REQUIRED: {"nodeSelectorTerms": listed}}},
        "schedulingGates": [{"name": gate} for gate in gates],
    }


@given(st.lists(terms, min_size=1, max_size=3), expressions)
def test_tightening_every_term_is_allowed(listed: list[Json], pin: Json) -> None:
    """One change may add a pin to each term that has something and take the gate off."""
    tightened = [
        {**term, "matchFields": [*(term.get("matchFields") or []), pin]}
        if term.get("matchExpressions") or term.get("matchFields")
        else term
        for term in listed
    ]
    assert pod_updates.validate(_spec(tightened, []), _spec(listed, ["g"])) == []


@given(st.lists(terms, min_size=1, max_size=3), st.lists(terms, min_size=1, max_size=3))
def test_nothing_changes_after_the_last_gate(old: list[Json], new: list[Json]) -> None:
    """Ungated, any other affinity is refused."""
    before, after = _spec(old, []), _spec(new, [])
    assert bool(pod_updates.validate(after, before)) is not equality.same(after, before)


@given(st.lists(st.sampled_from("abc"), unique=True), st.lists(st.sampled_from("abc"), unique=True))
def test_gates_only_go(old: list[str], new: list[str]) -> None:
    """A change of gates is allowed exactly when it adds none."""
    before, after = _spec([{}], old), _spec([{}], new)
    assert (pod_updates.validate(after, before) == []) is (set(new) <= set(old))
