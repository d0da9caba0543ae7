"""Which slot of a gang runs on which of the nodes that Slurm granted.

Where all slots have one shape (else: `mixed`), what a node can take is a number of slots: the
lesser of what the grant there holds (Slurm's side, `grants`) and of what is free there (Kubernetes'
side: other pods, terminating ones, the count of pods, host ports). Slurm says nothing about which
task goes where, so any distribution within these numbers is right, and the gang fits exactly if
they add up. Slots are then dealt in rank order along the topology (`ranks`).
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from bridge.model.gang import Assignment, Gang, Shortfall
from bridge.model.ids import NodeName, PodUid, SlurmNodeName
from bridge.model.job import Allocation, NodeGrant
from bridge.model.scheduling import PodShape
from bridge.placement.filters import failures
from bridge.placement.fit import grants, mixed, pod_affinity, ranks
from bridge.placement.fit import room as rooms
from bridge.placement.fit.room import Counts, Room
from bridge.placement.table.snapshot import Snapshot
from bridge.placement.topology import Fabric


def assign(
    snapshot: Snapshot,
    allocation: Allocation,
    gang: Gang,
    *,
    by_slurm_name: Mapping[SlurmNodeName, NodeName],
    resource_map: Mapping[str, str],
    taken: Mapping[int, NodeName] | None = None,
    holding: frozenset[PodUid] | None = None,
    one_per_node: bool = False,
    topology: str = "",
    shapes: Sequence[PodShape] | None = None,
) -> Assignment | Shortfall:
    """A node for each slot, or why not.

    `by_slurm_name` maps granted nodes to Kubernetes' names. `resource_map` maps extended
    resources to GRES ("gpu", "gpu:h100"); others are Kubernetes' side alone. `taken` are slots
    that have their node; their pods' holdings should be in the table. `holding` are the gang's
    pods that are: where fewer of them hold a node than slots have taken it, room is kept for the
    rest. `one_per_node` keeps slots apart. `topology` is the named one that ranks follow, as the
    job's partition has it ("": the first that each node names). `shapes` (slots,) is what each slot
    asks for, where that differs; None: the gang's shape. A Shortfall names nodes that Kubernetes
    does not know by their Slurm name.
    """
    taken = taken or {}
    needed = gang.size - sum(1 for slot in taken if 0 <= slot < gang.size)
    if not needed:
        return Assignment(tuple(taken[slot] for slot in range(gang.size)))
    fabric = Fabric(snapshot, topology)
    by_node, unknown = grants.by_node(allocation, by_slurm_name)
    kinds = set(shapes or (gang.shape,))
    if len(kinds) > 1:
        return mixed.assign(
            fabric, shapes or (), by_node, unknown,
            resource_map=resource_map, taken=taken, holding=holding, alone=one_per_node,
        )  # fmt: skip
    (shape,) = kinds
    room = _room(snapshot, shape, by_node, resource_map, taken, holding, apart=one_per_node)
    fitting = _fitting_groups(fabric, room, room.now, taken, needed)
    if not fitting:
        for_now = bool(_fitting_groups(fabric, room, room.ever, taken, needed))
        return rooms.shortfall(
            f"{min(int(room.now.sum()), needed)} of {needed} pods fit now",
            rooms.blamed(snapshot, room, for_now=for_now),
            unknown,
            partial(rooms.of_grant, room),
            for_now=for_now,
        )
    return Assignment(ranks.deal_best(fabric, room.nodes, fitting, size=gang.size, taken=taken))


def _room(
    snapshot: Snapshot,
    shape: PodShape,
    by_node: Mapping[NodeName, list[NodeGrant]],
    resource_map: Mapping[str, str],
    taken: Mapping[int, NodeName],
    holding: frozenset[PodUid] | None,
    *,
    apart: bool,
) -> Room:
    nodes = list(by_node)
    rows = snapshot.rows(nodes)
    codes = failures.failures(snapshot, shape, rows, now=True)
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
    now = np.maximum(np.minimum(granted, free), 0) * rooms.USABLE_NOW[codes]
    ever = np.maximum(np.minimum(granted, whole), 0) * rooms.USABLE_EVER[codes]
    return Room(shape, nodes, rows, codes, granted, np.maximum(ever, now), now, scarcest)


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
    room: Room,
    counts: Counts,
    taken: Mapping[int, NodeName],
    needed: int,
) -> list[Counts]:
    """Room by node, within each group of nodes that can take all the slots together."""
    shape = room.shape
    if not shape.affinity_keys and not shape.anti_affinity_keys:
        return [counts] if int(counts.sum()) >= needed else []
    snapshot = fabric.snapshot
    places = snapshot.rows(list(taken.values()))
    places = places[places >= 0]
    by_rank = fabric.order(room.nodes)
    fitting = []
    for mask in pod_affinity.groups(snapshot, room.rows, shape.affinity_keys, places):
        cut = pod_affinity.apart(
            snapshot,
            room.rows,
            np.where(mask, counts, 0),
            shape.anti_affinity_keys,
            places,
            first=by_rank,
        )
        if int(cut.sum()) >= needed:
            fitting.append(cut)
    return fitting
