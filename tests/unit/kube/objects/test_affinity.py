"""The pin against a brute-force reading of node affinity."""

from hypothesis import assume, given
from hypothesis import strategies as st

from bridge import names
from bridge.kube.objects import affinity, pods
from bridge.model.ids import NodeName
from bridge.model.scheduling import NodeSelectorTerm, Requirement

NODES = {
    NodeName("n1"): {"zone": "a", "disk": "ssd"},
    NodeName("n2"): {"zone": "b"},
    NodeName("n3"): {},
}

expressions = st.builds(
    Requirement,
    key=st.sampled_from(["zone", "disk"]),
    operator=st.sampled_from(["In", "NotIn"]),
    values=st.lists(st.sampled_from(["a", "b", "ssd"]), min_size=1, max_size=2).map(tuple),
) | st.builds(
    Requirement,
    key=st.sampled_from(["zone", "disk"]),
    operator=st.sampled_from(["Exists", "DoesNotExist"]),
)
fields = st.builds(
    Requirement,
    key=st.just("metadata.name"),
    operator=st.sampled_from(["In", "NotIn"]),
    values=st.sampled_from(sorted(NODES)).map(lambda name: (name,)),
)
terms = st.none() | st.lists(
    st.builds(
        NodeSelectorTerm,
        expressions=st.lists(expressions, max_size=2).map(tuple),
        fields=st.lists(fields, max_size=2).map(tuple),
    ),
    min_size=1,
    max_size=3,
).map(tuple)
nodes = st.sampled_from(sorted(NODES))


def holds(one: Requirement, values: dict[str, str]) -> bool:
    """One requirement, as Kubernetes reads it."""
    value = values.get(one.key)
    return {
        "In": value in one.values,
        "NotIn": value not in one.values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }[one.operator]


def takes(wanted: tuple[NodeSelectorTerm, ...] | None, name: NodeName) -> bool:
    """Whether a pod with these terms may run on the node."""
    if wanted is None:
        return True
    return any(
        (term.expressions or term.fields)
        and all(holds(one, NODES[name]) for one in term.expressions)
        and all(holds(one, {"metadata.name": name}) for one in term.fields)
        for term in wanted
    )


@given(before=terms, node=nodes)
def test_exactly_the_node(before: tuple[NodeSelectorTerm, ...] | None, node: NodeName) -> None:
    """After the pin a pod may run on that node, if it could before, and on no other."""
    after = affinity.narrowed(before, node)
    allowed = {name for name in NODES if takes(after, name)}
    assert allowed == ({node} if takes(before, node) else set())


@given(before=terms, node=nodes)
def test_only_additions(before: tuple[NodeSelectorTerm, ...] | None, node: NodeName) -> None:
    """The API server's rule for gated pods: same terms, each with what it had, in its order."""
    after = affinity.narrowed(before, node)
    for old, new in zip(before or (), after, strict=before is not None):
        assert new.expressions == old.expressions
        assert new.fields[: len(old.fields)] == old.fields
        if not (old.expressions or old.fields):
            assert new == old


@given(before=terms, node=nodes)
def test_twice_is_once(before: tuple[NodeSelectorTerm, ...] | None, node: NodeName) -> None:
    """A repeated pin to the same node changes nothing."""
    once = affinity.narrowed(before, node)
    assert affinity.narrowed(once, node) == once


@given(before=terms, node=nodes)
def test_what_stood_there_before_can_be_read(
    before: tuple[NodeSelectorTerm, ...] | None, node: NodeName
) -> None:
    """A gang that only has pinned pods after a start still knows what they had asked for."""
    named = Requirement("metadata.name", "In", (node,))
    assume(takes(before, node) and not any(named in term.fields for term in before or ()))
    after = affinity.to_wire(affinity.narrowed(before, node))
    metadata = {"annotations": {names.NODE_ANNOTATION: node}}
    row = pods.parse({"metadata": metadata, "spec": {"affinity": after}})
    assert row.unpinned_shape.affinity_terms == before


@given(before=terms, node=nodes)
def test_the_row_knows_all_of_it(
    before: tuple[NodeSelectorTerm, ...] | None, node: NodeName
) -> None:
    """Terms survive the way wire, row, wire: why a pin needs no GET before it."""
    after = affinity.narrowed(before, node)
    read = pods.parse({"spec": {"affinity": affinity.to_wire(after)}})
    assert read.shape.affinity_terms == after
