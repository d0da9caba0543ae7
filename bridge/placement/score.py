"""How good each node is for a shape: integers 0 to 10 for kube-scheduler's prioritize.

Each term is between 0 and 1, higher is better; the score is their weighted mean. Slurm decided
which nodes a gang gets; the score decides among several that are all right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge.model.ids import NodeName
from bridge.model.scheduling import PodShape
from bridge.placement import topology
from bridge.placement.snapshot import Snapshot

HIGHEST = 10
"""kube-scheduler's extender scores end here."""

SCARCE = ("gpu", "efa", "neuron")
"""An extended resource whose name has one of these is worth keeping whole."""

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
    scheduled: float = 4.0
    """Backfill has planned this node for the job."""
    node_weight: float = 1.0
    """Slurm's own node weight: lower is preferred there."""


DEFAULT_WEIGHTS = ScoreWeights()


def score(
    snapshot: Snapshot,
    shape: PodShape,
    candidates: Sequence[NodeName],
    *,
    near: Sequence[NodeName] = (),
    scheduled: Sequence[NodeName] = (),
    node_weights: Mapping[NodeName, int] | None = None,
    weights: ScoreWeights = DEFAULT_WEIGHTS,
) -> npt.NDArray[np.int64]:
    """(candidates,) int64 0…10. Unknown nodes score 0.

    `near`: nodes of the rest of the gang; `scheduled`: nodes that Slurm's backfill has planned;
    `node_weights`: Slurm's weights. Terms without an input, and devices that no candidate has,
    do not count.
    """
    rows = snapshot.rows(candidates)
    if not len(rows):
        return np.zeros(0, dtype=np.int64)
    total = np.zeros(len(rows), dtype=np.float64)
    counted = 0.0
    packing, waste = _devices(snapshot, shape, rows)
    for weight, term in (
        (weights.packing, packing),
        (weights.waste, waste),
        (weights.distance, _nearness(snapshot, rows, near)),
        (weights.scheduled, _among(snapshot, rows, scheduled)),
        (weights.node_weight, _lightness(candidates, node_weights)),
    ):
        if term is not None and weight > 0:
            total += weight * term
            counted += weight
    mean = total / counted if counted else total
    scores = np.rint(HIGHEST * np.clip(mean, 0, 1)).astype(np.int64)
    scores[rows < 0] = 0
    return scores


def _devices(
    snapshot: Snapshot, shape: PodShape, rows: npt.NDArray[np.intp]
) -> tuple[Terms | None, Terms | None]:
    """Packing: mean share of the asked scarce devices in use once the pod is there. Waste: 1
    less the share of free scarce devices on the node that the shape does not ask for.
    """
    asked = dict(shape.requests.extended)
    used_share, idle_share = [], []
    for name, line in snapshot.resources.items():
        if not any(word in name for word in SCARCE):
            continue
        whole = snapshot.allocatable[line, rows]
        if not whole.any():
            continue
        used = np.minimum(snapshot.used[line, rows] + asked.get(name, 0), whole)
        share = np.divide(used, whole, out=np.ones(len(rows)), where=whole > 0)
        if name in asked:
            used_share.append(share)
        else:
            idle_share.append(1.0 - np.where(whole > 0, share, 1.0))
    packing = np.mean(used_share, axis=0) if used_share else None
    waste = 1.0 - np.mean(idle_share, axis=0) if idle_share else None
    return packing, waste


def _nearness(
    snapshot: Snapshot, rows: npt.NDArray[np.intp], near: Sequence[NodeName]
) -> Terms | None:
    """1 on the same node as the rest of the gang, 0 as far from all of it as the tree allows.

    Distances are taken between distinct switches, not between nodes.
    """
    others = snapshot.rows(near)
    others = others[others >= 0]
    if not len(others):
        return None
    tree = topology.tree(snapshot.layout.paths)
    path = snapshot.layout.path
    here, inverse = np.unique(path[rows], return_inverse=True)
    there, counts = np.unique(path[others], return_counts=True)
    between = topology.path_distances(tree, here[:, None], there[None, :]).astype(np.float64)
    total = (between @ counts)[inverse]
    same_node = np.bincount(others, minlength=snapshot.size)[rows]
    below_one_switch = topology.path_distances(tree, path[rows], path[rows])
    total -= same_node * below_one_switch
    furthest = topology.furthest(tree) * len(others)
    return np.asarray(1.0 - total / furthest)


def _among(
    snapshot: Snapshot, rows: npt.NDArray[np.intp], chosen: Sequence[NodeName]
) -> Terms | None:
    if not chosen:
        return None
    return np.isin(rows, snapshot.rows(chosen)).astype(np.float64)


def _lightness(
    candidates: Sequence[NodeName], node_weights: Mapping[NodeName, int] | None
) -> Terms | None:
    """1 for the lightest candidate, 0 for the heaviest."""
    if not node_weights:
        return None
    given = np.array([node_weights.get(node, 1) for node in candidates], dtype=np.float64)
    lightest, heaviest = given.min(), given.max()
    if lightest == heaviest:
        return None
    return np.asarray((heaviest - given) / (heaviest - lightest))
