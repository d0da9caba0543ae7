"""Pod affinity among the members of a gang: all in one domain, or no two in one.

A domain is the nodes with one value of a node label (`PodShape.affinity_keys`,
`PodShape.anti_affinity_keys`). kube-scheduler checks both against pods that are already bound. The
pods of a gang are pinned before the first of them is bound, so placement has to check both before.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bridge.placement.table import Snapshot
from bridge.placement.table.labels import ABSENT

Indices = npt.NDArray[np.intp]
Counts = npt.NDArray[np.int64]


def groups(
    snapshot: Snapshot, rows: Indices, keys: Sequence[str], taken: Indices
) -> list[npt.NDArray[np.bool_]]:
    """(rows,) masks of the nodes that may take the gang together: one mask for each domain.

    If `keys` is empty, there is one mask of all nodes. A node without one of the keys is in no
    domain. `taken` are the rows that members have already: only their domain is left.
    """
    if not keys:
        return [np.ones(len(rows), dtype=np.bool_)]
    domains = np.stack([_domains(snapshot, key) for key in keys])
    mine = domains[:, rows]
    allowed = (mine != ABSENT).all(axis=0) & (rows >= 0)
    for row in np.unique(taken):
        allowed &= (mine == domains[:, [row]]).all(axis=0)
    distinct, inverse = np.unique(mine[:, allowed], axis=1, return_inverse=True)
    masks = []
    for number in range(distinct.shape[1]):
        mask = np.zeros(len(rows), dtype=np.bool_)
        mask[np.flatnonzero(allowed)[inverse.reshape(-1) == number]] = True
        masks.append(mask)
    return masks


def one_per_domain(
    snapshot: Snapshot,
    rows: Indices,
    slots: Counts,
    keys: Sequence[str],
    taken: Indices,
    *,
    first: Indices,
) -> Counts:
    """(rows,) the slots, cut to one in each domain of each key, and to none in domains of `taken`.

    `taken` are rows that members have already. `first` are positions in `rows`, in the order in
    which the nodes of a domain are preferred. A key does not limit nodes without it. The result is
    exact for domains that nest, as zones, racks and hosts do.
    """
    left = slots.copy()
    for key in keys:
        domains = _domains(snapshot, key)
        mine = np.where(rows >= 0, domains[rows], ABSENT)
        limited = mine != ABSENT
        left[limited] = np.minimum(left[limited], 1)
        left[limited & np.isin(mine, domains[taken])] = 0
        candidates = first[(left[first] > 0) & limited[first]]
        _, chosen = np.unique(mine[candidates], return_index=True)
        keep = np.zeros(len(rows), dtype=np.bool_)
        keep[candidates[chosen]] = True
        left[limited & ~keep] = 0
    return left


def _domains(snapshot: Snapshot, key: str) -> Counts:
    """(n,) int64: the number of each node's domain; ABSENT without the key."""
    layout = snapshot.layout
    wide = layout.labels.wide.get(key)
    if wide is not None:
        return np.where(layout.alive, wide.column, ABSENT).astype(np.int64)
    of_each_set = [dict(label_set or ()).get(key) for label_set in layout.labels.sets.values]
    values = sorted({value for value in of_each_set if value is not None})
    number_of = {value: number for number, value in enumerate(values)}
    numbers = [ABSENT if value is None else number_of[value] for value in of_each_set]
    by_row = np.array(numbers, dtype=np.int64)[layout.labels.set_numbers]
    return np.where(layout.alive, by_row, ABSENT)
