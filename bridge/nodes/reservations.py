"""Nodes that cease to exist at a time that is known: nothing starts that would run longer. Pure.

Each such time is a reservation in Slurm, from then on, for nobody (users: root): a job starts on
its nodes only if its time limit ends before. Flags: MAINT, so that reservations of an admin may lie
over the same nodes; IGNORE_JOBS, so that jobs which run already do not matter. Slurm 26.05 deletes
a node in spite of a reservation that has not begun, and keeps its name in the list; it refuses to
delete one in a reservation that has begun. A node that is registered again is in the reservation or
not, depending on its place in Slurm's table; the list says which.

Times are rounded down to five minutes, so that thousands of nodes do not make thousands of
reservations. The name says whose and from when it is, so leftovers are found by their name. When
the time has come, the node is drained instead, and then leaves the reservation.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from bridge.errors import BadInput
from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.node import Node
from bridge.nodes import actions, drains
from bridge.slurm import Reservation, SlurmNode, hostlist

FLAGS: Final = ("MAINT", "IGNORE_JOBS")
USERS: Final = ("root",)
"""Who may use it. Slurm wants somebody; root may use every reservation anyway."""
LENGTH_S: Final = 365 * 24 * 3600
"""A year is what Slurm itself makes of a reservation without an end."""
STEP_S: Final = 300


def prefix(cluster: str) -> str:
    """How the names of all reservations of this Kubernetes cluster begin."""
    return f"slurm-bridge-{cluster[:8]}-"


def name_of(start_s: int, cluster: str) -> str:
    """`slurm-bridge-01234567-20261130T120000Z`"""
    return f"{prefix(cluster)}{datetime.fromtimestamp(start_s, UTC):%Y%m%dT%H%M%SZ}"


def start_of(node: Node) -> int | None:
    """From when on nothing may run there, in seconds since the epoch; None if nobody says so."""
    return None if node.end_s is None else int(node.end_s) // STEP_S * STEP_S


def is_over(node: Node, now_s: float) -> bool:
    """Whether that time has come."""
    start_s = start_of(node)
    return start_s is not None and start_s <= now_s


Kept = Mapping[str, frozenset[SlurmNodeName]]
"""The nodes of each of our reservations, by its name."""


def kept(reservations: Iterable[Reservation], cluster: str) -> Kept:
    """Those that are ours, of all that Slurm has."""
    begin = prefix(cluster)
    return {one.name: _names(one) for one in reservations if one.name.startswith(begin)}


def end_of(node: Node, kept: Kept | None, *, cluster: str, now_s: float) -> drains.End:
    """What is known of the node's end; `kept` None: Slurm does not show its reservations."""
    start_s = start_of(node)
    if start_s is None:
        return drains.NO_END
    if start_s <= now_s:
        return drains.End(is_over=True)
    if kept is None:
        return drains.NO_END
    is_in = node.slurm_name in kept.get(name_of(start_s, cluster), ())
    return drains.End(is_unreserved=not is_in)


def plan(
    *,
    nodes: Mapping[NodeName, Node],
    ours: Mapping[SlurmNodeName, SlurmNode],
    kept: Kept,
    cluster: str,
    now_s: float,
) -> list[actions.Action]:
    """What is to be done about our reservations; `ours` are the nodes that we have in Slurm.

    A node leaves one reservation for another only when it is in the other.
    """
    wanted: dict[str, set[SlurmNodeName]] = defaultdict(set)
    starts: dict[str, int] = {}
    for node in nodes.values():
        start_s, known = start_of(node), ours.get(node.slurm_name)
        if start_s is None or known is None or drains.is_retired(node):
            continue
        name = name_of(start_s, cluster)
        if start_s > now_s:
            starts[name] = start_s
            wanted[name].add(known.name)
            _stay(known.name, kept, wanted, unless=name)
        elif not known.drained:
            _stay(known.name, kept, wanted)
    found: list[actions.Action] = []
    for name in sorted(wanted.keys() | kept.keys()):
        members = tuple(sorted(wanted.get(name, ())))
        if name not in kept:
            found.append(actions.CreateReservation(name, starts[name], members))
        elif not members:
            found.append(actions.DeleteReservation(name))
        elif set(members) != kept[name]:
            found.append(actions.ChangeReservation(name, members))
    return found


def _stay(
    node: SlurmNodeName,
    kept: Kept,
    wanted: dict[str, set[SlurmNodeName]],
    unless: str = "",
) -> None:
    """Leaves the node in the reservations that it is in, unless it is in that one already."""
    if unless in kept and node in kept[unless]:
        return
    for name, members in kept.items():
        if node in members:
            wanted[name].add(node)


def _names(reservation: Reservation) -> frozenset[SlurmNodeName]:
    try:
        return frozenset(SlurmNodeName(name) for name in hostlist.expand(reservation.nodes))
    except BadInput:  # too long to be read: all of it is told again
        return frozenset()
