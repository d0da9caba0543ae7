"""Nodes for a gang whose pods have terms about each other, chosen before Slurm is asked.

A job can't say "two nodes of each zone" or "all nodes of one zone": Slurm would pack the gang
where it likes, and each grant would go back. It can name nodes. So nodes are chosen on which the
gang can be together, by what is free now, and Slurm is asked for just these. If no nodes that the
cluster has could ever do, that is known at once.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bridge import names
from bridge.model.ids import NodeName
from bridge.placement.filters import Codes, Predicate, failures, pod_selectors, uncounted
from bridge.placement.fit import alike, room
from bridge.placement.fit.neighbours import Counts, Kind
from bridge.placement.fit.room import NodeCapacity
from bridge.placement.table import Snapshot
from bridge.placement.table.placed_pods import PlacedPodStore
from bridge.placement.table.snapshot import NO_ROW
from bridge.placement.topology import Fabric

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Nodes on which a gang can be together, with the most pods that one of them takes then."""

    names: tuple[NodeName, ...]
    tasks_per_node: int


def need_choice(snapshot: Snapshot, kind: Kind) -> bool:
    """Whether pods of this kind have terms about each other that a job can't say. It can say that
    each has a node of its own.
    """
    return kind.identity is not None and (
        _are_apart(snapshot, kind) or _want_each_other(snapshot, kind)
    )


def choose(
    snapshot: Snapshot,
    kind: Kind,
    size: int,
    nodes: Collection[NodeName],
    *,
    resource_map: Mapping[str, str],
    in_slurm: tuple[Counts, Counts],
    most_nodes: int = 0,
) -> Chosen | str:
    """The nodes, among these, on which `size` pods of the kind can be together, now if possible;
    else as soon as Slurm's own jobs leave them room and pods that are being deleted are gone. A
    text says why there are certainly none; it is empty if that is not known.

    `in_slurm` (nodes,) each says how many pods Slurm gives each node room for now, and how many
    ever. Pods that have to be apart get a node each, if there are so many: of several nodes Slurm
    decides how many tasks each gets. There are more than `most_nodes` nodes only if that is too few
    for the gang; 0 is no limit.
    """
    rows = snapshot.rows(tuple(nodes))
    now, ever = in_slurm
    codes = failures.first_failures(snapshot, kind.shape, rows, now=True)
    free = _free(snapshot, kind, rows, codes, now)
    later = uncounted.room(snapshot, kind.shape, rows, resource_map) * room.USABLE_EVER[codes]
    later = np.minimum(later, ever)
    apart = (np.minimum(free, 1), free) if _are_apart(snapshot, kind) else (free,)
    larger: Chosen | None = None
    found: Chosen | int = 0
    for counts in (*apart, later):
        found = _place(
            snapshot, kind, size, rows, np.maximum(counts, 0), ending=counts is not later
        )
        if isinstance(found, Chosen):
            if not 0 < most_nodes < len(found.names):
                return found
            larger = larger or found
    return larger or (found if isinstance(found, Chosen) else _why(kind, found, size))


def are_free(snapshot: Snapshot, kind: Kind, size: int, nodes: Chosen, *, in_slurm: Counts) -> bool:
    """Whether `size` pods of the kind can be together, now, on all of the nodes that were chosen
    for them. `in_slurm` (nodes,) is how many pods Slurm gives each of them room for now."""
    rows = snapshot.rows(nodes.names)
    if (rows == NO_ROW).any():
        return False
    codes = failures.first_failures(snapshot, kind.shape, rows, now=True)
    free = _free(snapshot, kind, rows, codes, np.minimum(in_slurm, nodes.tasks_per_node))
    found = _place(snapshot, kind, size, rows, np.maximum(free, 0), ending=True)
    return isinstance(found, Chosen) and (
        set(found.names) == set(nodes.names) and found.tasks_per_node == nodes.tasks_per_node
    )


def why_never(snapshot: Snapshot, kind: Kind, size: int, nodes: Collection[NodeName]) -> str:
    """Why `size` pods of the kind certainly can't ever be together on these nodes, were all other
    pods gone; "" else, and where nodes are too few for pods without any terms.
    """
    if kind.shape.pod_affinity and not _want_each_other(snapshot, kind):
        kind = kind._replace(shape=replace(kind.shape, pod_affinity=()))
    if kind.identity is None or not kind.shape.pod_terms:
        return ""
    empty = replace(snapshot, placed=PlacedPodStore().publish())
    rows = empty.rows(tuple(nodes))
    counts = uncounted.most(empty, kind.shape, rows)
    if int(counts.sum()) < size:
        return ""
    found = _place(empty, kind, size, rows, counts, ending=False)
    return "" if isinstance(found, Chosen) else _why(kind, found, size)


def _free(snapshot: Snapshot, kind: Kind, rows: Rows, codes: Codes, in_slurm: Counts) -> Counts:
    """(rows,) how many pods of the kind each node takes now."""
    free = failures.free(snapshot, kind.shape, rows)
    counts: Counts = np.minimum(free * room.USABLE_NOW[codes], in_slurm)
    return counts


def _are_apart(snapshot: Snapshot, kind: Kind) -> bool:
    """Whether the pods spread themselves, or keep themselves out of a domain larger than a node."""
    shape, identity = kind
    keys = pod_selectors.keys_apart(snapshot.namespaces, shape, identity)
    return any(key != names.HOSTNAME_LABEL for key in keys) or any(
        pod_selectors.selects(snapshot.namespaces, one.selector, identity)
        for one in shape.spread
        if identity is not None
    )


def _want_each_other(snapshot: Snapshot, kind: Kind) -> bool:
    shape, identity = kind
    return bool(shape.pod_affinity) and all(
        identity is not None and pod_selectors.selects(snapshot.namespaces, one.selector, identity)
        for one in shape.pod_affinity
    )


def _place(
    snapshot: Snapshot, kind: Kind, size: int, rows: Rows, counts: Counts, *, ending: bool
) -> Chosen | int:
    """Nodes, or a number of pods that certainly can't be exceeded."""
    fabric = Fabric(snapshot)
    nodes = [NodeName(name) for name in snapshot.names[rows]]
    order = fabric.order(nodes)
    capacity = NodeCapacity(
        shape=kind.shape,
        nodes=[nodes[at] for at in order],
        rows=rows[order],
        codes=np.full(len(rows), Predicate.FITS, dtype=np.int8),
        granted=counts[order],
        ever=counts[order],
        now=counts[order],
        scarcest=lambda: "",
    )
    assert kind.identity is not None
    way = alike.first_way(fabric, capacity, kind.identity, size, ending=ending)
    if isinstance(way, int):
        return way
    at = np.flatnonzero(way).tolist()
    return Chosen(tuple(capacity.nodes[one] for one in at), int(way.max()))


def _why(kind: Kind, most: int, size: int) -> str:
    if most >= size:
        return ""
    return f"at most {most} of {size} can be together, by their {room.terms(kind.shape)}"
