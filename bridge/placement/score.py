"""How good each node is for a shape: integers 0 to 10 for kube-scheduler's prioritize.

Each term is between 0 and 1, higher is better; the score is their weighted mean. Slurm decided
which nodes a gang gets; the score decides among several that are all right.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge.model.ids import NodeName
from bridge.model.scheduling import PodShape
from bridge.placement import topology as fabric
from bridge.placement.table.snapshot import MOST, Snapshot

HIGHEST = 10
"""kube-scheduler's extender scores end here."""

SCARCE = ("gpu", "mig-", "efa", "neuron", "tpu", "gaudi", "rdma")
"""An extended resource whose name has one of these is worth keeping whole."""

Rows = npt.NDArray[np.intp]
NO_ROWS: Rows = np.zeros(0, dtype=np.intp)

Terms = npt.NDArray[np.float64]
"""(candidates,) each in 0…1."""


@dataclass(frozen=True, slots=True)
class ScoreWeights:
    """How much each term counts; 0 leaves it out."""

    packing: float = 2.0
    """Scarce devices of the node that are used or taken: whole nodes stay whole."""
    waste: float = 2.0
    """Nodes whose scarce devices the shape does not ask for are left to those who do."""
    distance: float = 4.0
    """Nearness in the topology tree to the rest of the gang."""
    node_weight: float = 1.0
    """Slurm's own node weight: lower is preferred there."""
    tier: float = 1.0
    """Priority tier of the node's best partition: higher is looked at first by Slurm."""


DEFAULT_WEIGHTS = ScoreWeights()


def score(
    snapshot: Snapshot,
    shape: PodShape,
    candidates: Sequence[NodeName],
    *,
    near: Sequence[NodeName] = (),
    node_weights: Mapping[NodeName, int] | None = None,
    tiers: Mapping[NodeName, int] | None = None,
    weights: ScoreWeights = DEFAULT_WEIGHTS,
) -> npt.NDArray[np.int64]:
    """(candidates,) int64 0…10. Unknown nodes score 0.

    `near`: nodes of the rest of the gang; `node_weights` and `tiers`: Slurm's (1 where not given).
    Terms without an input, and devices that no candidate has, do not count.
    """
    return score_rows(
        snapshot,
        shape,
        snapshot.rows(candidates),
        near=snapshot.rows(near),
        node_weights=_by_node(candidates, node_weights),
        tiers=_by_node(candidates, tiers),
        weights=weights,
    )


def score_rows(
    snapshot: Snapshot,
    shape: PodShape,
    rows: Rows,
    *,
    near: Rows = NO_ROWS,
    node_weights: Terms | None = None,
    tiers: Terms | None = None,
    weights: ScoreWeights = DEFAULT_WEIGHTS,
) -> npt.NDArray[np.int64]:
    """`score` for rows of the snapshot; `node_weights` and `tiers` (rows,)."""
    known = rows >= 0
    if not known.all():
        scores = np.zeros(len(rows), dtype=np.int64)
        scores[known] = score_rows(
            snapshot, shape, rows[known], near=near,
            node_weights=None if node_weights is None else node_weights[known],
            tiers=None if tiers is None else tiers[known],
            weights=weights,
        )  # fmt: skip
        return scores
    if not len(rows):
        return np.zeros(0, dtype=np.int64)
    total = np.zeros(len(rows), dtype=np.float64)
    counted = 0.0
    packing, waste = _devices(snapshot, shape, rows)
    for weight, term in (
        (weights.packing, packing),
        (weights.waste, waste),
        (weights.distance, _nearness(snapshot, rows, near[near >= 0])),
        (weights.node_weight, _spread(node_weights, best=np.min)),
        (weights.tier, _spread(tiers, best=np.max)),
    ):
        if term is not None and weight > 0:
            total += weight * term
            counted += weight
    total *= HIGHEST / counted if counted else 0.0
    np.rint(total, out=total)
    return total.astype(np.int64)


def _devices(snapshot: Snapshot, shape: PodShape, rows: Rows) -> tuple[Terms | None, Terms | None]:
    """Mean shares in use, once the pod is there, of the scarce devices that it asks for
    (packing), and of those that it does not ask for (waste); a node without counts as full.
    """
    asked = dict(shape.requests.extended)
    packing, waste = _Mean(len(rows)), _Mean(len(rows))
    scarce = (name for name in snapshot.resources if any(word in name for word in SCARCE))
    for name in sorted(scarce):  # by name: a sum of fractions depends on their order
        line = snapshot.resources[name]
        whole = snapshot.allocatable[line].take(rows)
        if not whole.any():
            continue
        left = whole - snapshot.used[line].take(rows) - min(asked.get(name, 0), MOST)
        share = 1.0 - np.maximum(left, 0) / np.maximum(whole, 1)
        (packing if name in asked else waste).add(share)
    return packing.value(), waste.value()


class _Mean:
    """The mean of terms, one added at a time."""

    def __init__(self, size: int) -> None:
        self._sum = np.zeros(size, dtype=np.float64)
        self._count = 0

    def add(self, term: Terms) -> None:
        self._sum += term
        self._count += 1

    def value(self) -> Terms | None:
        """None when there was no term."""
        return self._sum / self._count if self._count else None


def _nearness(snapshot: Snapshot, rows: Rows, others: Rows) -> Terms | None:
    """1 on the same node as the rest of the gang, 0 as far from all of it as the tree allows.

    Distances are taken between distinct switches, not between nodes.
    """
    if not len(others):
        return None
    tree = fabric.tree(snapshot.layout)
    path = snapshot.layout.path
    every = np.arange(len(tree.rank), dtype=np.int32)
    there, counts = np.unique(path[others], return_counts=True)
    between = fabric.path_distances(tree, every[:, None], there[None, :]) @ counts
    furthest = fabric.furthest(tree) * len(others)
    near = (1.0 - between / furthest).take(path.take(rows))
    same_node = np.zeros(snapshot.size, dtype=np.float64)
    below_one_switch = fabric.path_distances(tree, path[others], path[others])
    np.add.at(same_node, others, below_one_switch / furthest)
    near += same_node.take(rows)
    return near


def _by_node(candidates: Sequence[NodeName], given: Mapping[NodeName, int] | None) -> Terms | None:
    if not given:
        return None
    return np.array([given.get(node, 1) for node in candidates], dtype=np.float64)


def _spread(given: Terms | None, *, best: Callable[[Terms], np.float64]) -> Terms | None:
    """1 for the best of the given numbers, 0 for the one furthest from it; None if all are one."""
    if given is None:
        return None
    away = np.abs(given - best(given))
    return np.asarray(1.0 - away / away.max()) if away.any() else None
