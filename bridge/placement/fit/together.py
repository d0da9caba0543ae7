"""Where slots may go by their terms about each other: in one domain, one to a domain, spread.

Most gangs that have such terms have one of each at most, and for these the answer is worked out for
all nodes at once: the domains that may take the gang together, of each domain one node for one
pod, and as many pods for each domain as spread them well. It is exact for domains that nest, as
zones, racks and hosts do. Where several kinds of pods have terms about each other, or several
constraints spread them, the answer is searched pod by pod (`search`).
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import islice, product
from typing import Final

import numpy as np

from bridge.model.ids import NodeName, PodUid
from bridge.placement.fit import spreading
from bridge.placement.fit.neighbours import (
    NOWHERE,
    Balance,
    Company,
    Counts,
    Indices,
    Neighbours,
    Places,
)
from bridge.placement.fit.packing import Bins
from bridge.placement.fit.search import MOST_STEPS, search
from bridge.placement.table import Snapshot
from bridge.placement.table.interning import Bools

MOST_GROUPS: Final = 256
"""Groups of domains that are tried, one after the other."""
FEW: Final = 16
"""Pods and nodes for which everything is tried in the end."""

Already = Sequence[tuple[int, int]]
"""(kind, node) of pods that have their place, and that the table does not know."""


def ways(
    neighbours: Neighbours,
    slots: Counts,
    needed: int,
    *,
    first: Indices,
    already: Already = (),
) -> Iterator[Counts]:
    """(nodes,) slots by node, in ways that take `needed` pods of the only kind.

    `slots` (nodes,) is what each node takes. `first` are the nodes in the order in which they are
    preferred. Of each way any `needed` slots are right.
    """
    if already:
        yield from _searched(neighbours, slots, needed, already)
        return
    opened = np.where(neighbours.open_to(0), slots, 0)
    found = False
    for mask in islice(groups(neighbours.company[0], opened), MOST_GROUPS):
        spread = _spread(neighbours, np.where(mask, opened, 0), needed, first)
        if spread is not None and int(spread.sum()) >= needed:
            found = True
            yield spread
    if not found and max(len(slots), needed) <= FEW:
        yield from _searched(neighbours, opened, needed, ())


def most(neighbours: Neighbours, slots: Counts, *, first: Indices) -> int:
    """The most pods of the only kind that may find a place, as far as each term alone tells."""
    opened, best = np.where(neighbours.open_to(0), slots, 0), 0
    for mask in islice(groups(neighbours.company[0], opened), MOST_GROUPS):
        left = np.where(mask, opened, 0)
        for conflict in neighbours.conflicts:
            left = one_per_domain(conflict.places, left, first)
        counts = [spreading.most(balance, left) for balance in spread_by(neighbours, 0)]
        best = max(best, min([int(left.sum()), *counts]))
    return best


def bound(neighbours: Neighbours, slots: Counts, *, first: Indices) -> int:
    """A number of pods of the only kind that can't be exceeded: what the term that allows least
    allows, in the best domain. All that the slots hold, if there are too many domains to look at.
    """
    opened, best = np.where(neighbours.open_to(0), slots, 0), 0
    for at, mask in enumerate(groups(neighbours.company[0], opened)):
        left = np.where(mask, opened, 0)
        if at == MOST_GROUPS:
            return int(opened.sum()) if neighbours.conflicts or spread_by(neighbours, 0) else best
        apart = [one_per_domain(one.places, left, first).sum() for one in neighbours.conflicts]
        spread = [spreading.most(balance, left) for balance in spread_by(neighbours, 0)]
        best = max(best, int(min([left.sum(), *apart, *spread])))
    return best


def groups(company: Company | None, slots: Counts) -> Iterator[Bools]:
    """(nodes,) masks of the nodes that may take the pods of a kind together: one for each domain,
    if the kind's affinity is to itself and no placed pod decides it; else all nodes. Domains with
    the most of the slots (nodes,) come first.
    """
    if company is None or company.any_placed or not company.itself:
        size = 0 if company is None else len(company.has_keys)
        yield np.ones(size or 1, dtype=np.bool_)
        return
    yield from domains_together(company.places, company.has_keys, slots)


def domains_together(
    places: Sequence[Places], usable: Bools, slots: Counts | None = None
) -> Iterator[Bools]:
    """(nodes,) masks of the usable nodes that share a domain of each of the keys; if `slots`
    (nodes,) are given, those with the most of them first.
    """
    numbers = np.stack([one.of for one in places])
    distinct, inverse = np.unique(numbers[:, usable], axis=1, return_inverse=True)
    of_usable = inverse.reshape(-1)
    where = np.flatnonzero(usable)
    weights = np.zeros(len(where)) if slots is None else slots[where]
    room = np.bincount(of_usable, weights, minlength=distinct.shape[1])
    for number in np.argsort(-room, kind="stable").tolist():
        mask = np.zeros(len(usable), dtype=np.bool_)
        mask[where[of_usable == number]] = True
        yield mask


def one_per_domain(places: Places, slots: Counts, first: Indices) -> Counts:
    """(nodes,) the slots, cut to one in each domain: that of the first node that has any. Nodes
    without the label keep theirs.
    """
    limited = places.of != NOWHERE
    left = np.where(limited, np.minimum(slots, 1), slots)
    candidates = first[(left[first] > 0) & limited[first]]
    _, chosen = np.unique(places.of[candidates], return_index=True)
    keep = ~limited
    keep[candidates[chosen]] = True
    return np.where(keep, left, 0)


def masks(neighbours: Neighbours) -> Iterator[Bools | None]:
    """(nodes, kinds) masks in which the kinds that want each other are in one domain together, for
    each combination of domains; last None, for no such limit.
    """
    together = _together(neighbours)
    options = [[(kinds, mask) for mask in _groups_of(neighbours, kinds)] for kinds in together]
    if together:
        for chosen in islice(product(*options), MOST_GROUPS):
            allowed = np.ones_like(neighbours.away)
            for kinds, mask in chosen:
                for kind in kinds:
                    allowed[:, kind] = mask
            yield allowed
    yield None


def are_ending(snapshot: Snapshot) -> bool:
    """Whether some pod is being deleted, so that terms may be met later that are not met now."""
    return bool(snapshot.placed.ending.any())


def unknown(
    snapshot: Snapshot,
    taken: Mapping[int, NodeName],
    holding: frozenset[PodUid] | None,
) -> list[int]:
    """The taken slots whose pods the table does not know: on each node as many as have their place
    there beyond the pods of `holding`. None holds that it knows all.
    """
    if holding is None:
        return []
    pods = (snapshot.pods.get(pod) for pod in holding)
    held: dict[int, int] = {}
    for one in pods:
        if one is not None:
            held[one.row] = held.get(one.row, 0) + 1
    missing = []
    for slot in sorted(taken):
        row = snapshot.row(taken[slot])
        if held.get(row, 0):
            held[row] -= 1
        else:
            missing.append(slot)
    return missing


def _spread(neighbours: Neighbours, slots: Counts, needed: int, first: Indices) -> Counts | None:
    balances = spread_by(neighbours, 0)
    if len(balances) > 1:
        if min(spreading.most(balance, slots) for balance in balances) < needed:
            return None
        return next(_searched(neighbours, slots, needed, ()), None)
    for conflict in neighbours.conflicts:
        slots = one_per_domain(conflict.places, slots, first)
    for balance in balances if int(slots.sum()) >= needed else ():
        return spreading.spread_out(balance, slots, needed, first)
    return slots


def _searched(
    neighbours: Neighbours, slots: Counts, needed: int, already: Already
) -> Iterator[Counts]:
    found = search(neighbours, one_kind(slots), np.array([needed]), already=already)
    if found is not None:
        yield found[:, 0]


def one_kind(slots: Counts) -> Bins:
    """The slots as bins for pods of one kind."""
    return Bins(np.ones((1, 1), dtype=np.int64), slots[:, None], slots[:, None])


def steps_for(count: int) -> int:
    """Steps of each of so many searches."""
    return max(50, MOST_STEPS // max(1, count))


def _together(neighbours: Neighbours) -> list[tuple[int, ...]]:
    """Kinds that want each other, or themselves, beside them, where no placed pod decides it."""
    sets: list[set[int]] = []
    for kind, company in enumerate(neighbours.company):
        if company is None or company.any_placed or not company.kinds.any():
            continue
        joined = {kind, *np.flatnonzero(company.kinds).tolist()}
        apart = [one for one in sets if one.isdisjoint(joined)]
        joined = reduce(set.union, (one for one in sets if not one.isdisjoint(joined)), joined)
        sets = [*apart, joined]
    return [tuple(sorted(one)) for one in sets]


def _groups_of(neighbours: Neighbours, kinds: Sequence[int]) -> list[Bools]:
    wants = [company for kind in kinds if (company := neighbours.company[kind]) is not None]
    places = [one for company in wants for one in company.places]
    usable: Bools = np.logical_and.reduce([company.has_keys for company in wants])
    return list(islice(domains_together(places, usable), MOST_GROUPS))


def spread_by(neighbours: Neighbours, kind: int) -> list[Balance]:
    """The constraints by which the kind's own pods are spread."""
    return [one for one in neighbours.balance[kind] if one.kinds[kind]]
