"""Which slot of a gang runs on which of the nodes that Slurm granted.

If all slots are alike (else see `mixed`), each node can take a number of slots: the lesser of what
the grant holds there (Slurm's side, `grants`) and of what is free there (Kubernetes' side: other
pods, terminating ones included, the count of pods, host ports). Slurm does not say which task goes
where, so any distribution within these numbers is right that the pods' terms about other pods allow
(`alike`); without such terms the gang fits exactly if the sum is enough. Slots are then dealt in
rank order along the topology (`ranks`).
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from bridge.model.gang import Assignment, Gang, Shortfall
from bridge.model.ids import NodeName, PodUid, SlurmNodeName
from bridge.model.job import Allocation, NodeGrant
from bridge.model.scheduling import PodShape
from bridge.placement import filters
from bridge.placement.filters import uncounted
from bridge.placement.fit import alike, grants, mixed, neighbours, room
from bridge.placement.fit.neighbours import Kind
from bridge.placement.fit.room import Counts, NodeCapacity
from bridge.placement.table import Snapshot
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
    """Find a node for each slot, or say why there is none.

    `by_slurm_name` maps granted nodes to Kubernetes' names; a Shortfall names nodes that Kubernetes
    does not have by their Slurm name. `resource_map` maps extended resources to GRES ("gpu",
    "gpu:h100"); all others count on Kubernetes' side alone.

    `taken` are slots that have their node already; the table should know what their pods hold. A
    slot that nobody needs is taken on no node ("").
    `holding` are the gang's pods that the table knows: if fewer of them hold a node than slots have
    taken it, room is kept for the rest.

    `one_per_node` allows one slot on each node. `topology` is the named topology that ranks follow,
    as the job's partition has it ("": the first one of each node). `shapes` (slots,) is what each
    slot asks for, if that differs; None means the gang's shape.
    """
    taken = taken or {}
    needed = gang.size - sum(1 for slot in taken if 0 <= slot < gang.size)
    if not needed:
        return Assignment(tuple(taken[slot] for slot in range(gang.size)))
    fabric = Fabric(snapshot, topology)
    by_node, unknown = grants.by_node(allocation, by_slurm_name)
    kinds, of_slot = _kinds(snapshot, gang, shapes)
    if len(kinds) > 1:
        return mixed.assign(
            fabric, kinds, of_slot, by_node, unknown,
            resource_map=resource_map, taken=taken, holding=holding, one_per_node=one_per_node,
        )  # fmt: skip
    shape, identity = kinds[0]
    if identity is not None:
        granted = list(by_node)
        by_node = {granted[at]: by_node[granted[at]] for at in fabric.order(granted)}
    capacity = _capacity(
        snapshot, shape, by_node, resource_map, taken, holding, one_per_node=one_per_node
    )
    if identity is None:
        return alike.deal(fabric, capacity, unknown, needed=needed, size=gang.size, taken=taken)
    return alike.place(
        fabric, capacity, identity, unknown, taken=taken, holding=holding, size=gang.size
    )


def _kinds(
    snapshot: Snapshot, gang: Gang, shapes: Sequence[PodShape] | None
) -> tuple[tuple[Kind, ...], npt.NDArray[np.intp]]:
    """The kinds of slots, and (slots,) which one each slot is. Who their pods are is left out if no
    term is about that.
    """
    every = [gang.shape] if shapes is None else shapes
    whose = [gang.identity] if shapes is None else gang.identities
    # Most slots share their objects, so that few have to be compared by value.
    pairs = {
        (id(shape), id(who)): Kind(shape, who) for shape, who in zip(every, whose, strict=True)
    }
    if not any(neighbours.has_terms(snapshot, kind) for kind in dict.fromkeys(pairs.values())):
        pairs = {key: Kind(kind.shape, None) for key, kind in pairs.items()}
    number = {kind: at for at, kind in enumerate(dict.fromkeys(pairs.values()))}
    of_pair = {key: number[kind] for key, kind in pairs.items()}
    of_slot = [of_pair[id(one), id(who)] for one, who in zip(every, whose, strict=True)]
    return tuple(number), np.array(of_slot, dtype=np.intp)


def _capacity(
    snapshot: Snapshot,
    shape: PodShape,
    by_node: Mapping[NodeName, list[NodeGrant]],
    resource_map: Mapping[str, str],
    taken: Mapping[int, NodeName],
    holding: frozenset[PodUid] | None,
    *,
    one_per_node: bool,
) -> NodeCapacity:
    nodes = list(by_node)
    rows = snapshot.rows(nodes)
    codes = filters.first_failures(snapshot, shape, rows, now=True)
    granted = grants.slots(list(by_node.values()), shape, resource_map)
    scarcest = partial(grants.scarcest, list(by_node.values()), shape, resource_map)
    if one_per_node:
        granted = np.minimum(granted, 1)
    free = filters.free(snapshot, shape, rows)
    whole = filters.fitting(snapshot, shape.requests, rows, snapshot.staying)
    beside = uncounted.beside(snapshot, shape, rows, resource_map)
    if taken:
        mine = _count_by_node(nodes, list(taken.values()))
        granted = granted - mine
        whole = whole - mine
        if holding is not None:
            to_come = np.maximum(mine - _count_holders(snapshot, rows, holding), 0)
            free, beside = free - to_come, beside - to_come
    whole = np.minimum(whole, beside)
    granted = np.maximum(granted, 0)
    now = np.maximum(np.minimum(granted, free), 0) * room.USABLE_NOW[codes]
    ever = np.maximum(np.minimum(granted, whole), 0) * room.USABLE_EVER[codes]
    return NodeCapacity(shape, nodes, rows, codes, granted, np.maximum(ever, now), now, scarcest)


def _count_by_node(nodes: list[NodeName], places: Sequence[NodeName]) -> Counts:
    """(nodes,) how often each node is in `places`."""
    position = {node: index for index, node in enumerate(nodes)}
    positions = [position[node] for node in places if node in position]
    return np.bincount(np.array(positions, dtype=np.intp), minlength=len(nodes))


def _count_holders(
    snapshot: Snapshot, rows: npt.NDArray[np.intp], pods: frozenset[PodUid]
) -> Counts:
    """(rows,) how many of the pods hold something on each row."""
    held = [holding.row for pod in pods if (holding := snapshot.pods.get(pod)) is not None]
    counts = np.bincount(np.array(held, dtype=np.intp), minlength=snapshot.size)
    return counts[rows]
