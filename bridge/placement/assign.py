"""Which slot of a gang runs on which of the nodes that Slurm granted.

All slots have one shape, so what a node can take is a number of slots: the lesser of what the
grant there holds (Slurm's side, `grants`) and of what is free there (Kubernetes' side: other
pods, terminating ones, the count of pods, host ports). Slurm says nothing about which task goes
where, so any distribution within these numbers is right, and the gang fits exactly if they add
up. Slots are then dealt in rank order along the topology (`ranks`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from bridge.model.gang import Assignment, Gang, Shortfall
from bridge.model.ids import NodeName, PodUid, SlurmNodeName
from bridge.model.job import Allocation, NodeGrant
from bridge.model.scheduling import PodShape, Requirement
from bridge.placement import failures, grants, members, ranks, reasons
from bridge.placement.failures import Predicate
from bridge.placement.snapshot import Snapshot
from bridge.placement.topology import Fabric

Counts = npt.NDArray[np.int64]
"""(granted nodes,) slots."""

_USABLE_NOW = np.isin(list(Predicate), (Predicate.FITS, Predicate.FREE, Predicate.PORTS))
"""By code. What FREE and PORTS are about is counted in slots, which then are none."""
_USABLE_EVER = np.isin(list(Predicate), (Predicate.FITS, *failures.PASSING))
"""By code: the node can take the shape, or could if what passes had passed."""

_NAMED = 5
"""Nodes named in a sentence; the rest is counted."""


@dataclass(frozen=True, slots=True)
class _Room:
    """Slots that each granted node can take beside those that have their node already.

    `granted`: by what Slurm gave; `ever`: also by the node, were all other pods gone; `now`: also
    by what is free. `codes`: the predicate that a node failed first. `scarcest` says of what the
    grants hold least.
    """

    nodes: list[NodeName]
    rows: npt.NDArray[np.intp]
    codes: failures.Codes
    granted: Counts
    ever: Counts
    now: Counts
    scarcest: Callable[[], str]


def assign(
    snapshot: Snapshot,
    allocation: Allocation,
    gang: Gang,
    *,
    by_slurm_name: Mapping[SlurmNodeName, NodeName],
    resource_map: Mapping[str, str],
    taken: Mapping[int, NodeName] | None = None,
    holding: frozenset[PodUid] | None = None,
    prefer: Mapping[int, NodeName] | None = None,
    one_per_node: bool | None = None,
    also: Sequence[Requirement] = (),
    topology: str = "",
) -> Assignment | Shortfall:
    """A node for each slot, or why not.

    `by_slurm_name` maps granted nodes to Kubernetes' names. `resource_map` maps extended
    resources to GRES ("gpu", "gpu:h100"); others are Kubernetes' side alone. `taken` are slots
    that have their node; their pods' holdings should be in the table. `holding` are the gang's
    pods that are: where fewer of them hold a node than slots have taken it, room is kept for the
    rest. `prefer` are nodes that slots had before. `one_per_node` keeps slots apart; None: what
    the gang's own `exclusive` says. `also` are requirements that other pods' places make
    (`domains`). `topology` is the named one that ranks follow, as the job's partition has it ("":
    the first that each node names). A Shortfall names nodes that Kubernetes does not know by their
    Slurm name.
    """
    taken = taken or {}
    needed = gang.size - sum(1 for slot in taken if 0 <= slot < gang.size)
    if not needed:
        return Assignment(tuple(taken[slot] for slot in range(gang.size)))
    apart = bool(gang.parameters.exclusive) if one_per_node is None else one_per_node
    fabric = Fabric(snapshot, topology)
    by_node, unknown = _by_node(allocation, by_slurm_name)
    room = _room(snapshot, gang.shape, by_node, resource_map, taken, holding, also, apart=apart)
    fitting = _fitting_groups(fabric, gang.shape, room, room.now, taken, needed)
    if not fitting:
        for_now = bool(_fitting_groups(fabric, gang.shape, room, room.ever, taken, needed))
        return _shortfall(snapshot, gang.shape, room, unknown, needed, for_now=for_now)
    return Assignment(
        ranks.deal_best(
            fabric, room.nodes, fitting, size=gang.size, taken=taken, prefer=prefer or {}
        )
    )


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
    taken: Mapping[int, NodeName],
    holding: frozenset[PodUid] | None,
    also: Sequence[Requirement],
    *,
    apart: bool,
) -> _Room:
    nodes = list(by_node)
    rows = snapshot.rows(nodes)
    codes = failures.failures(snapshot, shape, rows, now=True, also=also)
    granted = grants.slots(list(by_node.values()), shape, resource_map)
    scarcest = partial(grants.scarcest, list(by_node.values()), shape, resource_map)
    if apart:
        granted = np.minimum(granted, 1)
    free = failures.fitting(snapshot, shape.requests, rows, snapshot.used)
    whole = failures.fitting(snapshot, shape.requests, rows, snapshot.lasting)
    if shape.host_ports:
        free = np.minimum(free, 1 - failures.ports_taken(snapshot, shape, rows))
        whole = np.minimum(whole, 1)
    if taken:
        here = _per_node(nodes, list(taken.values()))
        granted = granted - here
        whole = whole - here
        if holding is not None:
            free = free - np.maximum(here - _holders(snapshot, rows, holding), 0)
    granted = np.maximum(granted, 0)
    now = np.maximum(np.minimum(granted, free), 0) * _USABLE_NOW[codes]
    ever = np.maximum(np.minimum(granted, whole), 0) * _USABLE_EVER[codes]
    return _Room(nodes, rows, codes, granted, np.maximum(ever, now), now, scarcest)


def _per_node(nodes: list[NodeName], places: Sequence[NodeName]) -> Counts:
    """(nodes,) how often each is in `places`."""
    position = {node: index for index, node in enumerate(nodes)}
    found = [position[node] for node in places if node in position]
    return np.bincount(np.array(found, dtype=np.intp), minlength=len(nodes))


def _holders(snapshot: Snapshot, rows: npt.NDArray[np.intp], pods: frozenset[PodUid]) -> Counts:
    """(rows,) how many of the pods hold something there."""
    held = [holding.row for pod in pods if (holding := snapshot.pods.get(pod)) is not None]
    counts = np.bincount(np.array(held, dtype=np.intp), minlength=snapshot.size)
    return counts[rows]


def _fitting_groups(
    fabric: Fabric,
    shape: PodShape,
    room: _Room,
    counts: Counts,
    taken: Mapping[int, NodeName],
    needed: int,
) -> list[Counts]:
    """Room by node, within each group of nodes that can take all the slots together."""
    if not shape.together and not shape.apart:
        return [counts] if int(counts.sum()) >= needed else []
    snapshot = fabric.snapshot
    places = snapshot.rows(list(taken.values()))
    places = places[places >= 0]
    by_rank = fabric.order(room.nodes)
    fitting = []
    for mask in members.groups(snapshot, room.rows, shape.together, places):
        cut = members.apart(
            snapshot, room.rows, np.where(mask, counts, 0), shape.apart, places, first=by_rank
        )
        if int(cut.sum()) >= needed:
            fitting.append(cut)
    return fitting


def _shortfall(
    snapshot: Snapshot,
    shape: PodShape,
    room: _Room,
    unknown: list[SlurmNodeName],
    needed: int,
    *,
    for_now: bool,
) -> Shortfall:
    """Who is in the way, and whether waiting helps."""
    wanted, have = (room.ever, room.now) if for_now else (room.granted, room.ever)
    at_fault = np.flatnonzero(have < wanted)
    blamed = [(room.nodes[index], _why(snapshot, shape, room, int(index))) for index in at_fault]
    if not for_now:
        blamed += [(NodeName(node), "Slurm has it, Kubernetes does not") for node in unknown]
    told = [f"{node}: {why}" for node, why in blamed[:_NAMED]]
    if len(blamed) > _NAMED:
        told.append(f"and {len(blamed) - _NAMED} more nodes")
    if not told:
        told = [_of_grant(shape, room)]
    fits = min(int(room.now.sum()), needed)
    return Shortfall(
        reason=f"{fits} of {needed} pods fit now; " + "; ".join(told),
        for_now=for_now,
        nodes=tuple(node for node, _ in blamed),
    )


def _why(snapshot: Snapshot, shape: PodShape, room: _Room, index: int) -> str:
    code = Predicate(int(room.codes[index]))
    row = int(room.rows[index])
    if code != Predicate.FITS:
        return reasons.reason(snapshot, shape, row, code)
    why = "a host port each" if shape.host_ports else reasons.scarcest(snapshot, shape, row)
    return f"takes {room.now[index]} of the {room.granted[index]} that Slurm granted there ({why})"


def _of_grant(shape: PodShape, room: _Room) -> str:
    holds = int(room.granted.sum())
    keys = ", ".join((*shape.together, *shape.apart))
    if keys:
        return f"the grant holds {holds} of them, but not with their pod (anti-)affinity by {keys}"
    return f"the grant holds {holds} of them ({room.scarcest()})"
