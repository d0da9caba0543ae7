"""kube-scheduler's calls, read as bytes where that is safe and whole where it is not."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BadInput
from bridge.extender import wire
from tests.unit.extender.calls import UID, bind_body, filter_body, go, pod_json

node_names = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def every(call: wire.FilterCall) -> list[str]:
    """All names of a call."""
    return list(call.candidates.first(len(call.candidates)))


def same(left: wire.FilterCall, right: wire.FilterCall, names: list[str]) -> bool:
    """Whether both say the same of the pod and of these names."""
    return (
        (left.uid, left.pod, len(left.candidates)) == (right.uid, right.pod, len(right.candidates))
        and every(left) == every(right)
        and all((name in left.candidates) == (name in right.candidates) for name in names)
    )


def test_as_go_writes_it() -> None:
    """A call of kube-scheduler is read without parsing its names."""
    call = wire.filter_call(filter_body(["n1", "n2", "n10"]))
    assert isinstance(call.candidates, wire.RawNames)
    assert (call.uid, call.pod) == (UID, "team/web")
    assert len(call.candidates) == 3
    assert every(call) == ["n1", "n2", "n10"]
    assert "n10" in call.candidates
    assert "n3" not in call.candidates
    assert "1" not in call.candidates
    assert 'n1","n2' not in call.candidates
    assert call.objects is None


@given(names=st.lists(node_names, max_size=8), other=node_names)
def test_quick_and_thorough_agree(names: list[str], other: str) -> None:
    """However the JSON is laid out, the same call is read."""
    quick = wire.filter_call(filter_body(names))
    body = {"NodeNames": names, "Pod": pod_json()}
    thorough = wire.filter_call(json.dumps(body, indent=2).encode())
    assert isinstance(quick.candidates, wire.RawNames)
    assert not isinstance(thorough.candidates, wire.RawNames)
    assert same(quick, thorough, [*names, other])


@given(
    annotations=st.dictionaries(st.text(max_size=30), st.text(max_size=60), max_size=3),
    nested=anything,
)
def test_what_a_user_writes_can_not_pose_as_names(annotations: dict[str, str], nested: Any) -> None:
    """Nothing inside the pod is taken for the list of nodes."""
    annotations["trap"] = ',"Nodes":null,"NodeNames":["evil"]}'
    pod = pod_json(annotations=annotations, nested=nested)
    pod["spec"]["trap"] = {"Nodes": None, "NodeNames": ["evil"]}
    call = wire.filter_call(go({"Pod": pod, "Nodes": None, "NodeNames": ["n1"]}))
    assert every(call) == ["n1"]
    assert call.uid == UID


@pytest.mark.parametrize(
    "names",
    [[], ["a\\b"], ['a"b'], ["a]b"], ["a{b"], [","], ["", ""], ['","'], ["é"], ["a,b"]],
)
def test_odd_names(names: list[str]) -> None:
    """Names that no node can have don't confuse the reader."""
    call = wire.filter_call(filter_body(names))
    assert every(call) == names
    assert len(call.candidates) == len(names)


def test_node_objects() -> None:
    """Without nodeCacheCapable whole Node objects come; their names count and they are kept."""
    nodes = {"items": [{"metadata": {"name": "n1"}, "status": {"x": 1}}]}
    call = wire.filter_call(go({"Pod": pod_json(), "Nodes": nodes, "NodeNames": None}))
    assert every(call) == ["n1"]
    assert call.objects == nodes["items"]


