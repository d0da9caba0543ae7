"""What slurmctld makes of a wish to reserve: a reservation, changed or new, or a refusal."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bridge.sim.slurm import features
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.description import node_names
from bridge.sim.slurm.errors import (
    INVALID_NODE_NAME,
    INVALID_PARTITION,
    INVALID_RESERVATION,
    INVALID_TIME,
    NODE_CONFIGURATION_UNAVAILABLE,
    NODES_BUSY,
    NOT_SUPPORTED,
    RESERVATION_BEGUN,
    RESERVATION_OVERLAP,
    UNSPECIFIED,
    USER_ID_MISSING,
    NotEmulated,
    Refused,
)
from bridge.sim.slurm.nodes import Node
from bridge.sim.slurm.reservations import SHARING, Reservation

_LATEST_S = 600.0
"""How long ago a reservation may have begun when it is made."""
_LATEST_MOVED_S = 60.0
"""How far back the begin of one may be moved."""
_NO = "No reservation created."


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for; None and empty where nothing is said. Times are epoch seconds."""

    name: str
    start_s: float | None = None
    end_s: float | None = None
    duration_s: float | None = None
    nodes: tuple[str, ...] = ()
    """Words of a host list, or ALL."""
    node_count: int = 0
    partition: str = ""
    users: tuple[str, ...] = ()
    features: str = ""
    flags: frozenset[str] = frozenset()
    """With NO_ before those to take away."""


def missing(wish: Wish) -> str:
    """What a new one lacks, in slurmrestd's words; "" for nothing."""
    start, end, duration = wish.start_s, wish.end_s, wish.duration_s
    if start is None:
        return f"A start time must be given.  {_NO}"
    if end is None and duration is None:
        return f"An end time or duration must be given.  {_NO}"
    if end is not None and start > end:
        return f"Start time cannot be after end time.  {_NO}"
    if end is not None and duration is not None and start + duration != end:
        return f"StartTime + Duration does not equal EndTime.  {_NO}"
    if not wish.nodes and not wish.node_count:
        return f"CoreCnt, Nodes, NodeCnt, TRES or Watts must be specified.  {_NO}"
    if not wish.users:
        whom = "Users/Groups, AllowedPartitions, QOS and/or Accounts"
        return f"Either {whom} must be specified.  {_NO}"
    return ""


def create(cluster: Cluster, wish: Wish, users: Mapping[str, int], now: float) -> None:
    """Make one of a wish that misses nothing. Raises Refused."""
    start_s = wish.start_s or 0.0
    end_s = start_s + (wish.duration_s or 0.0) if wish.end_s is None else wish.end_s
    if start_s < now - _LATEST_S or (wish.end_s is not None and end_s < now):
        raise Refused(INVALID_TIME)
    default = next((one.name for one in cluster.partitions.values() if one.default), "")
    partition = wish.partition or ("" if wish.nodes else default)
    if partition and partition not in cluster.partitions:
        raise Refused(INVALID_PARTITION)
    if not set(wish.users) <= users.keys():
        raise Refused(UNSPECIFIED)
    flags = _flags(frozenset(), wish)
    made = Reservation(
        name=wish.name,
        start_s=start_s,
        end_s=end_s,
        nodes=(),
        cores=0,
        cpus=0,
        users={name: users[name] for name in wish.users},
        flags=flags,
        partition=partition,
        features="" if wish.nodes else wish.features,
    )
    if wish.nodes:
        _give(made, _named(cluster, wish, INVALID_NODE_NAME))
        _refuse_conflicts(cluster, made)
    else:
        _give(made, _found(cluster, made, wish))
    cluster.reserve(made, now)


def change(
    cluster: Cluster, old: Reservation, wish: Wish, users: Mapping[str, int], now: float
) -> None:
    """Change one in what the wish says. Raises Refused; then nothing has changed."""
    if wish.partition and wish.partition not in cluster.partitions:
        raise Refused(INVALID_PARTITION)
    if not set(wish.users) <= users.keys():
        raise Refused(USER_ID_MISSING)
    if wish.features:
        raise Refused(NOT_SUPPORTED)
    if wish.node_count:
        raise NotEmulated("another number of nodes for a reservation")
    start_s, end_s = _times(old, wish, now)
    new = replace(
        old,
        start_s=start_s,
        end_s=end_s,
        users={name: users[name] for name in wish.users} or old.users,
        flags=_flags(old.flags, wish),
        partition=wish.partition or old.partition,
    )
    if wish.nodes:
        _give(new, _named(cluster, wish, INVALID_RESERVATION))
    if end_s < now:
        raise Refused(INVALID_TIME)
    _refuse_conflicts(cluster, new)
    cluster.reserve(new, now)


