"""Node classes: nodes that no selector and no taint tells apart.

Slurm knows a node's class as a feature; a job's `constraints` is the OR of the classes whose
nodes may take it. So a class must say everything that a selector can ask, except wide keys
(`labels`), and nothing that is a passing state. Its name is a hash of just that, so every process
finds the same names, whatever it has seen before.
"""

import hashlib
import json
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from bridge import names
from bridge.errors import BadInput
from bridge.model.ids import NodeName
from bridge.model.scheduling import PodShape
from bridge.placement import selectors, taints, topology
from bridge.placement.labels import LabelSet
from bridge.placement.snapshot import NO_ROW, Layout, Snapshot

MOST_NAMES = 64
"""Nodes that a selector on a wide key may name one by one."""

_HASH_DIGITS = 12
"""48 bits: among a thousand classes two are equal by chance once in 10^9 clusters."""


def classes(snapshot: Snapshot) -> Mapping[str, tuple[NodeName, ...]]:
    """Class name → its nodes in natural order of their names. Every node is in exactly one."""
    found: dict[str, list[NodeName]] = {}
    for name, rows in _rows_by_class(snapshot.layout, _present(snapshot.layout)).items():
        found.setdefault(name, []).extend(snapshot.names[rows])
    return {
        name: tuple(sorted(members, key=topology.natural))
        for name, members in sorted(found.items())
    }


def class_of(snapshot: Snapshot, node: NodeName) -> str | None:
    """The node's class; None if Kubernetes does not know the node."""
    row = snapshot.row(node)
    if row == NO_ROW:
        return None
    return next(iter(_rows_by_class(snapshot.layout, np.array([row], dtype=np.intp))))


def feasible_classes(
    snapshot: Snapshot, shape: PodShape
) -> tuple[tuple[str, ...], tuple[NodeName, ...]]:
    """Classes whose nodes may all take the shape, and further nodes by name.

    Judged by labels and lasting taints alone (amounts are Slurm's to count; our own
    managed-node taint counts as tolerated). Nodes are named where a selector uses a key that
    classes do not know (hostname, `metadata.name`, more than 64 values). Raises BadInput, naming
    the key, when that would be more than 64 nodes.
    """
    layout = snapshot.layout
    present = _present(layout)
    safe = selectors.without_wide(layout.labels, shape, present)
    safe &= _tolerated(snapshot, shape, present)
    chosen = tuple(sorted(_rows_by_class(layout, present[safe])))
    rest = present[~safe]
    keys = selectors.wide_keys(layout.labels, shape)
    if not keys:
        return chosen, ()
    matching = selectors.matches(layout.labels, layout.row_of, shape, rest)
    named = rest[matching & _tolerated(snapshot, shape, rest)]
    if len(named) > MOST_NAMES:
        raise BadInput(
            f"the node selector uses {', '.join(keys)}, which node classes do not cover, and "
            f"matches {len(named)} nodes; such a selector may match at most {MOST_NAMES}. Select "
            f"by a label that groups nodes, or narrow it down",
            field="spec.affinity.nodeAffinity" if shape.affinity_terms else "spec.nodeSelector",
        )
    return chosen, tuple(sorted(snapshot.names[named].tolist(), key=topology.natural))


def class_name(label_set: LabelSet, lasting_taints: taints.TaintSet) -> str:
    """The class of nodes with these narrow labels and lasting taints (both sorted)."""
    content = [
        list(map(list, label_set)),
        [[taint.key, taint.value, taint.effect] for taint in lasting_taints],
    ]
    digest = hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
    return names.CLASS_FEATURE_PREFIX + digest[:_HASH_DIGITS]


def _present(layout: Layout) -> npt.NDArray[np.intp]:
    return np.flatnonzero(layout.alive)


def _tolerated(
    snapshot: Snapshot, shape: PodShape, rows: npt.NDArray[np.intp]
) -> npt.NDArray[np.bool_]:
    layout = snapshot.layout
    firsts = taints.first_untolerated(
        layout.taints, shape.tolerations, now=False, scheduler_name=layout.scheduler_name
    )
    return np.equal(firsts[layout.taint_set[rows]], taints.TOLERATED)


def _rows_by_class(layout: Layout, rows: npt.NDArray[np.intp]) -> dict[str, npt.NDArray[np.intp]]:
    """Class name → those of `rows` in it."""
    width = len(layout.taints.values)
    pairs = layout.labels.set_numbers[rows].astype(np.int64) * width + layout.taint_set[rows]
    distinct, inverse = np.unique(pairs, return_inverse=True)
    by_pair = np.split(
        rows[np.argsort(inverse, kind="stable")], np.cumsum(np.bincount(inverse))[:-1]
    )
    found: dict[str, npt.NDArray[np.intp]] = {}
    for pair, members in zip(distinct.tolist(), by_pair, strict=False):
        label_set = layout.labels.sets.values[pair // width] or ()
        taint_set = layout.taints.values[pair % width] or ()
        lasting = taints.lasting(taint_set, scheduler_name=layout.scheduler_name)
        name = class_name(label_set, lasting)
        found[name] = np.concatenate([found[name], members]) if name in found else members
    return found
