"""What Slurm's nodes have, in few groups."""

from dataclasses import replace
from itertools import permutations

from bridge.model.ids import SlurmNodeName
from bridge.model.job import Gres
from bridge.nodes import capacities
from bridge.slurm import SlurmNode
from bridge.state.slurm_facts import Capacities, NodeGroup

NODE = SlurmNode(
    SlurmNodeName("a"), frozenset({"IDLE", "EXTERNAL"}), cpus=96, memory_mib=4096,
    gres=(Gres("gpu", "h100", 8), Gres("efa", "", 0)), features=("x", "y"), active_features=("y",),
    partitions=("p", "q"),
)  # fmt: skip
GROUP = NodeGroup(
    frozenset({"x", "y"}),
    frozenset({"p", "q"}),
    96,
    4096,
    (Gres("gpu", "h100", 8),),
    has_place=False,
)


def named(name: str, **fields: object) -> SlurmNode:
    return replace(NODE, name=SlurmNodeName(name), **fields)  # type: ignore[arg-type]


def test_nodes_that_are_alike_are_one_group() -> None:
    """In whatever order Slurm writes what they have, and whatever runs on them."""
    nodes = [
        NODE,
        named("b", features=("y", "x"), partitions=("q", "p"), active_features=()),
        named("c", gres=(Gres("gpu", "h100", 4), Gres("gpu", "h100", 4)), allocated_cpus=96),
        named("d", cpus=8),
        *(named(name, states=frozenset({"IDLE"})) for name in "ef"),
    ]
    found = capacities.of(nodes)
    assert {group.count: group for group in found.groups} == {
        3: replace(GROUP, count=3),
        1: replace(GROUP, cpus=8, count=1),
        2: replace(GROUP, count=2, has_slurmd=True, has_place=True),
    }
    sizes = [found.groups[found.group_of[node.name]].cpus for node in nodes]
    assert sizes == [96, 96, 96, 8, 96, 96]


def test_the_groups_are_the_same_in_whatever_order_nodes_are_listed() -> None:
    """Else a list in another order would be news to all gangs."""
    nodes = [NODE, named("b", cpus=8), named("c", partitions=()), named("d", gres=())]
    found = [capacities.of(order) for order in permutations(nodes)]
    assert all(one == found[0] for one in found)


def test_nodes_that_get_no_jobs_are_known_by_name() -> None:
    """Drained, down, or given up by Slurm."""
    states = ["DRAIN", "DOWN", "NOT_RESPONDING", "MIXED"]
    nodes = [named(one, states=frozenset({"IDLE", one})) for one in states]
    assert capacities.of(nodes).out_of_service == {"DRAIN", "DOWN", "NOT_RESPONDING"}
    assert capacities.of([]) == Capacities()
