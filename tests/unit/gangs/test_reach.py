"""Slots whose volumes are in different places."""

from dataclasses import replace

from bridge.gangs import reach
from bridge.model.gang import Rank, Role
from bridge.model.pod import Pod
from bridge.model.scheduling import NodeSelectorTerm, PodShape, Requirement
from tests.builders import PodBuilder, a_gang, a_pod


def zone(name: str) -> tuple[tuple[NodeSelectorTerm, ...], ...]:
    return ((NodeSelectorTerm((Requirement("zone", "In", (name,)),)),),)


def mounting(builder: PodBuilder, name: str) -> Pod:
    shape = PodShape(volume_terms=zone(name))
    return replace(builder.build(), volume_claims=("data",), shape=shape)


def test_each_part_has_its_own_ranks_and_who_is_not_there_its_parts_shape() -> None:
    """A rank beyond its role (a pod too many) is nobody's; pods with a place are past it."""
    leader, worker = PodShape(volume_terms=zone("a")), PodShape(volume_terms=zone("b"))
    gang = replace(
        a_gang("g", size=4, shape=leader),
        roles=(Role("leader", 1, leader), Role("worker", 3, worker)),
    )
    pods = [
        mounting(a_pod("leader"), "a"),
        mounting(a_pod("w0"), "b"),
        mounting(a_pod("w2"), "c"),
        mounting(a_pod("w7"), "d"),
        mounting(a_pod("w1").pinned(7, "n1"), "e"),
        mounting(a_pod("w1b").deleting(), "f"),
    ]
    places = [Rank(0, 0), Rank(1, 0), Rank(1, 2), Rank(1, 7), Rank(1, 1), Rank(1, 1)]
    ranks = {pod.uid: rank for pod, rank in zip(pods, places, strict=True)}
    found = reach.by_slot(gang, ranks, pods)
    assert [shape.volume_terms for shape in found.shapes] == [
        zone("a"), zone("b"), zone("b"), zone("c"),
    ]  # fmt: skip
    assert found.is_mixed


def test_parts_that_differ_need_no_ranks() -> None:
    """Each role's shape says it already."""
    gang = a_gang("g", size=2)
    pods = [mounting(a_pod("one"), "a"), mounting(a_pod("other"), "b")]
    ranks = {pods[0].uid: Rank(0), pods[1].uid: Rank(1)}
    assert reach.by_slot(gang, ranks, pods) is gang
