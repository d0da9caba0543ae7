"""Which slot of a gang runs on which of the nodes that Slurm granted.

All slots have one shape, so what a node can take is a number of slots: the lesser of what the
grant there holds (Slurm's side) and of what is free there (Kubernetes' side: other pods,
terminating ones, the count of pods, host ports). Slurm says nothing about which task goes where,
so any distribution within these numbers is right, and the gang fits exactly if they add up.
Slots are then dealt in rank order along the topology (`ranks`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge.model.gang import Assignment, Gang, Shortfall
from bridge.model.ids import NodeName, PodUid, SlurmNodeName
from bridge.model.job import Allocation, NodeGrant
from bridge.model.scheduling import PodShape
from bridge.placement import grants, predicates, ranks
from bridge.placement import snapshot as views
from bridge.placement.predicates import Predicate
from bridge.placement.snapshot import NO_ROW, Snapshot

Counts = npt.NDArray[np.int64]
"""(granted nodes,) slots."""

_NAMED = 5
"""Nodes named in a sentence; the rest is counted."""


@dataclass(frozen=True, slots=True)
class _Room:
    """Slots that each granted node can take beside those that have their node already.

    `granted`: by what Slurm gave; `ever`: also by the node, were all other pods gone; `now`: also
    by what is free. `codes`: the predicate that a node failed first.
    """

    nodes: list[NodeName]
    rows: npt.NDArray[np.intp]
    codes: predicates.Codes
    granted: Counts
    ever: Counts
    now: Counts


def assign(
    snapshot: Snapshot,
    allocation: Allocation,
    gang: Gang,
    *,
    by_slurm_name: Mapping[SlurmNodeName, NodeName],
    resource_map: Mapping[str, str],
    taken: Mapping[int, NodeName] | None = None,
    holding: frozenset[PodUid] = frozenset(),
    prefer: Mapping[int, NodeName] | None = None,
    one_per_node: bool | None = None,
) -> Assignment | Shortfall:
    """A node for each slot, or why not.

    `by_slurm_name` maps granted nodes to Kubernetes' names. `resource_map` maps extended
    resources to GRES ("gpu", "gpu:h100"); others are Kubernetes' side alone. `taken` are slots
    that have their node (their pods' holdings are in the table; `holding` are those pods: what
    they hold does not go away). `prefer` are nodes that slots had before. `one_per_node` keeps
    slots apart; None: what the gang's own `exclusive` says.
    """
    taken = taken or {}
    open_slots = [slot for slot in range(gang.size) if slot not in taken]
    if not open_slots:
        return Assignment(tuple(taken[slot] for slot in range(gang.size)))
    apart = bool(gang.parameters.exclusive) if one_per_node is None else one_per_node
    by_node, unknown = _by_node(allocation, by_slurm_name)
    room = _room(
        snapshot, gang.shape, by_node, resource_map, taken=taken, holding=holding, apart=apart
    )
    if int(room.now.sum()) < len(open_slots):
        return _shortfall(snapshot, gang.shape, room, unknown, len(open_slots))
    order = ranks.deal(
        snapshot, room.nodes, room.now, size=gang.size, taken=taken, prefer=prefer or {}
    )
    return Assignment(tuple(order))


def _by_node(
    allocation: Allocation, by_slurm_name: Mapping[SlurmNodeName, NodeName]
) -> tuple[dict[NodeName, list[NodeGrant]], list[SlurmNodeName]]:
    """The grants by Kubernetes node, and the Slurm nodes that Kubernetes does not have."""
    by_node: dict[NodeName, list[NodeGrant]] = {}
    unknown = []
    for grant in allocation.nodes:
        node = by_slurm_name.get(grant.node)
        if node is None:
            unknown.append(grant.node)
        else:
            by_node.setdefault(node, []).append(grant)
    return by_node, unknown


def _room(
    snapshot: Snapshot,
    shape: PodShape,
    by_node: Mapping[NodeName, list[NodeGrant]],
    resource_map: Mapping[str, str],
    *,
    taken: Mapping[int, NodeName],
    holding: frozenset[PodUid],
    apart: bool,
) -> _Room:
    nodes = list(by_node)
    rows = snapshot.rows(nodes)
    codes = predicates.failures(snapshot, shape, rows, now=True)
    here = _count(nodes, taken)
    most = 1 if apart else len(taken) + grants.UNBOUNDED
    granted = np.minimum(grants.slots(list(by_node.values()), shape, resource_map), most) - here
    requests = views.asks(snapshot.resources, shape.requests)
    free, whole = (
        _fitting(snapshot, requests, rows, held) for held in (snapshot.used, snapshot.lasting)
    )
    if shape.host_ports:
        port_taken = predicates.ports_taken(snapshot, shape)[rows]
        free, whole = np.minimum(free, 1 - port_taken), np.minimum(whole, 1)
    whole = np.minimum(whole - here, _beside(snapshot, requests, rows, holding))
    fit_for = np.isin(codes, (Predicate.FITS, *predicates.PASSING))
    ready = np.isin(codes, (Predicate.FITS, Predicate.FREE, Predicate.PORTS))
    ever = np.where(fit_for, np.clip(np.minimum(granted, whole), 0, None), 0)
    now = np.where(ready, np.clip(np.minimum(granted, free), 0, None), 0)
    return _Room(nodes, rows, codes, np.clip(granted, 0, None), np.maximum(ever, now), now)


def _count(nodes: list[NodeName], taken: Mapping[int, NodeName]) -> Counts:
    """(nodes,) taken slots on each."""
    position = {node: index for index, node in enumerate(nodes)}
    places = [position[node] for node in taken.values() if node in position]
    return np.bincount(np.array(places, dtype=np.intp), minlength=len(nodes))


def _fitting(
    snapshot: Snapshot,
    requests: tuple[views.Ask, ...],
    rows: npt.NDArray[np.intp],
    held: npt.NDArray[np.int64],
) -> Counts:
    """(rows,) pods of these requests that fit beside what is held."""
    fitting = np.full(len(rows), grants.UNBOUNDED, dtype=np.int64)
    for ask in requests:
        fitting = np.minimum(fitting, predicates.room(snapshot, ask, rows, held) // ask.amount)
    return fitting


def _beside(
    snapshot: Snapshot,
    requests: tuple[views.Ask, ...],
    rows: npt.NDArray[np.intp],
    holding: frozenset[PodUid],
) -> Counts:
    """(rows,) pods that fit beside lasting pods and those of `holding`."""
    held = snapshot.lasting[:, rows].copy()
    position = {row: index for index, row in enumerate(rows.tolist())}
    for pod in holding:
        its = snapshot.pods.get(pod)
        if its is not None and not its.lasting and its.row in position:
            for ask in views.asks(snapshot.resources, its.shape.requests):
                held[ask.line, position[its.row]] += ask.amount
    fitting = np.full(len(rows), grants.UNBOUNDED, dtype=np.int64)
    for ask in requests:
        if ask.line == NO_ROW:
            return np.zeros(len(rows), dtype=np.int64)
        left = snapshot.allocatable[ask.line, rows] - held[ask.line]
        fitting = np.minimum(fitting, left // ask.amount)
    return fitting


def _shortfall(
    snapshot: Snapshot, shape: PodShape, room: _Room, unknown: list[SlurmNodeName], needed: int
) -> Shortfall:
    """Who is in the way, and whether waiting helps."""
    for_now = int(room.ever.sum()) >= needed
    wanted = room.ever if for_now else room.granted
    have = room.now if for_now else room.ever
    at_fault = np.flatnonzero(have < wanted)
    told = [
        f"{room.nodes[index]}: {_why(snapshot, shape, room, index)}" for index in at_fault[:_NAMED]
    ]
    if not for_now:
        told += [f"{node}: Slurm knows it, Kubernetes does not" for node in unknown[:_NAMED]]
    more = len(at_fault) + (0 if for_now else len(unknown)) - len(told)
    told += [f"and {more} more"] if more > 0 else []
    fits = int(room.now.sum())
    if not told:
        told = [f"the grant holds {int(room.granted.sum())} of them"]
    return Shortfall(
        reason=f"{fits} of {needed} pods fit now; " + "; ".join(told),
        for_now=for_now,
        nodes=tuple(room.nodes[index] for index in at_fault),
    )


def _why(snapshot: Snapshot, shape: PodShape, room: _Room, index: int) -> str:
    code = Predicate(int(room.codes[index]))
    row = int(room.rows[index])
    if code == Predicate.ABSENT:
        return "not known to Kubernetes"
    if code != Predicate.FITS:
        return predicates.reason(snapshot, shape, row, code)
    return f"takes {room.now[index]} of the {room.granted[index]} that Slurm granted there"
