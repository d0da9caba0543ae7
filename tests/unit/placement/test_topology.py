"""The fabric's tree: paths, order, distances."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.ids import NodeName
from bridge.model.node import Node
from bridge.placement import topology
from bridge.placement.table import NodeTable
from bridge.placement.table.paths import Path, path_in, paths_of
from bridge.placement.topology import order
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
        (
            {f"{LAYER}1": "a", "topology.k8s.aws/capacity-block-id": "cb",
             "topology.k8s.aws/ultraserver-id": "us"}, {}, ("a", "us"),
        ),
        ({"topology.k8s.aws/capacity-block-id": "cb"}, {SPEC: "t:b1"}, ("t", "b1", "cb")),
        ({"topology.k8s.aws/capacity-block-id": "cb"}, {}, ("cb",)),
        ({}, {SPEC: " t : b1 ,, t:b2 ,"}, ("t", "b1")),
        ({}, {SPEC: ":" * 1000}, ()),
        ({}, {SPEC: "t" + ":x" * 1000}, ("t",) + ("x",) * 63),
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


def path_of(node: Node, *, topology: str = "") -> Path:
    """The node's switches from the top down."""
    return path_in(paths_of(node), topology)


def annotated(specs: dict[str, str], **settings: object) -> NodeTable:
    """Nodes by name with their annotation."""
    made = NodeTable(scheduler_name=OURS, **settings)  # type: ignore[arg-type]
    for name, spec in specs.items():
        made.upsert(a_node(name, annotations={SPEC: spec}))
    return made


def test_nodes_are_in_several_topologies_at_once() -> None:
    """Each query says by which topology it goes; what is not in it is far from all."""
    table = annotated({"n1": "tree:s1,block:b2", "n2": "tree:s2,block:b1", "n3": "tree:s1"})
    snapshot = table.snapshot()
    names = [NodeName(name) for name in ("n1", "n2", "n3")]

    def along(topology: str) -> list[str]:
        return [names[place] for place in order(snapshot, names, topology=topology)]

    assert along("") == along("tree") == ["n1", "n3", "n2"]
    assert along("block") == ["n2", "n1", "n3"]
    rows = snapshot.rows(names)
    assert topology.distances(snapshot, rows[:1], rows, topology="tree").tolist() == [0, 4, 2]
    assert topology.distances(snapshot, rows[:1], rows, topology="block").tolist() == [0, 4, 6]


def test_labels_stand_in_where_the_annotation_has_another_topology() -> None:
    """A path from labels has no name, so it is good for any topology the node doesn't name."""
    node = a_node(annotations={SPEC: "tree:s2"}, labels={f"{LAYER}1": "a"})
    assert path_of(node) == path_of(node, topology="tree") == ("tree", "s2")
    assert path_of(node, topology="block") == ("a",)


def test_blocks_that_follow_each_other_make_larger_blocks() -> None:
    """BlockSizes=18,36,144: two base blocks are nearer than four, four nearer than eight."""
    specs = {f"n{block}": f"nvl:b{block}" for block in range(1, 12)} | {"m1": "nvl:b1"}
    table = annotated(specs, block_sizes={"nvl": (18, 36, 144)})
    snapshot = table.snapshot()
    names = [NodeName(name) for name in ("n1", "m1", "n2", "n3", "n8", "n9", "n11")]
    rows = snapshot.rows(names)
    assert topology.distances(snapshot, rows[:1], rows).tolist() == [0, 2, 4, 6, 6, 8, 8]
    mixed = [NodeName(f"n{block}") for block in (11, 2, 9, 1, 10)]
    found = [mixed[place] for place in order(snapshot, mixed)]
    assert found == ["n1", "n2", "n9", "n10", "n11"]


def test_a_tree_of_any_depth_and_names_of_any_form() -> None:
    """Forty levels, numbers of thousands of digits, names that differ in zeros only."""
    deep = "t:" + ":".join(f"s{level}" for level in range(40))
    table = annotated(
        {"n1": f"{deep}:a", "n2": f"{deep}:b", "n3": "t:" + "9" * 5000, "n4": "t:" + "8" * 5000}
    )
    snapshot = table.snapshot()
    rows = snapshot.rows([NodeName(f"n{number}") for number in (1, 2, 3, 4)])
    assert topology.distances(snapshot, rows[:1], rows).tolist() == [0, 4, 44, 44]
    names = [NodeName(name) for name in ("n3", "n4", "n2", "n1", "", "7")]
    found = [names[place] for place in order(snapshot, names)]
    assert found == ["n4", "n3", "n1", "n2", "", "7"]
    assert sorted(["a01", "a1", "a001", "a2", "a"], key=topology.natural) == sorted(
        ["a2", "a001", "a", "a1", "a01"], key=topology.natural
    )


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
