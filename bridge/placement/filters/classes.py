"""Node classes: nodes that no selector and no taint tells apart.

Slurm knows a node's class as a feature, and a job's `constraints` is the OR of the classes whose
nodes may take it. So a class covers everything that a selector can ask, except wide keys (see
`table.labels`), and no state that passes. Its name is a hash of just that, so every process finds
the same names, whatever it has seen before.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge import names
from bridge.errors import BadInput
from bridge.model.ids import NodeName
from bridge.model.scheduling import PodShape
from bridge.placement import topology
from bridge.placement.filters import selectors, tolerations
from bridge.placement.table.interning import Bools
from bridge.placement.table.labels import LabelSet
from bridge.placement.table.snapshot import NO_ROW, Layout, Snapshot
from bridge.placement.table.taints import TaintSet

MOST_NAMES = 64
"""The most nodes that a selector on a wide key may match; each is named."""

_HASH_DIGITS = 12
"""48 bits: by chance, two of a thousand classes are equal in one of 10^9 clusters."""


@dataclass(frozen=True, slots=True)
class Classes:
    """All classes of one layout.

    `names` (classes,) are sorted. `number` (n,) int32 is each row's class, -1 without a node.
    `sample` (classes,) intp is one row of each class.
    """

    names: tuple[str, ...]
    number: npt.NDArray[np.int32]
    sample: npt.NDArray[np.intp]


def classes(snapshot: Snapshot) -> Mapping[str, tuple[NodeName, ...]]:
    """Class name → its nodes, sorted. Every node is in exactly one class."""
    return snapshot.layout.memo.remember("members", lambda: _members(snapshot.layout))


def class_by_node(snapshot: Snapshot) -> dict[NodeName, str]:
    """The class of each node."""
    return {node: name for name, members in classes(snapshot).items() for node in members}


def class_of(snapshot: Snapshot, node: NodeName) -> str | None:
    """The node's class; None if Kubernetes does not have the node."""
    row = snapshot.row(node)
    if row == NO_ROW:
        return None
    every = all_classes(snapshot.layout)
    return every.names[int(every.number[row])]


def feasible_classes(
    snapshot: Snapshot, shape: PodShape
) -> tuple[tuple[str, ...], tuple[NodeName, ...]]:
    """Find the classes whose nodes may all take the shape, and name further nodes that may.

    Only labels and lasting taints count: Slurm counts the amounts, and our own managed-node taint
    counts as tolerated. Nodes are named if a selector uses a key that classes do not cover
    (hostname, `metadata.name`, more than 64 values). Raises BadInput with the key if that would be
    more than 64 nodes.
    """
    every = all_classes(snapshot.layout)
    safe = _safe(snapshot, shape, every)
    chosen = tuple(every.names[number] for number in np.flatnonzero(safe))
    keys = selectors.wide_keys(snapshot.layout.labels, shape)
    if not keys:
        return chosen, ()
    named = _beyond(snapshot, shape, every, safe)
    if len(named) > MOST_NAMES:
        raise _too_many(shape, keys, len(named))
    return chosen, tuple(sorted(snapshot.names[named].tolist(), key=topology.natural))


def class_name(label_set: LabelSet, lasting_taints: TaintSet) -> str:
    """The class of nodes with these narrow labels and lasting taints (both sorted)."""
    content = [
        list(map(list, label_set)),
        [[taint.key, taint.value, taint.effect] for taint in lasting_taints],
    ]
    digest = hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
    return names.CLASS_FEATURE_PREFIX + digest[:_HASH_DIGITS]


def _safe(snapshot: Snapshot, shape: PodShape, every: Classes) -> Bools:
    """(classes,) bool: every node of the class may take the shape, also later ones."""
    safe = selectors.without_wide(snapshot.layout.labels, shape, every.sample)
    return safe & tolerations.tolerated(snapshot.layout, shape, every.sample, now=False)


def _beyond(
    snapshot: Snapshot, shape: PodShape, every: Classes, safe: Bools
) -> npt.NDArray[np.intp]:
    """The rows of nodes that may take the shape although not all of their class may."""
    layout = snapshot.layout
    rest = np.flatnonzero(layout.alive & ~np.append(safe, False)[every.number])
    matching = selectors.matches(layout.labels, layout.row_of, shape, rest)
    return rest[matching & tolerations.tolerated(layout, shape, rest, now=False)]


def _too_many(shape: PodShape, keys: Sequence[str], count: int) -> BadInput:
    return BadInput(
        f"the node selector uses {', '.join(keys)}, which node classes do not cover, and "
        f"matches {count} nodes; such a selector may match at most {MOST_NAMES}. Select "
        f"by a label that groups nodes, or narrow it down",
        field="spec.affinity.nodeAffinity" if shape.affinity_terms else "spec.nodeSelector",
    )


def _members(layout: Layout) -> dict[str, tuple[NodeName, ...]]:
    every = all_classes(layout)
    by_class = np.argsort(every.number, kind="stable")
    ends = np.cumsum(np.bincount(every.number + 1, minlength=len(every.names) + 1))
    members = np.split(layout.names[by_class], ends)[1:]
    return {
        name: tuple(sorted(nodes.tolist()))
        for name, nodes in zip(every.names, members, strict=False)
    }


def all_classes(layout: Layout) -> Classes:
    """All classes; found once for a layout."""
    return layout.memo.remember("classes", lambda: _partition(layout))


def _partition(layout: Layout) -> Classes:
    """Make the classes; each distinct pair of label set and taint set is looked at once."""
    rows = np.flatnonzero(layout.alive)
    width = len(layout.taints.values)
    pairs = layout.labels.set_numbers[rows].astype(np.int64) * width + layout.taint_set[rows]
    distinct, inverse = np.unique(pairs, return_inverse=True)
    of_pair = [_name_of_pair(layout, *divmod(pair, width)) for pair in distinct.tolist()]
    names = tuple(sorted(set(of_pair)))
    number_of = {name: number for number, name in enumerate(names)}
    numbers = np.array([number_of[name] for name in of_pair], dtype=np.int32)[inverse]
    number = np.full(len(layout.alive), NO_ROW, dtype=np.int32)
    number[rows] = numbers
    _, first = np.unique(numbers, return_index=True)
    return Classes(names, number, rows[first])


def _name_of_pair(layout: Layout, label_set: int, taint_set: int) -> str:
    lasting = tolerations.lasting(
        layout.taints.values[taint_set] or (), scheduler_name=layout.scheduler_name
    )
    return class_name(layout.labels.sets.values[label_set] or (), lasting)
