"""Nodes that an owner's jobs leave out for a while."""

from bridge.lifecycle.avoidance import Avoidance
from bridge.model.ids import NodeName

A, B = NodeName("a"), NodeName("b")


def test_a_node_is_left_out_for_its_owner_alone_and_not_for_ever() -> None:
    """Each addition has its own end; others are not concerned."""
    avoidance = Avoidance(for_s=10)
    assert avoidance.add("one", B, now_s=0) == 10
    avoidance.add("one", A, now_s=5)
    assert avoidance.nodes("one", now_s=9) == (A, B)
    assert avoidance.nodes("two", now_s=9) == ()
    assert avoidance.nodes("one", now_s=10) == (A,)
    assert avoidance.nodes("one", now_s=15) == ()


def test_adding_a_node_again_prolongs_it() -> None:
    """It proved useless once more."""
    avoidance = Avoidance(for_s=10)
    avoidance.add("one", A, now_s=0)
    avoidance.add("one", A, now_s=9)
    assert avoidance.nodes("one", now_s=18) == (A,)
