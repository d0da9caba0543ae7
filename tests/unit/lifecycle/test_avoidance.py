"""Nodes that an owner's jobs leave out for a while."""

from bridge.lifecycle.avoidance import Avoidance
from bridge.model.ids import GangId, NodeName

A, B = NodeName("a"), NodeName("b")
G, H = GangId("g"), GangId("h")


def left_out(avoidance: Avoidance, owner: str, now_s: float, gang: GangId = G) -> list[NodeName]:
    return list(avoidance.nodes(owner, gang, now_s))


def test_a_node_is_left_out_for_its_owner_alone_and_not_for_ever() -> None:
    """Each addition has its own end; others are not concerned."""
    avoidance = Avoidance(for_s=10)
    assert avoidance.add("one", B, now_s=0) == 10
    avoidance.add("one", A, now_s=5)
    assert left_out(avoidance, "one", 9) == [A, B]
    assert left_out(avoidance, "two", 9) == []
    assert left_out(avoidance, "one", 10) == [A]
    assert left_out(avoidance, "one", 15) == []


def test_adding_a_node_again_prolongs_it() -> None:
    """It proved useless once more."""
    avoidance = Avoidance(for_s=10)
    avoidance.add("one", A, now_s=0)
    avoidance.add("one", A, now_s=9)
    assert left_out(avoidance, "one", 18) == [A]


def test_room_on_a_node_that_lacked_it_ends_that() -> None:
    """All gangs whose jobs leave the node out are told; what a kubelet refused stays refused."""
    avoidance = Avoidance(for_s=10)
    avoidance.add("one", A, now_s=0, until_usable=True)
    avoidance.add("one", B, now_s=0)
    avoidance.add("two", A, now_s=0, until_usable=True)
    for owner, gang in (("one", G), ("two", H)):
        left_out(avoidance, owner, 1, gang)
    assert avoidance.freed([B]) == set()
    assert avoidance.freed([A]) == {G, H}
    assert left_out(avoidance, "one", 2) == [B]
    assert avoidance.freed([A]) == set()
