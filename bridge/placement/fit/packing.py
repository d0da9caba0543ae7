"""Which pod fits where, for pods of several kinds and nodes with room in several dimensions.

`Bins` says what a pod of each kind takes and what each node has. Three simple rules are tried
first: one of them nearly always works, and they keep ranks together. If all fail, a search over all
combinations says exactly whether there is a way (`exact`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from bridge.placement.table.interning import Bools

Counts = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]

OPEN = -1
"""The place of a pod that has none."""

MOST_STEPS = 100_000_000
"""Additions that an exact search may cost (0.2 s). If it costs more, only simple rules count."""
MOST_CELLS = 10_000_000
"""Numbers that an exact search may keep."""

_NEVER = -(2**31)


@dataclass(frozen=True, slots=True)
class Bins:
    """What pods take and what nodes have.

    `demands` (kinds, dimensions) int64 is what a pod of each kind takes. `room` (bins, dimensions)
    int64 is what each bin has, below zero if more is held than there is. `most` (bins, kinds) int64
    is how many pods of a kind a bin may have at all.
    """

    demands: Counts
    room: Counts
    most: Counts

    def fitting(self, kind: int) -> Counts:
        """(bins,) how many pods of this kind alone each bin takes.

        Dimensions that the kind does not ask for may be overcommitted.
        """
        asked = np.flatnonzero(self.demands[kind])
        counts: Counts = self.most[:, kind]
        if len(asked):
            beside = (self.room[:, asked] // self.demands[kind, asked]).min(axis=1)
            counts = np.clip(beside, 0, counts)
        return counts

    def less(self, kind: int, counts: Counts) -> "Bins":
        """The bins after (bins,) so many pods of a kind were put into them."""
        most = self.most.copy()
        most[:, kind] -= counts
        return replace(self, room=self.room - counts[:, None] * self.demands[kind], most=most)


def fillings(bins: Bins, kinds: Indices) -> Iterator[Indices]:
    """(pods,) a bin for each pod, in different ways; nothing if there is no way.

    `kinds` (pods,) are the pods' kinds in rank order.
    """
    simple = False
    for places in (in_turn(bins, kinds), *_by_kind(bins, kinds)):
        if (places != OPEN).all():
            simple = True
            yield places
    if not simple:
        counts = exact(bins, np.bincount(kinds, minlength=len(bins.demands)))
        if counts is not None:
            yield dealt(counts, kinds)


def in_turn(bins: Bins, kinds: Indices) -> Indices:
    """(pods,) a bin for each pod by the greedy rule: ranks in order, bins in order, the next bin
    when one is full. Pods that are left over are OPEN.
    """
    room, most = bins.room.copy(), bins.most.copy()
    places = np.full(len(kinds), OPEN, dtype=np.intp)
    place = 0
    for start, end in _runs(kinds):
        kind, at = int(kinds[start]), start
        asked = np.flatnonzero(bins.demands[kind])
        needs = bins.demands[kind, asked]
        while at < end and place < len(room):
            count = min(int(most[place, kind]), end - at)
            if len(asked):
                count = min(count, int((room[place, asked] // needs).min()))
            if count > 0:
                places[at : at + count] = place
                room[place] -= count * bins.demands[kind]
                most[place, kind] -= count
                at += count
            place += at < end
    return places


def partial(bins: Bins, kinds: Indices) -> Indices:
    """(pods,) a bin for each pod by the simple rule that places most pods; others are OPEN."""
    tried = (in_turn(bins, kinds), *_by_kind(bins, kinds))
    return max(tried, key=lambda places: int(np.count_nonzero(places != OPEN)))


def dealt(counts: Counts, kinds: Indices) -> Indices:
    """(pods,) a bin for each pod, from (bins, kinds) counts; each kind is dealt in rank order."""
    places = np.full(len(kinds), OPEN, dtype=np.intp)
    for kind in range(counts.shape[1]):
        pods = np.flatnonzero(kinds == kind)
        along = np.repeat(np.arange(len(counts)), counts[:, kind])[: len(pods)]
        places[pods[: len(along)]] = along
    return places


def exact(bins: Bins, needs: Counts) -> Counts | None:
    """(bins, kinds) counts that place `needs` (kinds,) pods, or None if there are none.

    The search goes from bin to bin. For every combination of pods of the other kinds placed so far,
    it keeps the most pods of the last kind beside them. If that would cost more than MOST_STEPS or
    MOST_CELLS, the search gives up and returns None.
    """
    if len(needs) < 2:
        return None
    last = int(np.argmax(needs))
    others = [kind for kind in range(len(needs)) if kind != last]
    shape = tuple(int(needs[kind]) + 1 for kind in others)
    alone = np.stack([np.minimum(bins.fitting(kind), needs[kind]) for kind in others], axis=1)
    states = float(np.prod(shape, dtype=np.float64))
    steps = states * float(np.prod(alone + 1.0, axis=1).sum())
    if steps > MOST_STEPS or states * len(alone) > MOST_CELLS:
        return None
    options = [
        _options(bins, place, others, last, most, int(needs[last]))
        for place, most in enumerate(alone)
    ]
    best = np.full(shape, _NEVER, dtype=np.int64)
    best[(0,) * len(others)] = 0
    stages = [best]
    for chosen, gain in options:
        best = np.full(shape, _NEVER, dtype=np.int64)
        for pods, more in zip(chosen.tolist(), gain.tolist(), strict=True):
            to = tuple(slice(count, None) for count in pods)
            source = tuple(slice(0, size - count) for size, count in zip(shape, pods, strict=True))
            np.maximum(best[to], stages[-1][source] + more, out=best[to])
        stages.append(best)
    if best[(-1,) * len(others)] < needs[last]:
        return None
    return _traced(stages, options, others, last, needs)


def _traced(
    stages: list[Counts],
    options: list[tuple[Counts, Counts]],
    others: list[int],
    last: int,
    needs: Counts,
) -> Counts:
    """(bins, kinds) the counts of the best way, found from the last bin to the first."""
    counts = np.zeros((len(options), len(needs)), dtype=np.int64)
    state = tuple(int(needs[kind]) for kind in others)
    wanted = int(needs[last])
    for place in range(len(options) - 1, -1, -1):
        chosen, gain = options[place]
        reached = int(stages[place + 1][state])
        for pods, more in zip(chosen.tolist(), gain.tolist(), strict=True):
            before = tuple(have - count for have, count in zip(state, pods, strict=True))
            if min(before, default=0) >= 0 and int(stages[place][before]) + more == reached:
                break
        counts[place, others] = pods
        counts[place, last] = min(more, wanted)
        wanted -= int(counts[place, last])
        state = before
    return counts


def _options(
    bins: Bins, place: int, others: list[int], last: int, alone: Counts, wanted: int
) -> tuple[Counts, Counts]:
    """(options, other kinds) the counts of other kinds that fit into a bin; (options,) how many
    pods of the last kind fit beside them. `alone` (other kinds,) are the pods of each other kind
    that fit alone.
    """
    chosen = np.indices(tuple((alone + 1).tolist())).reshape(len(others), -1).T
    left = bins.room[place] - chosen @ bins.demands[others]
    asked = (bins.demands[others] > 0)[None] & (chosen > 0)[:, :, None]
    fits = ~((left < 0) & asked.any(axis=1)).any(axis=1)
    chosen, left = chosen[fits], left[fits]
    dimensions = np.flatnonzero(bins.demands[last])
    gain = np.full(len(chosen), min(int(bins.most[place, last]), wanted), dtype=np.int64)
    if len(dimensions):
        beside = (left[:, dimensions] // bins.demands[last, dimensions]).min(axis=1)
        gain = np.clip(beside, 0, gain)
    return chosen, gain


def _by_kind(bins: Bins, kinds: Indices) -> Iterator[Indices]:
    """(pods,) a bin for each pod, kind by kind, each onto the first bins that take it.

    The kinds go in two orders: the largest first, and by their first rank.
    """
    present, first = np.unique(kinds, return_index=True)
    total = np.maximum(bins.room, 0).sum(axis=0) + 1
    size = (bins.demands[present] / total).max(axis=1)
    for order in (present[np.argsort(-size, kind="stable")], present[np.argsort(first)]):
        left = bins
        counts = np.zeros_like(bins.most)
        for kind in order.tolist():
            wanted = int(np.count_nonzero(kinds == kind))
            fitting = left.fitting(kind)
            before = np.cumsum(fitting) - fitting
            counts[:, kind] = np.clip(wanted - before, 0, fitting)
            left = left.less(kind, counts[:, kind])
        yield dealt(counts, kinds)


def _runs(kinds: Indices) -> Iterator[tuple[int, int]]:
    """(start, end) of each run of neighbours that have one kind."""
    edges: Bools = np.diff(kinds) != 0
    if len(kinds):
        yield from pairwise([0, *(np.flatnonzero(edges) + 1).tolist(), len(kinds)])
