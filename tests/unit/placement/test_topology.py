"""The fabric's tree: paths, order, distances."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.ids import NodeName
from bridge.placement import NodeTable, order, path_of, topology
from tests.builders import a_node
from tests.unit.placement.oracle import OURS

SPEC = "topology.slinky.slurm.net/spec"
LAYER = "topology.k8s.aws/network-node-layer-"

paths = st.lists(st.sampled_from(("s1", "s2", "s10")), max_size=3).map(tuple)


def table(**switches: tuple[str, ...]) -> NodeTable:
    """Nodes by name with their switches from the top down."""
    made = NodeTable(scheduler_name=OURS)
    for name, path in switches.items():
        layers = {f"{LAYER}{level}": switch for level, switch in enumerate(path, 1)}
        made.upsert(a_node(name, labels=layers))
    return made


@pytest.mark.parametrize(
    ("labels", "annotations", "path"),
    [
        ({}, {}, ()),
        ({f"{LAYER}2": "b", f"{LAYER}1": "a", f"{LAYER}10": "z"}, {}, ("a", "b", "z")),
        ({f"{LAYER}1": "a"}, {SPEC: "topo:root:x:y"}, ("topo", "root", "x", "y")),
        ({}, {SPEC: "topo-switch:s2,topo-block:b2"}, ("topo-switch", "s2")),
        ({f"{LAYER}1": "a"}, {SPEC: ""}, ("a",)),
        ({f"{LAYER}x": "a", f"{LAYER}1": ""}, {}, ()),
        (
            {f"{LAYER}1": "a", "topology.k8s.aws/capacity-block-id": "cb",
             "nvidia.com/gpu.clique": "q.1"}, {}, ("a", "q.1"),
        ),
    ],
)  # fmt: skip
def test_paths(labels: dict[str, str], annotations: dict[str, str], path: tuple[str, ...]) -> None:
    """The annotation wins over the layers; the NVLink domain is the innermost level."""
    assert path_of(a_node(labels=labels, annotations=annotations)) == path


def test_a_named_topology_can_be_chosen() -> None:
    """Of several named topologies the settings choose one."""
    node = a_node(annotations={SPEC: "tree:s2, block:b2"})
    assert path_of(node, topology="block") == ("block", "b2")
    assert path_of(node, topology="other") == ()


def test_order_goes_along_the_tree() -> None:
    """Depth first, switches and nodes in natural order, nodes without a path last."""
    nodes = table(
        n10=("s1", "s1"), n2=("s1", "s1"), n1=("s1", "s10"), n3=("s1", "s2"), a=(), n4=("s1",)
    )
    names = [NodeName(n) for n in ("a", "n10", "n1", "n2", "gone", "n3", "n4")]
    found = [names[place] for place in order(nodes.snapshot(), names)]
    assert found == ["n4", "n2", "n10", "n3", "n1", "a", "gone"]


@given(st.lists(paths, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_order_is_one_whatever_the_rows(them: list[tuple[str, ...]], dice: object) -> None:
    """The order of nodes does not depend on rows or on the order in which they are asked."""
    switches = {f"n{number}": path for number, path in enumerate(them)}
    shuffled = list(switches)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    one = table(**switches).snapshot()
    other = table(**{name: switches[name] for name in shuffled}).snapshot()
    names = [NodeName(name) for name in switches]
    mixed = [NodeName(name) for name in shuffled]
    assert [names[p] for p in order(one, names)] == [mixed[p] for p in order(other, mixed)]


@given(st.lists(paths, min_size=1, max_size=8))
def test_nodes_of_one_switch_are_next_to_each_other(them: list[tuple[str, ...]]) -> None:
    """For every switch, its nodes are a contiguous part of the order."""
    switches = {NodeName(f"n{number}"): path for number, path in enumerate(them)}
    names = list(switches)
    along = [names[place] for place in order(table(**switches).snapshot(), names)]
    for prefix in {path[:depth] for path in them for depth in range(1, len(path) + 1)}:
        below = [switches[name][: len(prefix)] == prefix for name in along]
        assert sum(1 for a, b in pairwise([False, *below]) if b and not a) == 1


def distance(one: tuple[str, ...], other: tuple[str, ...], deepest: int) -> int:
    """Edges up to the common switch and down again."""
    common = 0
    while common < min(len(one), len(other)) and one[common] == other[common]:
        common += 1
    if not common:
        return 2 * max(deepest, 1) + 2
    return len(one) - common + len(other) - common + 2


@given(st.lists(paths, min_size=2, max_size=8))
def test_distances_are_those_of_the_tree(them: list[tuple[str, ...]]) -> None:
    """Pair by pair as one counts edges by hand; zero only to itself."""
    snapshot = table(**{f"n{number}": path for number, path in enumerate(them)}).snapshot()
    rows = snapshot.rows([NodeName(f"n{number}") for number in range(len(them))])
    deepest = max(map(len, them))
    for one, path in zip(rows, them, strict=True):
        found = topology.distances(snapshot, np.full_like(rows, one), rows)
        expected = [distance(path, other, deepest) for other in them]
        expected[list(rows).index(one)] = 0
        assert found.tolist() == expected


def test_nodes_that_are_gone_are_far() -> None:
    """A row of -1 is as far from every node as nodes without a common switch."""
    snapshot = table(n1=("a", "b"), n2=("a", "b")).snapshot()
    rows = snapshot.rows([NodeName("n1"), NodeName("n1"), NodeName("gone")])
    others = snapshot.rows([NodeName("n2"), NodeName("gone"), NodeName("gone")])
    assert topology.distances(snapshot, rows, others).tolist() == [2, 6, 0]