@pytest.mark.parametrize("key", ["Nodes", "NodeNames"])
def test_no_candidates(key: str) -> None:
    """A missing or null list is an empty one."""
    body = {"Pod": pod_json(), "Nodes": None, "NodeNames": None}
    assert every(wire.filter_call(go(body))) == []
    del body[key]
    assert every(wire.filter_call(go(body))) == []
    no_items = go({"Pod": pod_json(), "Nodes": {"items": None}})
    assert every(wire.filter_call(no_items)) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "EOF"),
        (b"null", "body"),
        (b"[]", "body"),
        (b"{}", "Pod"),
        (go({"Pod": None, "Nodes": None, "NodeNames": ["a"]}), "Pod"),
        (go({"Pod": {"metadata": {"uid": ""}}, "Nodes": None, "NodeNames": ["a"]}), "uid"),
        (go({"Pod": pod_json(), "Nodes": None, "NodeNames": [1]}), "NodeNames[0]"),
        (go({"Pod": pod_json(), "Nodes": None, "NodeNames": [["a"]]}), "NodeNames[0]"),
        (go({"Pod": pod_json(), "Nodes": None, "NodeNames": [{"a": "n1"}]}), "NodeNames[0]"),
        (go({"Pod": pod_json(), "Nodes": None, "NodeNames": ["a", {"x": 1}, "b"]}), "NodeNames[1]"),
        (go({"Pod": pod_json(), "Nodes": None, "NodeNames": ["a", ["x"], "b"]}), "NodeNames[1]"),
        (go({"Pod": pod_json(), "Nodes": None, "NodeNames": "n1"}), "NodeNames"),
        (go({"Pod": pod_json(), "Nodes": {"items": [{}]}}), "metadata"),
        (go({"Pod": pod_json(), "Nodes": {"items": [1]}}), "items[0]"),
        (filter_body(["n1"])[:-1], "EOF"),
        (filter_body(["n1"])[:-3] + b"]}", "EOF"),
        (filter_body(["n1"])[1:], "trailing characters"),
        (b'{"Pod":' + b"[" * 100_000, "recursion limit"),
        (b"\xff" * 10, "expected value"),
    ],
)
def test_what_is_no_call(body: bytes, said: str) -> None:
    """Anything else is refused with the place where reading ended."""
    with pytest.raises(BadInput, match="no ExtenderArgs") as raised:
        wire.filter_call(body)
    assert said in str(raised.value)


@pytest.mark.parametrize("names", [b'"n0" "n1" "n2"', b'"n0":"n1":"n2"', b'"n0"n1"n2"'])
def test_what_stands_between_no_commas_is_no_candidate(names: bytes) -> None:
    """A list that is not parsed is still looked at where something is found in it."""
    call = wire.filter_call(filter_body(["n9"]).replace(b'"n9"', names))
    assert "n1" not in call.candidates


@given(st.binary(max_size=120))
def test_any_bytes(body: bytes) -> None:
    """Bytes at random are refused, never more."""
    with pytest.raises(BadInput):
        wire.filter_call(body)


@given(cut=st.integers(0, 200), junk=st.binary(max_size=6))
def test_a_damaged_call(cut: int, junk: bytes) -> None:
    """A call with bytes replaced is read or refused."""
    body = filter_body(["n1", "n2"])
    at = cut % len(body)
    body = body[:at] + junk + body[at + len(junk) :]
    try:
        call = wire.filter_call(body)
    except BadInput:
        return
    assert len(every(call)) <= len(body)
    with contextlib.suppress(BadInput):
        wire.prioritize_call(body)


def test_bind_call() -> None:
    """ExtenderBindingArgs is read."""
    call = wire.bind_call(bind_body(node="n9"))
    assert (call.uid, call.namespace, call.name, call.node) == (UID, "team", "web", "n9")


@pytest.mark.parametrize("missing", ["PodName", "PodNamespace", "PodUID", "Node"])
def test_an_incomplete_bind_call(missing: str) -> None:
    """Every part is needed: a binding without the uid could hit another pod of that name."""
    body = json.loads(bind_body())
    body[missing] = ""
    with pytest.raises(BadInput, match=f"no ExtenderBindingArgs.*{missing}"):
        wire.bind_call(go(body))
    del body[missing]
    with pytest.raises(BadInput, match=missing):
        wire.bind_call(go(body))
