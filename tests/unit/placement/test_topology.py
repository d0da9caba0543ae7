"""The fabric's tree: order and distances."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.ids import NodeName
from bridge.placement import topology
from bridge.placement.table import NodeTable
from bridge.placement.topology import Fabric
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
        return [names[place] for place in Fabric(snapshot, topology).order(names)]

    assert along("") == along("tree") == ["n1", "n3", "n2"]
    assert along("block") == ["n2", "n1", "n3"]
    rows = snapshot.rows(names)
    assert Fabric(snapshot, "tree").distances(rows[:1], rows).tolist() == [0, 4, 2]
    assert Fabric(snapshot, "block").distances(rows[:1], rows).tolist() == [0, 4, 6]


def test_blocks_that_follow_each_other_make_larger_blocks() -> None:
    """BlockSizes=18,36,144: two base blocks are nearer than four, four nearer than eight."""
    specs = {f"n{block}": f"nvl:b{block}" for block in range(1, 12)} | {"m1": "nvl:b1"}
    table = annotated(specs, block_sizes={"nvl": (18, 36, 144)})
    snapshot = table.snapshot()
    names = [NodeName(name) for name in ("n1", "m1", "n2", "n3", "n8", "n9", "n11")]
    rows = snapshot.rows(names)
    assert Fabric(snapshot).distances(rows[:1], rows).tolist() == [0, 2, 4, 6, 6, 8, 8]
    mixed = [NodeName(f"n{block}") for block in (11, 2, 9, 1, 10)]
    along = [mixed[place] for place in Fabric(snapshot).order(mixed)]
    assert along == ["n1", "n2", "n9", "n10", "n11"]


def test_a_tree_of_any_depth_and_names_of_any_form() -> None:
    """Forty levels, numbers of thousands of digits, names that differ in zeros only."""
    deep = "t:" + ":".join(f"s{level}" for level in range(40))
    table = annotated(
        {"n1": f"{deep}:a", "n2": f"{deep}:b", "n3": "t:" + "9" * 5000, "n4": "t:" + "8" * 5000}
    )
    snapshot = table.snapshot()
    rows = snapshot.rows([NodeName(f"n{number}") for number in (1, 2, 3, 4)])
    assert Fabric(snapshot).distances(rows[:1], rows).tolist() == [0, 4, 44, 44]
    names = [NodeName(name) for name in ("n3", "n4", "n2", "n1", "", "7")]
    along = [names[place] for place in Fabric(snapshot).order(names)]
    assert along == ["n4", "n3", "n1", "n2", "", "7"]
    assert sorted(["a01", "a1", "a001", "a2", "a"], key=topology.natural) == sorted(
        ["a2", "a001", "a", "a1", "a01"], key=topology.natural
    )


def test_order_goes_along_the_tree() -> None:
    """Depth first, switches and nodes in natural order, nodes without a path last."""
    nodes = table(
        n10=("s1", "s1"), n2=("s1", "s1"), n1=("s1", "s10"), n3=("s1", "s2"), a=(), n4=("s1",)
    )
    names = [NodeName(n) for n in ("a", "n10", "n1", "n2", "gone", "n3", "n4")]
    along = [names[place] for place in Fabric(nodes.snapshot()).order(names)]
    assert along == ["n4", "n2", "n10", "n3", "n1", "a", "gone"]


@given(st.lists(paths, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_order_is_one_whatever_the_rows(drawn: list[tuple[str, ...]], dice: object) -> None:
    """The order of nodes does not depend on rows or on the order in which they are asked."""
    switches = {f"n{number}": path for number, path in enumerate(drawn)}
    shuffled = list(switches)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    straight = table(**switches).snapshot()
    mixed_up = table(**{name: switches[name] for name in shuffled}).snapshot()
    names = [NodeName(name) for name in switches]
    mixed = [NodeName(name) for name in shuffled]
    along = [names[place] for place in Fabric(straight).order(names)]
    assert along == [mixed[place] for place in Fabric(mixed_up).order(mixed)]


@given(st.lists(paths, min_size=1, max_size=8))
def test_nodes_of_one_switch_are_next_to_each_other(drawn: list[tuple[str, ...]]) -> None:
    """For every switch, its nodes are a contiguous part of the order."""
    switches = {NodeName(f"n{number}"): path for number, path in enumerate(drawn)}
    names = list(switches)
    along = [names[place] for place in Fabric(table(**switches).snapshot()).order(names)]
    for prefix in {path[:depth] for path in drawn for depth in range(1, len(path) + 1)}:
        below = [switches[name][: len(prefix)] == prefix for name in along]
        assert sum(1 for a, b in pairwise([False, *below]) if b and not a) == 1


def distance(path: tuple[str, ...], other: tuple[str, ...], deepest: int) -> int:
    """Count the edges up to the common switch and down again."""
    common = 0
    while common < min(len(path), len(other)) and path[common] == other[common]:
        common += 1
    if not common:
        return 2 * max(deepest, 1) + 2
    return len(path) - common + len(other) - common + 2


@given(st.lists(paths, min_size=2, max_size=8))
def test_distances_are_those_of_the_tree(drawn: list[tuple[str, ...]]) -> None:
    """Pair by pair as one counts edges by hand; zero only to itself."""
    snapshot = table(**{f"n{number}": path for number, path in enumerate(drawn)}).snapshot()
    rows = snapshot.rows([NodeName(f"n{number}") for number in range(len(drawn))])
    deepest = max(map(len, drawn))
    for row, path in zip(rows, drawn, strict=True):
        distances = Fabric(snapshot).distances(np.full_like(rows, row), rows)
        expected = [distance(path, other, deepest) for other in drawn]
        expected[list(rows).index(row)] = 0
        assert distances.tolist() == expected


def test_nodes_that_are_gone_are_far() -> None:
    """A row of -1 is as far from every node as nodes without a common switch."""
    snapshot = table(n1=("a", "b"), n2=("a", "b")).snapshot()
    rows = snapshot.rows([NodeName("n1"), NodeName("n1"), NodeName("gone")])
    others = snapshot.rows([NodeName("n2"), NodeName("gone"), NodeName("gone")])
    assert Fabric(snapshot).distances(rows, others).tolist() == [2, 6, 0]
