"""The ends of nodes, as reservations."""

from collections.abc import Mapping
from dataclasses import replace

from bridge.model.ids import SlurmNodeName
from bridge.model.node import Node
from bridge.nodes import actions, reservations
from bridge.slurm import Reservation, SlurmNode
from tests.builders import a_node
from tests.unit.nodes.test_plan import in_slurm

CLUSTER, NOON_S = "0123456789abcdef", 1796040000
NOW_S = NOON_S - 7200.0
AT_NOON = "slurm-bridge-01234567-20261130T120000Z"


def ending(name: str, end_s: float | None) -> Node:
    return replace(a_node(name), end_s=end_s)


def decided(
    *nodes: Node,
    kept: Mapping[str, str] | None = None,
    now_s: float = NOW_S,
    flags: tuple[str, ...] = (),
) -> list[actions.Action]:
    """`kept`: the reservations that Slurm has, with their node lists."""
    ours: dict[SlurmNodeName, SlurmNode] = {
        node.slurm_name: in_slurm(node.name, *flags) for node in nodes
    }
    there = [Reservation(name, nodes=listed) for name, listed in (kept or {}).items()]
    return reservations.plan(
        nodes={node.name: node for node in nodes},
        ours=ours,
        kept=reservations.kept(there, CLUSTER),
        cluster=CLUSTER,
        now_s=now_s,
    )


def named(*nodes: str) -> tuple[SlurmNodeName, ...]:
    return tuple(map(SlurmNodeName, nodes))


def test_nodes_that_end_within_five_minutes_share_a_reservation() -> None:
    """It begins before the first of them ends. What is so already is not told again."""
    nodes = (ending("a1", NOON_S + 1.5), ending("a2", NOON_S + 299), ending("b", None))
    assert decided(*nodes) == [actions.CreateReservation(AT_NOON, NOON_S, named("a1", "a2"))]
    assert decided(*nodes, kept={AT_NOON: "a[1-2]"}) == []
    assert decided(*nodes, kept={AT_NOON: "a2,gone"}) == [
        actions.ChangeReservation(AT_NOON, named("a1", "a2"))
    ]


def test_a_node_leaves_a_reservation_only_when_it_is_in_its_next_one() -> None:
    """In between a job could start that would run too long."""
    node, later = ending("a", NOON_S + 3600), AT_NOON.replace("T12", "T13")
    before = {AT_NOON: "a"}
    assert decided(node, kept=before) == [
        actions.CreateReservation(later, NOON_S + 3600, named("a"))
    ]
    assert decided(node, kept={**before, later: "a"}) == [actions.DeleteReservation(AT_NOON)]


def test_a_node_whose_end_has_come_leaves_it_when_it_is_drained() -> None:
    """Slurm deletes no node that is in a reservation which has begun."""
    node, kept = ending("a", NOON_S), {AT_NOON: "a"}
    assert decided(node, kept=kept, now_s=NOON_S) == []
    assert decided(node, kept=kept, now_s=NOON_S, flags=("DRAIN",)) == [
        actions.DeleteReservation(AT_NOON)
    ]


def test_others_reservations_are_never_touched() -> None:
    """Those of an admin, and of another Kubernetes cluster; ours without a node are removed."""
    other = "slurm-bridge-ffffffff-20261130T120000Z"
    kept = {"maintenance": "a", other: "a", "slurm-bridge-01234567-x": "a"}
    assert decided(ending("a", None), kept=kept) == [
        actions.DeleteReservation("slurm-bridge-01234567-x")
    ]
