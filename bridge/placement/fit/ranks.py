"""Dealing a gang's slots, in rank order, onto nodes along the topology.

Neighbouring ranks talk most, so they should share a node, else a leaf, else a spine. The measure is
the rank distance: the sum of tree distances from each rank to the next. The yardstick is the greedy
rule: ranks in order onto nodes in topology order, the next node when one is full. Two other rules
are taken only if they beat it. If the granted nodes have more room than needed, it is the stretch
of nodes with the least distance from end to end. If some slots have their node already, it is the
places nearest to the neighbours in rank.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bridge.model.ids import NodeName
from bridge.placement.topology import Fabric

Indices = npt.NDArray[np.intp]
Counts = npt.NDArray[np.int64]

_OPEN = -1
"""The place of a slot that has none yet."""

_MOST_RUNS = 64
"""If taken slots leave more gaps than this, the greedy rule alone decides."""


def deal_best(
    fabric: Fabric,
    nodes: list[NodeName],
    groups: Sequence[Counts],
    *,
    size: int,
    taken: Mapping[int, NodeName],
) -> tuple[NodeName, ...]:
    """Deal the slots within each group of nodes, and return the dealing with the least rank
    distance. `groups` are room by node, as in `deal`.
    """
    dealings = [deal(fabric, nodes, slots, size=size, taken=taken) for slots in groups]
    if len(dealings) == 1:
        return dealings[0]
    return min(dealings, key=lambda dealing: rank_distance(fabric, dealing))


def deal(
    fabric: Fabric,
    nodes: list[NodeName],
    slots: Counts,
    *,
    size: int,
    taken: Mapping[int, NodeName],
) -> tuple[NodeName, ...]:
    """A node for each of `size` slots; `taken` slots keep theirs.

    `slots` (nodes,) are the slots that each node can take beside the taken ones; they must suffice.
    """
    if len(nodes) == 1 and not taken:
        return (nodes[0],) * size
    order = fabric.order(nodes)
    left = slots[order]
    along = [nodes[index] for index in order]
    rows = fabric.rows(along)
    if not taken:
        return tuple(along[place] for place in _stretch(fabric, rows, left, size))
    everywhere = list(dict.fromkeys((*along, *taken.values())))
    position = {node: place for place, node in enumerate(everywhere)}
    places = np.full(size, _OPEN, dtype=np.intp)
    for slot, node in taken.items():
        if 0 <= slot < size:
            places[slot] = position[node]
    rows = fabric.rows(everywhere)
    left = np.pad(left, (0, len(everywhere) - len(along)))
    fillings = _fillings(fabric, rows, left, places)
    best = min(fillings, key=lambda filling: length(fabric, rows[filling]))
    return tuple(everywhere[place] for place in best)


def rank_distance(fabric: Fabric, nodes: Sequence[NodeName]) -> int:
    """The sum of the tree distances from each slot's node to the next slot's node."""
    return length(fabric, fabric.rows(nodes))


def length(fabric: Fabric, rows: Indices) -> int:
    """The rank distance of slots on these rows."""
    return int(fabric.distances(rows[:-1], rows[1:]).sum())


def _stretch(fabric: Fabric, rows: Indices, slots: Counts, needed: int) -> Indices:
    """(needed,) ascending places of nodes (`rows`, in topology order): the stretch of nodes with
    the least distance from end to end, and of equal ones the first.
    """
    usable = np.flatnonzero(slots > 0)
    held = slots[usable]
    hops = fabric.distances(rows[usable[:-1]], rows[usable[1:]])
    along = np.concatenate(([0], np.cumsum(hops)))
    upto = np.cumsum(held)
    ends = np.searchsorted(upto, upto - held + needed)
    starts = np.flatnonzero(ends < len(usable))
    start = int(starts[np.argmin(along[ends[starts]] - along[starts])])
    return _in_turn(usable[start:], held[start:], needed)


def _in_turn(places: Indices, slots: Counts, needed: int) -> Indices:
    """(needed,) each place as often as it has slots, in the order given."""
    before = np.cumsum(slots) - slots
    return np.repeat(places, np.clip(needed - before, 0, slots))


def _fillings(fabric: Fabric, rows: Indices, slots: Counts, places: Indices) -> Iterator[Indices]:
    """Ways to place the open slots: by the greedy rule, and each gap beside its neighbours."""
    open_slots = np.flatnonzero(places == _OPEN)
    greedy = places.copy()
    greedy[open_slots] = _in_turn(np.arange(len(rows)), slots, len(open_slots))
    yield greedy
    runs = np.split(open_slots, np.flatnonzero(np.diff(open_slots) > 1) + 1)
    if len(open_slots) and len(runs) <= _MOST_RUNS:
        near, left = places.copy(), slots.copy()
        for run in runs:
            near[run] = _beside_neighbours(fabric, rows, left, near, run)
            left -= np.bincount(near[run], minlength=len(rows))
        yield near


def _beside_neighbours(
    fabric: Fabric, rows: Indices, slots: Counts, places: Indices, run: Indices
) -> Indices:
    """(run,) places for consecutive open slots: the nodes nearest to the slots before and after
    them. The nodes that are nearer to the slot before come first.
    """
    before, after = (np.zeros(len(rows), dtype=np.int64) for _ in range(2))
    if run[0] > 0:
        before += fabric.distances(rows, rows[places[run[0] - 1]])
    if run[-1] + 1 < len(places):
        after += fabric.distances(rows, rows[places[run[-1] + 1]])
    nearest = np.argsort(before + after, kind="stable")
    chosen, counts = np.unique(_in_turn(nearest, slots[nearest], len(run)), return_counts=True)
    turns = np.lexsort((chosen, before[chosen] - after[chosen]))
    return np.repeat(chosen[turns], counts[turns])
