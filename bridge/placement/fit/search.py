"""Places for pods whose terms are about each other, found pod by pod, as kube-scheduler goes.

Each step puts a pod on a node that all terms allow beside the pods placed before it, so what is
found can be scheduled in that order. Of the nodes that are allowed the search prefers those in the
domains with the fewest pods, if the pod is to be spread, and else the first, which then takes as
many pods as it can hold. Where it can't go on, it takes the last step back, and puts pods one by
one. That is exact for few pods and nodes; with many, the number of steps ends it.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from bridge.placement.fit.neighbours import NOWHERE, Balance, Company, Neighbours
from bridge.placement.fit.packing import Bins, Counts, Indices
from bridge.placement.table.interning import Bools

MOST_STEPS: Final = 2000
"""Steps that a search may take back before it gives up: 0.1 s."""
MOST_LOOKS: Final = 200_000
"""Nodes that it may look at again after these steps."""

Step = tuple[int, int, int]
"""Kind, node, and the number of pods."""

_TOO_MANY: Final = np.iinfo(np.int64).max
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
    state = _State(neighbours, bins, needs, already)
    if state.is_done():
        return state.placed if state.is_balanced() else None
    seen: set[int] = set()
    taken: list[Step] = []
    choices: list[Iterator[Step]] = [state.choices()]
    left = min(steps, MOST_LOOKS // max(1, len(bins.room)))
    while choices and left >= 0:
        step = next(choices[-1], None)
        if step is None:
            choices.pop()
            if taken:
                state.take_back(taken.pop())
                left -= 1
            continue
        state.put(step)
        if state.is_done() and state.is_balanced():
            return state.placed
        if state.is_done() or state.key in seen:
            state.take_back(step)
            left -= 1
            continue
        seen.add(state.key)
        taken.append(step)
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
    state = _State(neighbours, bins, needs, already)
    while (step := next(state.choices(), None)) is not None:
        state.put(step)
    return state.placed


class _State:
    """The pods placed so far, and what they leave to others.

    Counts by domain have one more at the end, for nodes in no domain: none in `_beside` and
    `_company`, too many in `_balance`.
    """

    def __init__(
        self,
        neighbours: Neighbours,
        bins: Bins,
        needs: Counts,
        already: Sequence[tuple[int, int]],
    ) -> None:
        kinds = range(len(needs))
        self._neighbours = neighbours
        self._demands = bins.demands
        self._asked = [np.flatnonzero(asked) for asked in bins.demands]
        self._room = bins.room.copy()
        self._most = bins.most.copy()
        self._needs = needs.tolist()
        self._open = [neighbours.open_to(kind) for kind in kinds]
        self._usable = [self._open[kind] & (bins.fitting(kind) > 0) for kind in kinds]
        self._beside = [
            np.zeros((one.places.count + 1, len(needs)), dtype=np.int64)
            for one in neighbours.conflicts
        ]
        self._keeping = [
            [np.flatnonzero(one.pairs[kind]) for one in neighbours.conflicts] for kind in kinds
        ]
        self._company = [
            [np.zeros(places.count + 1, dtype=np.int64) for places in one.places] if one else []
            for one in neighbours.company
        ]
        self._arrived = [0 for _ in kinds]
        self._balance = [
            [np.append(one.placed, _TOO_MANY) for one in some] for some in neighbours.balance
        ]
        self._on_node = [
            [None if one.on_node is None else one.on_node.copy() for one in some]
            for some in neighbours.balance
        ]
        self._order = sorted(kinds, key=self._turn)
        self.placed: Counts = np.zeros((len(bins.room), len(needs)), dtype=np.int64)
        self.key = 0
        """Equal for the same pods in the same places, whatever their order."""
        for kind, place in already:
            self._count(kind, place, +1)

    def is_done(self) -> bool:
        """Whether all pods have a place."""
        return not any(self._needs)

    def is_balanced(self) -> bool:
        """Whether the spread constraints hold in the end, in whatever order pods come."""
        return all(
            self._holds(kind, number)
            for kind, some in enumerate(self._neighbours.balance)
            for number in range(len(some))
        )

    def choices(self) -> Iterator[Step]:
        """Each step that is allowed now, the preferred ones first."""
        for kind in self._order:
            if self._needs[kind]:
                allowed = np.flatnonzero(self._allowed(kind))
                if len(allowed):
                    best = self._best(kind, allowed)
                    count = self._at_once(kind, best)
                    yield kind, best, count
                    for place in self._sorted(kind, allowed)[count == 1 :]:
                        yield kind, place, 1

    def put(self, step: Step) -> None:
        """Place pods."""
        self._change(step, +1)

    def take_back(self, step: Step) -> None:
        """Undo a step."""
        self._change(step, -1)

    def _change(self, step: Step, sign: int) -> None:
        kind, place, count = step
        change = sign * count
        self._needs[kind] -= change
        self._room[place] -= change * self._demands[kind]
        self._most[place, kind] -= change
        self.placed[place, kind] += change
        self.key = (self.key + change * _weight(kind, place)) & _MASK
        for other, usable in enumerate(self._usable):
            usable[place] = self._open[other][place] and self._fits(other, place)
        self._count(kind, place, change)

    def _fits(self, kind: int, place: int) -> bool:
        asked = self._asked[kind]
        return bool(
            self._most[place, kind] > 0
            and (self._room[place, asked] >= self._demands[kind, asked]).all()
        )

    def _at_once(self, kind: int, place: int) -> int:
        """How many pods a step puts on the node: all that it holds, if they may be together."""
        if self._neighbours.balance[kind] or any(
            kind in keeping.tolist() for keeping in self._keeping[kind]
        ):
            return 1
        asked = self._asked[kind]
        count = min(self._needs[kind], int(self._most[place, kind]))
        if len(asked):
            count = min(count, int((self._room[place, asked] // self._demands[kind, asked]).min()))
        return max(int(count), 1)

    def _count(self, kind: int, place: int, change: int) -> None:
        """Count pods for the terms of all kinds."""
        for conflict, counts in zip(self._neighbours.conflicts, self._beside, strict=True):
            domain = conflict.places.of[place]
            if domain != NOWHERE:
                counts[domain, kind] += change
        for other, company in enumerate(self._neighbours.company):
            if company is not None and company.kinds[kind]:
                self._arrive(other, company, place, change)
        for other, some in enumerate(self._neighbours.balance):
            for number, balance in enumerate(some):
                if balance.kinds[kind] and balance.counted[place]:
                    self._balance[other][number][balance.places.of[place]] += change
                    on_node = self._on_node[other][number]
                    if on_node is not None:
                        on_node[place] += change

    def _arrive(self, kind: int, company: Company, place: int, change: int) -> None:
        inside = False
        for places, counts in zip(company.places, self._company[kind], strict=True):
            domain = places.of[place]
            if domain != NOWHERE:
                counts[domain] += change
                inside = True
        self._arrived[kind] += change * inside

    def _allowed(self, kind: int) -> Bools:
        """(nodes,) bool: kube-scheduler would let the next pod of the kind onto the node."""
        allowed: Bools = self._usable[kind].copy()
        for conflict, counts, keeping in zip(
            self._neighbours.conflicts, self._beside, self._keeping[kind], strict=True
        ):
            if len(keeping):
                allowed &= counts[:, keeping].sum(axis=1)[conflict.places.of] == 0
        company = self._neighbours.company[kind]
        if company is not None:
            allowed &= self._has_company(kind, company)
        for balance, pods, on_node in zip(
            self._neighbours.balance[kind], self._balance[kind], self._on_node[kind], strict=True
        ):
            most = balance.max_skew + balance.fewest(pods[:-1]) - balance.itself
            allowed &= (pods <= most)[balance.places.of]
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
            found = found & (beside | (counts > 0)[places.of])
        return found

    def _best(self, kind: int, allowed: Indices) -> int:
        """The first of the nodes that are best for spreading."""
        for balance, counts in zip(
            self._neighbours.balance[kind], self._balance[kind], strict=True
        ):
            there = counts[balance.places.of[allowed]]
            allowed = allowed[there == there.min()]
        return int(allowed[0])

    def _sorted(self, kind: int, allowed: Indices) -> list[int]:
        keys = [
            counts[balance.places.of[allowed]]
            for balance, counts in zip(
                self._neighbours.balance[kind], self._balance[kind], strict=True
            )
        ]
        order: list[int] = allowed[np.lexsort((allowed, *reversed(keys)))].tolist()
        return order

    def _holds(self, kind: int, number: int) -> bool:
        balance: Balance = self._neighbours.balance[kind][number]
        mine = self.placed[:, kind] > 0
        if not balance.itself or not mine.any():
            return True
        counts, on_node = self._balance[kind][number], self._on_node[kind][number]
        if on_node is not None and bool((on_node[mine] > balance.max_skew).any()):
            return False
        most = int(counts[balance.places.of[mine]].max())
        return most - balance.fewest(counts[:-1]) <= balance.max_skew

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
    number = (place * 1024 + kind + 1) * _MIX & _MASK
    number = (number ^ number >> 31) * _MIX & _MASK
    return number ^ number >> 29
