"""Merge patch, JSON patch, strategic merge patch."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.sim.kube.apiserver import patches, strategic
from bridge.sim.kube.apiserver.failure import ApiFailure

Json = Any
scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)
objects = st.dictionaries(st.text("abc", max_size=2), documents, max_size=4)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_rfc_7386(target: Json, patch: Json, result: Json) -> None:
    """The examples of the RFC."""
    assert patches.merge(target, patch) == result


@given(objects, objects)
@settings(max_examples=60)
def test_merge_leaves_its_input_alone(target: Json, patch: Json) -> None:
    """A new document; applying the same patch once more changes nothing."""
    before = copy.deepcopy((target, patch))
    merged = patches.merge(target, patch)
    assert (target, patch) == before
    assert patches.merge(merged, patch) == merged


@pytest.mark.parametrize(
    ("operations", "result"),
    [
        ([{"op": "add", "path": "/b", "value": 1}], {"a": [1, 2], "b": 1}),
        ([{"op": "add", "path": "/a/0", "value": 0}], {"a": [0, 1, 2]}),
        ([{"op": "add", "path": "/a/-", "value": 3}], {"a": [1, 2, 3]}),
        ([{"op": "remove", "path": "/a/0"}], {"a": [2]}),
        ([{"op": "replace", "path": "/a/0", "value": {"x": 1}}], {"a": [{"x": 1}, 2]}),
        ([{"op": "replace", "path": "", "value": {"z": 1}}], {"z": 1}),
        ([{"op": "copy", "from": "/a/1", "path": "/a/0"}], {"a": [2, 1, 2]}),
        ([{"op": "move", "from": "/a/1", "path": "/c"}], {"a": [1], "c": 2}),
        ([{"op": "test", "path": "/a/0", "value": 1}], {"a": [1, 2]}),
        ([{"op": "add", "path": "/x~1y~0z", "value": 1}], {"a": [1, 2], "x/y~z": 1}),
    ],
)
def test_json_patch(operations: list[Json], result: Json) -> None:
    """Every operation of RFC 6902, with its pointers."""
    document = {"a": [1, 2]}
    assert patches.apply_json(document, operations) == result
    assert document == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ({"op": "remove", "path": "/b"}, 422),
        ({"op": "replace", "path": "/b", "value": 1}, 422),
        ({"op": "test", "path": "/a/0", "value": 2}, 422),
        ({"op": "add", "path": "/a/7", "value": 2}, 422),
        ({"op": "add", "path": "/a/x", "value": 2}, 422),
        ({"op": "add", "path": "/b/c", "value": 2}, 422),
        ({"op": "remove", "path": ""}, 422),
        ({"op": "wonder", "path": "/a"}, 400),
        ({"op": "add", "path": "a", "value": 1}, 400),
    ],
)
def test_json_patch_refused(operation: Json, code: int) -> None:
    """What can't be applied is refused as a whole."""
    with pytest.raises(ApiFailure) as refused:
        patches.apply_json({"a": [1, 2]}, [{"op": "add", "path": "/z", "value": 1}, operation])
    assert refused.value.code == code


CONDITIONS = {"status": {"conditions": [{"type": "A", "s": 1}, {"type": "B", "s": 2}]}}


@pytest.mark.parametrize(
    ("patch", "conditions"),
    [
        ([{"type": "B", "s": 3}], [{"type": "A", "s": 1}, {"type": "B", "s": 3}]),
        ([{"type": "C"}], [{"type": "C"}, {"type": "A", "s": 1}, {"type": "B", "s": 2}]),
        ([{"$patch": "delete", "type": "A"}], [{"type": "B", "s": 2}]),
        ([{"$patch": "replace"}, {"type": "C"}], [{"type": "C"}]),
        ([{"type": "A", "s": None}], [{"type": "A"}, {"type": "B", "s": 2}]),
    ],
)
def test_strategic_lists(patch: Json, conditions: Json) -> None:
    """Conditions are merged by type: changed in place, added in front, deleted, replaced."""
    merged = strategic.merge(CONDITIONS, {"status": {"conditions": patch}})
    assert merged["status"]["conditions"] == conditions


def test_strategic_order() -> None:
    """$setElementOrder puts the merged list into the asked order."""
    patch = {
        "$setElementOrder/conditions": [{"type": "B"}, {"type": "A"}],
        "conditions": [{"type": "A", "s": 5}],
    }
    merged = strategic.merge(CONDITIONS, {"status": patch})
    assert merged["status"]["conditions"] == [{"type": "B", "s": 2}, {"type": "A", "s": 5}]
    only_order = {"$setElementOrder/conditions": [{"type": "B"}, {"type": "A"}]}
    merged = strategic.merge(CONDITIONS, {"status": only_order})
    assert [one["type"] for one in merged["status"]["conditions"]] == ["B", "A"]


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"tolerations": [1]}, {"tolerations": [2]}, {"tolerations": [2]}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"$patch": "replace", "d": 3}}, {"a": {"d": 3}}),
        ({"a": {"b": 1}, "c": 1}, {"a": {"$patch": "delete"}}, {"c": 1}),
        ({"finalizers": ["a"]}, {"finalizers": ["b"]}, {"finalizers": ["b", "a"]}),
        (
            {"finalizers": ["a", "b"]},
            {"$deleteFromPrimitiveList/finalizers": ["a"]},
            {"finalizers": ["b"]},
        ),
        ({"s": {"x": 1, "y": 2}}, {"s": {"$retainKeys": ["y"], "y": 3}}, {"s": {"y": 3}}),
        ({"a": 1}, {"a": None}, {}),
        ({"containers": []}, {"containers": [{"name": "a"}]}, {"containers": [{"name": "a"}]}),
    ],
)
def test_strategic_maps(target: Json, patch: Json, result: Json) -> None:
    """Maps merge, lists without a key are replaced, directives are obeyed."""
    assert strategic.merge(target, patch) == result


@pytest.mark.parametrize("patch", [{"a": {"$patch": "wonder"}}, {"conditions": [{"no": "type"}]}])
def test_strategic_refused(patch: Json) -> None:
    """A directive nobody knows and an item without its key are a 400."""
    with pytest.raises(ApiFailure) as refused:
        strategic.merge({"a": {}, "conditions": []}, patch)
    assert refused.value.code == 400


@given(objects, objects)
@settings(max_examples=60)
def test_strategic_without_lists_of_maps_is_merge(target: Json, patch: Json) -> None:
    """Where no list has a key, a strategic patch does what a merge patch does."""
    assert strategic.merge(target, patch) == patches.merge(target, patch)
