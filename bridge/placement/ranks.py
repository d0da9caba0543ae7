"""Dealing a gang's slots, in rank order, onto nodes along the topology.

Neighbouring ranks talk most, so they should share a node, else a leaf, else a spine. The measure
is the rank distance: the sum of tree distances from each rank to the next. The greedy rule (ranks
in order onto nodes in topology order, the next node when one is full) is the yardstick; where the
granted nodes have more room than needed we look for the stretch of them with the least distance,
which never is worse, since the greedy's own stretch is among those looked at.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from bridge.model.ids import NodeName
from bridge.placement import topology
from bridge.placement.snapshot import Snapshot

Indices = npt.NDArray[np.intp]


def deal(
    snapshot: Snapshot,
    nodes: list[NodeName],
    room: npt.NDArray[np.int64],
    *,
    size: int,
    taken: Mapping[int, NodeName],
    prefer: Mapping[int, NodeName],
) -> list[NodeName]:
    """A node for each of `size` slots; `taken` stay, preferred nodes are given while they have
    room. `room` (nodes,): slots that each node can take beyond the taken; it must suffice.
    """
    if len(nodes) == 1 and not taken:
        return [nodes[0]] * size
    order = topology.order(snapshot, nodes)
    left = room[order].copy()
    fixed = dict(taken)
    position = {nodes[index]: place for place, index in enumerate(order.tolist())}
    for slot, node in prefer.items():
        place = position.get(node)
        if slot not in fixed and 0 <= slot < size and place is not None and left[place] > 0:
            left[place] -= 1
            fixed[slot] = node
    open_slots = [slot for slot in range(size) if slot not in fixed]
    places = _stretch(snapshot, [nodes[index] for index in order], left, len(open_slots))
    for slot, place in zip(open_slots, places.tolist(), strict=True):
        fixed[slot] = nodes[order[place]]
    return [fixed[slot] for slot in range(size)]


def _stretch(
    snapshot: Snapshot, nodes: list[NodeName], room: npt.NDArray[np.int64], needed: int
) -> Indices:
    """(needed,) positions in `nodes` (which are in topology order), ascending, from the stretch
    of nodes with the least distance from end to end; the first of equal ones.
    """
    usable = np.flatnonzero(room > 0)
    held = room[usable]
    rows = snapshot.rows([nodes[place] for place in usable])
    along = np.concatenate(([0], np.cumsum(topology.distances(snapshot, rows[:-1], rows[1:]))))
    upto = np.cumsum(held)
    ends = np.searchsorted(upto, upto - held + needed)
    starts = np.flatnonzero(ends < len(usable))
    start = int(starts[np.argmin(along[ends[starts]] - along[starts])]) if needed else 0
    filled = np.clip(needed - (upto[start:] - held[start:] - (upto[start] - held[start])), 0, None)
    return np.repeat(usable[start:], np.minimum(held[start:], filled))
