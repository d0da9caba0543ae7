"""Which nodes a pass looks at."""

from dataclasses import replace

from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.node import Node
from bridge.nodes import actions
from bridge.nodes.settled import Settled
from bridge.slurm import SlurmNode
from tests.builders import a_node


def looked_at(
    settled: Settled,
    nodes: list[Node],
    *names: str,
    common: object = None,
    others: dict[str, int] | None = None,
) -> tuple[list[str], list[str]]:
    """The names of both sides' nodes that a pass looks at; `names` are those in Slurm."""
    found = settled.unsettled(
        {node.name: node for node in nodes},
        {
            SlurmNodeName(name): SlurmNode(SlurmNodeName(name), frozenset({"IDLE"}))
            for name in names
        },
        common=common,
        of_node=lambda name, _: (others or {}).get(name),
    )
    return list(found[0]), list(found[1])


def test_nodes_are_looked_at_until_nothing_is_to_do_and_again_when_something_changes() -> None:
    """Of the node itself, in Slurm, of what else counts for it; or of what counts for all."""
    settled, one, two = Settled(), a_node("n1"), a_node("n2")
    nodes = {one.name: one, two.name: two}
    assert looked_at(settled, [one, two], "n1", "n2") == (["n1", "n2"], ["n1", "n2"])
    settled.note([actions.AddTaint(one.name), actions.Undrain(SlurmNodeName("n2"))], nodes)
    assert looked_at(settled, [one, two], "n1", "n2") == (["n1", "n2"], ["n1", "n2"])
    settled.note([], nodes)
    assert looked_at(settled, [one, two], "n1", "n2") == ([], [])
    changed = replace(one, unschedulable=True)
    assert looked_at(settled, [changed, two], "n1", "n2") == (["n1"], ["n1"])
    assert looked_at(settled, [one, two], "n1", "n2", others={"n2": 4}) == (["n2"], ["n2"])
    assert looked_at(settled, [one, two], "n2") == (["n1"], [])
    assert looked_at(settled, [one], "n1", "n2") == ([], ["n2"])
    assert looked_at(settled, [one, two], "n1", "n2", common="other") == (
        ["n1", "n2"], ["n1", "n2"],
    )  # fmt: skip


def test_nodes_of_one_name_in_slurm_are_looked_at_together() -> None:
    """What is right for one of them depends on the other."""
    settled = Settled()
    one = a_node("a", labels={"slinky.slurm.net/slurm-nodename": "n1"})
    two = a_node("b", labels={"slinky.slurm.net/slurm-nodename": "n1"})
    looked_at(settled, [one, two], "n1")
    settled.note([], {NodeName("a"): one, NodeName("b"): two})
    assert looked_at(settled, [one, two], "n1") == ([], [])
    other = replace(two, unschedulable=True)
    assert looked_at(settled, [one, other], "n1") == (["a", "b"], ["n1"])
    settled.note([actions.AddTaint(other.name)], {one.name: one, other.name: other})
    assert looked_at(settled, [one, other], "n1") == (["a", "b"], ["n1"])