def _times(old: Reservation, wish: Wish, now: float) -> tuple[float, float]:
    """A start alone moves the end with it."""
    start_s, end_s = old.start_s, old.end_s
    if wish.start_s is not None:
        if old.begun:
            raise Refused(RESERVATION_BEGUN)
        if wish.start_s < now - _LATEST_MOVED_S:
            raise Refused(INVALID_TIME)
        start_s, end_s = wish.start_s, end_s + wish.start_s - start_s
    if wish.end_s is not None:
        end_s = wish.end_s
    if wish.duration_s is not None:
        end_s = start_s + wish.duration_s
    if end_s < start_s:
        raise Refused(INVALID_TIME)
    return start_s, end_s


def _flags(old: frozenset[str], wish: Wish) -> frozenset[str]:
    taken = {flag.removeprefix("NO_") for flag in wish.flags if flag.startswith("NO_")}
    added = {flag for flag in wish.flags if not flag.startswith("NO_")}
    if wish.nodes:
        added.add("SPEC_NODES")
    if wish.nodes == ("ALL",):
        added.add("ALL_NODES")
    return (old | added) - taken


def _give(reservation: Reservation, nodes: Iterable[Node]) -> None:
    """Set its nodes, in the table's order."""
    ordered = sorted(nodes, key=lambda node: node.slot)
    reservation.nodes = tuple(node.name for node in ordered)
    reservation.cores = sum(node.conf.sockets * node.conf.cores for node in ordered)
    reservation.cpus = sum(node.conf.cpus for node in ordered)


def _named(cluster: Cluster, wish: Wish, unknown: int) -> list[Node]:
    if wish.nodes == ("ALL",):
        return list(cluster.table)
    nodes = [cluster.table.get(name) for name in set(node_names(list(wish.nodes)))]
    found = [node for node in nodes if node is not None]
    if len(found) < len(nodes):
        raise Refused(unknown)
    return found


def _found(cluster: Cluster, reservation: Reservation, wish: Wish) -> list[Node]:
    """The first nodes of its partition that nobody else will have then."""
    expression = features.parse(wish.features)
    partition = cluster.partitions[reservation.partition]
    taken = {name for other in _overlapping(cluster, reservation) for name in other.nodes}
    there = [
        node
        for node in cluster.table
        if partition.spans(node.counted_features)
        and (expression is None or expression.matches(node.features))
        and node.name not in taken
    ]
    if len(there) < wish.node_count:
        raise Refused(NODE_CONFIGURATION_UNAVAILABLE)
    busy = _busy(cluster, reservation)
    free = [node for node in there if node.usable and node.name not in busy]
    if len(free) < wish.node_count:
        raise Refused(NODES_BUSY)
    return free[: wish.node_count]


def _refuse_conflicts(cluster: Cluster, reservation: Reservation) -> None:
    nodes = set(reservation.nodes)
    if any(nodes & set(other.nodes) for other in _overlapping(cluster, reservation)):
        raise Refused(RESERVATION_OVERLAP)
    if nodes & _busy(cluster, reservation):
        raise Refused(NODES_BUSY)


def _overlapping(cluster: Cluster, reservation: Reservation) -> list[Reservation]:
    """Others at the same time, unless one of the two may lie over the other."""
    if reservation.flags & SHARING:
        return []
    return [
        other
        for other in cluster.reservations
        if other.name != reservation.name
        and not other.flags & SHARING
        and other.meets(reservation.start_s, reservation.end_s)
    ]


def _busy(cluster: Cluster, reservation: Reservation) -> set[str]:
    """Nodes of jobs, not its own, that would still run when it begins."""
    if "IGNORE_JOBS" in reservation.flags:
        return set()
    return {
        name
        for job in cluster.running
        if job.end_s > reservation.start_s and job.request.reservation != reservation.name
        for name in job.nodes
    }
