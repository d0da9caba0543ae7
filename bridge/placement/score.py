"""How good each node is for a shape: integers 0 to 10 for kube-scheduler's prioritize.

Each term is between 0 and 1, where higher is better; the score is the weighted mean of the terms.
Slurm decides which nodes a gang gets. The score only chooses among several nodes that are all
right.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge.model.ids import NodeName
from bridge.model.scheduling import PodShape
from bridge.placement import topology
from bridge.placement.table.amounts import MOST
from bridge.placement.table.snapshot import Snapshot

HIGHEST = 10
"""The highest score that kube-scheduler accepts from an extender."""

SCARCE = ("gpu", "mig-", "efa", "neuron", "tpu", "gaudi", "rdma")
"""Parts of the names of extended resources that are worth keeping whole."""

Rows = npt.NDArray[np.intp]
NO_ROWS: Rows = np.zeros(0, dtype=np.intp)

Terms = npt.NDArray[np.float64]
"""(candidates,) each in 0…1."""


@dataclass(frozen=True, slots=True)
class ScoreWeights:
    """How much each term counts; a weight of 0 leaves its term out."""

    packing: float = 2.0
    """Nodes whose scarce devices are in use already, so that whole nodes stay whole."""
    waste: float = 2.0
    """Nodes without scarce devices that the shape does not ask for."""
    distance: float = 4.0
    """Nodes near the rest of the gang in the topology tree."""
    node_weight: float = 1.0
    """Nodes with a low node weight in Slurm, which Slurm prefers too."""
    tier: float = 1.0
    """Nodes whose best partition has a high priority tier, which Slurm looks at first."""


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
    """(candidates,) int64: scores from 0 to 10. Unknown nodes score 0.

    `near` are the nodes of the rest of the gang. `node_weights` and `tiers` are Slurm's, 1 where
    not given. Terms without an input, and devices that no candidate has, do not count.
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
    """Score rows of the snapshot instead of names; `node_weights` and `tiers` are (rows,)."""
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
    """The terms packing and waste: the mean share of scarce devices in use, with the pod counted.

    Packing is about the devices that the pod asks for, waste about the others. A node without such
    devices counts as full.
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
    """The mean of terms that are added one by one."""

    def __init__(self, size: int) -> None:
        self._sum = np.zeros(size, dtype=np.float64)
        self._count = 0

    def add(self, term: Terms) -> None:
        self._sum += term
        self._count += 1

    def value(self) -> Terms | None:
        """The mean; None if no term was added."""
        return self._sum / self._count if self._count else None


def _nearness(snapshot: Snapshot, rows: Rows, others: Rows) -> Terms | None:
    """The term distance: 1 on the node of the rest of the gang, 0 as far away as the tree allows.

    Distances are computed between distinct paths, not between nodes.
    """
    if not len(others):
        return None
    tree = topology.tree(snapshot.layout)
    path = snapshot.layout.path
    every = np.arange(len(tree.rank), dtype=np.int32)
    paths_near, counts = np.unique(path[others], return_counts=True)
    between = topology.path_distances(tree, every[:, None], paths_near[None, :]) @ counts
    furthest = topology.furthest(tree) * len(others)
    near = (1.0 - between / furthest).take(path.take(rows))
    same_node = np.zeros(snapshot.size, dtype=np.float64)
    below_one_switch = topology.path_distances(tree, path[others], path[others])
    np.add.at(same_node, others, below_one_switch / furthest)
    near += same_node.take(rows)
    return near


def _by_node(candidates: Sequence[NodeName], given: Mapping[NodeName, int] | None) -> Terms | None:
    if not given:
        return None
    return np.array([given.get(node, 1) for node in candidates], dtype=np.float64)


def _spread(given: Terms | None, *, best: Callable[[Terms], np.float64]) -> Terms | None:
    """1 for the best of the given numbers, 0 for the furthest from it; None if all are equal."""
    if given is None:
        return None
    away = np.abs(given - best(given))
    return np.asarray(1.0 - away / away.max()) if away.any() else None
