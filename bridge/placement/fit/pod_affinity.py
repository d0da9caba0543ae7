"""Affinity of a gang's pods to each other: all in one domain, or no two in one.

A domain is the nodes with one value of a node label (`PodShape.affinity_keys`,
`PodShape.anti_affinity_keys`).
Kubernetes' own scheduler checks both against pods that are already bound; a gang must be told
before, since its pods are pinned before the first is bound.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bridge.placement.table.snapshot import Snapshot

Indices = npt.NDArray[np.intp]
Counts = npt.NDArray[np.int64]


def groups(
    snapshot: Snapshot, rows: Indices, keys: Sequence[str], taken: Indices
) -> list[npt.NDArray[np.bool_]]:
    """(rows,) masks of the nodes that may take the gang together: one mask for each domain.

    One mask of all nodes when `keys` is empty. Nodes without a key are in no domain. `taken` are
    rows where members are already: only their domain is left.
    """
    if not keys:
        return [np.ones(len(rows), dtype=np.bool_)]
    numbers = np.stack([_domains(snapshot, key) for key in keys])
    mine = numbers[:, rows]
    allowed = (mine >= 0).all(axis=0) & (rows >= 0)
    for row in np.unique(taken):
        allowed &= (mine == numbers[:, [row]]).all(axis=0)
    distinct, inverse = np.unique(mine[:, allowed], axis=1, return_inverse=True)
    masks = []
    for number in range(distinct.shape[1]):
        mask = np.zeros(len(rows), dtype=np.bool_)
        mask[np.flatnonzero(allowed)[inverse.reshape(-1) == number]] = True
        masks.append(mask)
    return masks


def apart(
    snapshot: Snapshot,
    rows: Indices,
    room: Counts,
    keys: Sequence[str],
    taken: Indices,
    *,
    first: Indices,
) -> Counts:
    """(rows,) room cut to one pod in each domain of each key; domains of `taken` rows get none.

    `first` are positions in the order in which a domain's nodes are preferred. Nodes without a
    key are not limited by it. Exact for domains that nest, as zones, racks and hosts do.
    """
    left = room.copy()
    for key in keys:
        numbers = _domains(snapshot, key)
        mine = np.where(rows >= 0, numbers[rows], -1)
        limited = mine >= 0
        left[limited] = np.minimum(left[limited], 1)
        left[limited & np.isin(mine, numbers[taken])] = 0
        candidates = first[(left[first] > 0) & limited[first]]
        _, chosen = np.unique(mine[candidates], return_index=True)
        keep = np.zeros(len(rows), dtype=np.bool_)
        keep[candidates[chosen]] = True
        left[limited & ~keep] = 0
    return left


def _domains(snapshot: Snapshot, key: str) -> Counts:
    """(n,) int64: each node's domain as a number; -1 without the key."""
    labels, alive = snapshot.layout.labels, snapshot.layout.alive
    wide = labels.wide.get(key)
    if wide is not None:
        return np.where(alive, wide.column, -1).astype(np.int64)
    of_each_set = [dict(label_set or ()).get(key) for label_set in labels.sets.values]
    values = sorted({value for value in of_each_set if value is not None})
    number_of = {value: number for number, value in enumerate(values)}
    numbers = [-1 if value is None else number_of[value] for value in of_each_set]
    return np.where(alive, np.array(numbers, dtype=np.int64)[labels.set_numbers], -1)
