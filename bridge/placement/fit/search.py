"""Places for pods whose terms are about each other, found pod by pod, as kube-scheduler goes.

Each step puts one pod on a node that all terms allow beside the pods placed before it, so what is
found can be scheduled in that order. Of the nodes that are allowed the search prefers those in the
domains with the fewest pods, if the pod is to be spread, and else the first. Where it can't go on,
it takes the last step back. That is exact for few pods and nodes; with many, the number of steps
ends it.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from bridge.placement.fit.neighbours import NOWHERE, Balance, Company, Neighbours
from bridge.placement.fit.packing import Bins, Counts, Indices
from bridge.placement.table.interning import Bools

MOST_STEPS: Final = 2000
"""Steps that a search may take back before it gives up: 0.1 s."""

_MIX: Final = 0x9E3779B97F4A7C15
_MASK: Final = (1 << 64) - 1


def search(
    neighbours: Neighbours,
    bins: Bins,
    needs: Counts,
    *,
    already: Sequence[tuple[int, int]] = (),
    steps: int = MOST_STEPS,
) -> Counts | None:
    """(bins, kinds) counts that place `needs` (kinds,) pods, or None if none were found.

    `already` are (kind, bin) of pods of the gang that have their place and that the table does not
    know; their share is taken off the bins before.
    """
    state = _State(neighbours, bins, needs)
    for kind, place in already:
        state.count(kind, place, +1)
    if state.is_done():
        return state.placed if state.is_balanced() else None
    seen: set[int] = set()
    taken: list[tuple[int, int]] = []
    choices: list[Iterator[tuple[int, int]]] = [state.choices()]
    left = steps + int(needs.sum())
    while choices and left > 0:
        choice = next(choices[-1], None)
        if choice is None:
            choices.pop()
            if taken:
                state.put(*taken.pop(), -1)
            continue
        left -= 1
        state.put(*choice, +1)
        if state.is_done():
            if state.is_balanced():
                return state.placed
            state.put(*choice, -1)
            continue
        if state.key in seen:
            state.put(*choice, -1)
            continue
        seen.add(state.key)
        taken.append(choice)
        choices.append(state.choices())
    return None


def has_order(neighbours: Neighbours, counts: Counts) -> bool:
    """Whether the pods of (bins, kinds) counts can be scheduled there in some order."""
    nothing = np.zeros((counts.shape[1], 0), dtype=np.int64)
    bins = Bins(nothing, np.zeros((len(counts), 0), dtype=np.int64), counts)
    return search(neighbours, bins, counts.sum(axis=0), steps=0) is not None


def most(
    neighbours: Neighbours, bins: Bins, needs: Counts, *, already: Sequence[tuple[int, int]] = ()
) -> Counts:
    """(bins, kinds) counts of the pods that the search places before it takes a step back."""
    state = _State(neighbours, bins, needs)
    for kind, place in already:
        state.count(kind, place, +1)
    while (choice := next(state.choices(), None)) is not None:
        state.put(*choice, +1)
    return state.placed


class _State:
    """The pods placed so far, and what they leave to others."""

    def __init__(self, neighbours: Neighbours, bins: Bins, needs: Counts) -> None:
        self._neighbours = neighbours
        self._demands = bins.demands
        self._asked = [np.flatnonzero(asked) for asked in bins.demands]
        self._room = bins.room.copy()
        self._most = bins.most.copy()
        self._needs = needs.copy()
        kinds = range(len(needs))
        self._fits = np.stack([bins.fitting(kind) > 0 for kind in kinds], axis=1)
        self._open = np.stack([neighbours.open_to(kind) for kind in kinds], axis=1)
        self._beside = [
            np.zeros((one.places.count, len(needs)), dtype=np.int64) for one in neighbours.conflicts
        ]
        self._company = [
            [np.zeros(places.count, dtype=np.int64) for places in one.places] if one else []
            for one in neighbours.company
        ]
        self._arrived = [0 for _ in kinds]
        self._balance = [[one.placed.copy() for one in some] for some in neighbours.balance]
        self._on_node = [
            [None if one.on_node is None else one.on_node.copy() for one in some]
            for some in neighbours.balance
        ]
        self._order = sorted(kinds, key=self._turn)
        self.placed: Counts = np.zeros((len(bins.room), len(needs)), dtype=np.int64)
        self.key = 0
        """Equal for the same pods in the same places, whatever their order."""

    def is_done(self) -> bool:
        """Whether all pods have a place."""
        return not self._needs.any()

    def is_balanced(self) -> bool:
        """Whether the spread constraints hold in the end, in whatever order pods come."""
        return all(
            self._holds(kind, number)
            for kind, some in enumerate(self._neighbours.balance)
            for number in range(len(some))
        )

    def choices(self) -> Iterator[tuple[int, int]]:
        """(kind, node) of each step that is allowed now, the preferred ones first."""
        for kind in self._order:
            if self._needs[kind]:
                allowed = np.flatnonzero(self._allowed(kind))
                if len(allowed):
                    yield kind, self._best(kind, allowed)
                    yield from ((kind, place) for place in self._sorted(kind, allowed)[1:])

    def put(self, kind: int, place: int, sign: int) -> None:
        """Place a pod (+1), or take it back (-1)."""
        self._needs[kind] -= sign
        self._room[place] -= sign * self._demands[kind]
        self._most[place, kind] -= sign
        self.placed[place, kind] += sign
        self.key = (self.key + sign * _weight(kind, place)) & _MASK
        for other, asked in enumerate(self._asked):
            fits = self._room[place, asked] >= self._demands[other, asked]
            self._fits[place, other] = self._most[place, other] > 0 and bool(fits.all())
        self.count(kind, place, sign)

    def count(self, kind: int, place: int, sign: int) -> None:
        """Count a pod for the terms of all kinds."""
        for conflict, counts in zip(self._neighbours.conflicts, self._beside, strict=True):
            domain = conflict.places.of[place]
            if domain != NOWHERE:
                counts[domain, kind] += sign
        for other, company in enumerate(self._neighbours.company):
            if company is not None and company.kinds[kind]:
                self._arrive(other, company, place, sign)
        for other, some in enumerate(self._neighbours.balance):
            for number, balance in enumerate(some):
                if balance.kinds[kind] and balance.counted[place]:
                    self._balance[other][number][balance.places.of[place]] += sign
                    on_node = self._on_node[other][number]
                    if on_node is not None:
                        on_node[place] += sign

    def _arrive(self, kind: int, company: Company, place: int, sign: int) -> None:
        inside = False
        for places, counts in zip(company.places, self._company[kind], strict=True):
            domain = places.of[place]
            if domain != NOWHERE:
                counts[domain] += sign
                inside = True
        self._arrived[kind] += sign * inside

    def _allowed(self, kind: int) -> Bools:
        """(nodes,) bool: kube-scheduler would let the next pod of the kind onto the node."""
        allowed: Bools = self._fits[:, kind] & self._open[:, kind]
        for conflict, counts in zip(self._neighbours.conflicts, self._beside, strict=True):
            if conflict.pairs[kind].any():
                shut = (counts[:, conflict.pairs[kind]] > 0).any(axis=1)
                allowed &= ~np.append(shut, False)[conflict.places.of]
        company = self._neighbours.company[kind]
        if company is not None:
            allowed &= self._has_company(kind, company)
        for number, balance in enumerate(self._neighbours.balance[kind]):
            counts = self._balance[kind][number]
            most = balance.max_skew + balance.fewest(counts) - balance.itself
            allowed &= np.append(counts <= most, False)[balance.places.of]
            on_node = self._on_node[kind][number]
            if on_node is not None:
                allowed &= ~(balance.counted & (on_node + balance.itself > balance.max_skew))
        return allowed

    def _has_company(self, kind: int, company: Company) -> Bools:
        if company.itself and not company.any_placed and not self._arrived[kind]:
            return company.has_keys
        found = company.has_keys
        for places, beside, counts in zip(
            company.places, company.beside, self._company[kind], strict=True
        ):
            found = found & (beside | np.append(counts > 0, False)[places.of])
        return found

    def _best(self, kind: int, allowed: Indices) -> int:
        """The first of the nodes that are best for spreading."""
        for number, balance in enumerate(self._neighbours.balance[kind]):
            counts = self._balance[kind][number][balance.places.of[allowed]]
            allowed = allowed[counts == counts.min()]
        return int(allowed[0])

    def _sorted(self, kind: int, allowed: Indices) -> list[int]:
        keys = [
            self._balance[kind][number][balance.places.of[allowed]]
            for number, balance in enumerate(self._neighbours.balance[kind])
        ]
        order = np.lexsort((allowed, *reversed(keys)))
        return [int(place) for place in allowed[order]]

    def _holds(self, kind: int, number: int) -> bool:
        balance: Balance = self._neighbours.balance[kind][number]
        mine = self.placed[:, kind] > 0
        if not mine.any():
            return True
        counts = self._balance[kind][number]
        if not balance.itself:
            return True
        there = counts[balance.places.of[mine]]
        on_node = self._on_node[kind][number]
        crowded = on_node is not None and bool((on_node[mine] > balance.max_skew).any())
        return not crowded and int(there.max()) - balance.fewest(counts) <= balance.max_skew

    def _turn(self, kind: int) -> tuple[int, bool, int]:
        """Kinds that others want beside them come first, then those that are spread or kept apart,
        then the larger ones.
        """
        neighbours = self._neighbours
        wanted = sum(
            company is not None and bool(company.kinds[kind])
            for other, company in enumerate(neighbours.company)
            if other != kind
        )
        company = neighbours.company[kind]
        dependent = company is not None and not company.itself
        bound = bool(neighbours.balance[kind]) or any(
            conflict.pairs[kind].any() for conflict in neighbours.conflicts
        )
        return dependent - wanted, not bound, -int(self._demands[kind].sum())


def _weight(kind: int, place: int) -> int:
    number = (place * 64 + kind + 1) * _MIX & _MASK
    number = (number ^ number >> 31) * _MIX & _MASK
    return number ^ number >> 29
