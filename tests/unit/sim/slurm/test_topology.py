"""Where nodes hang in the tree of switches."""

import numpy as np
import pytest

from bridge.sim.slurm.errors import TOPOLOGY_UNAVAILABLE, Refused
from bridge.sim.slurm.topology import UNREACHABLE, Tree


def test_missing_switches_are_made_below_an_existing_one() -> None:
    """A path of unknown names becomes a branch; a known leaf can be named alone."""
    tree = Tree("topo")
    leaf = tree.place("topo:root:spine:leaf")
    assert [switch.name for switch in tree.switches] == ["root", "spine", "leaf"]
    assert tree.place("topo:leaf") == leaf
    assert tree.place("") == -1


@pytest.mark.parametrize(
    "spec",
    ["other:root:a", "topo:nowhere:a", "topo:root", "topo:root:spine", "topo:root:root"],
)
def test_paths_that_slurm_refuses(spec: str) -> None:
    """Another topology, an unknown first switch, one that is no leaf, one below itself."""
    tree = Tree("topo")
    tree.place("topo:root:spine:leaf")
    with pytest.raises(Refused) as refused:
        tree.place(spec)
    assert refused.value.number == TOPOLOGY_UNAVAILABLE
    assert len(tree.switches) == 3


def test_a_switch_is_where_it_was_made_first() -> None:
    """Whatever a later path says is above it; the name of the topology alone is no place."""
    tree = Tree("topo")
    leaf = tree.place("topo:root:a:leaf")
    assert tree.place("topo:root:b:leaf") == leaf
    assert [switch.name for switch in tree.switches] == ["root", "a", "leaf", "b"]
    assert tree.switches[leaf].parent == 1
    assert tree.place("topo") == -1


def test_a_root_may_be_a_leaf() -> None:
    """While nothing is below it; with nodes it gets no switches."""
    tree = Tree("topo")
    tree.switches[tree.place("topo:root")].nodes = 1
    with pytest.raises(Refused):
        tree.place("topo:root:leaf")


def test_a_leaf_with_nodes_gets_no_switches() -> None:
    """What holds nodes can't hold switches."""
    tree = Tree("topo")
    tree.switches[tree.place("topo:root:leaf")].nodes = 1
    with pytest.raises(Refused):
        tree.place("topo:root:leaf:below")


def test_distances_levels_and_sums() -> None:
    """Hops between switches, leaves at level 0, sums over all that is below."""
    tree = Tree("topo", roots=("root", "island"))
    one, two = tree.place("topo:root:s1:l1"), tree.place("topo:root:s2:l2")
    shape = tree.shape()
    assert shape.distance[one, two] == 4
    assert shape.distance[one, 1] == UNREACHABLE
    assert [shape.level[number] for number in (0, one)] == [2, 0]


def test_sums_are_over_all_that_hangs_below() -> None:
    """Amounts of nodes add up towards the root; nodes outside the tree count nowhere."""
    tree = Tree("topo")
    one, two = tree.place("topo:root:s1:l1"), tree.place("topo:root:s2:l2")
    leaf, amounts = np.array([one, two, one, -1]), np.array([1, 10, 100, 1000])
    sums = dict(
        zip(
            (switch.name for switch in tree.switches), tree.shape().sums(leaf, amounts), strict=True
        )
    )
    assert sums == {"root": 111, "s1": 101, "l1": 101, "s2": 10, "l2": 10}
