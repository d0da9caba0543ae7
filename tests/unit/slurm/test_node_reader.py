"""Nodes that are listed only when they may have changed."""

from dataclasses import replace

import pytest

from bridge.model.ids import SlurmNodeName
from bridge.slurm import NodeListing, SlurmNode, Unavailable
from bridge.slurm.node_reader import NodeReader

from .clocks import ManualClock

_A = SlurmNode(SlurmNodeName("a"), frozenset({"IDLE"}))
_B = SlurmNode(SlurmNodeName("b"), frozenset({"IDLE"}))


class Nodes:
    """Nodes that change at a time of Slurm's clock."""

    def __init__(self) -> None:
        self.nodes: tuple[SlurmNode, ...] = (_A, _B)
        self.at_s = 100
        self.asked: list[int] = []
        self.error: Unavailable | None = None

    async def list_nodes_since(self, at_s: int) -> NodeListing | None:
        self.asked.append(at_s)
        if self.error is not None:
            raise self.error
        return None if at_s == self.at_s else NodeListing(self.nodes, self.at_s)


async def test_an_unchanged_list_is_not_read_again_for_half_a_minute() -> None:
    """Then it is, whatever Slurm says of it."""
    clock, slurm = ManualClock(), Nodes()
    reader = NodeReader(slurm, clock=clock)
    assert await reader.read()
    for _ in range(3):
        await clock.advance(10)
        assert not await reader.read()
    assert slurm.asked == [0, 100, 100, 0]
    assert reader.nodes == {"a": _A, "b": _B}


async def test_only_what_is_another_node_than_before_is_a_change() -> None:
    """A list that is as before is none; nodes that stay as they are stay the same objects."""
    clock, slurm = ManualClock(), Nodes()
    reader = NodeReader(slurm, clock=clock)
    await reader.read()
    slurm.nodes, slurm.at_s = (replace(_A), replace(_B)), 101
    assert not await reader.read()
    assert reader.nodes[_A.name] is _A
    drained = replace(_A, reason="fan")
    slurm.nodes, slurm.at_s = (drained, replace(_B)), 102
    assert await reader.read()
    assert reader.nodes == {"a": drained, "b": _B}
    for gone in ((drained,), (drained, replace(_B, name=SlurmNodeName("c")))):
        slurm.nodes, slurm.at_s = gone, slurm.at_s + 1
        assert await reader.read()
        assert set(reader.nodes.values()) == set(gone)


async def test_a_slurm_that_does_not_answer_changes_nothing() -> None:
    """What was read last stays."""
    clock, slurm = ManualClock(), Nodes()
    reader = NodeReader(slurm, clock=clock)
    await reader.read()
    slurm.error = Unavailable("away")
    with pytest.raises(Unavailable):
        await reader.read()
    assert reader.nodes == {"a": _A, "b": _B}


async def test_after_a_node_was_deleted_the_list_is_read_in_any_case() -> None:
    """Slurm does not tell of it."""
    clock, slurm = ManualClock(), Nodes()
    reader = NodeReader(slurm, clock=clock)
    await reader.read()
    slurm.nodes = (_A,)
    assert not await reader.read()
    reader.node_deleted()
    assert await reader.read()
    assert reader.nodes == {"a": _A}
    await reader.read()
    assert slurm.asked == [0, 100, 0, 100]
