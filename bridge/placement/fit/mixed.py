"""Gangs whose slots are not all alike, onto the nodes that Slurm granted.

Examples are a leader beside its workers, or a launcher beside GPU pods. A node takes any mix of
slots that its grant (Slurm's side) and what is free there (Kubernetes' side) hold together. Which
mix goes where is a packing problem (`problem`, `packing`). Of the ways that are found, the one with
the least rank distance is taken; if the greedy rule works, it is one of these ways.

Terms about other pods count between all slots. If they are about a kind's own pods or about pods
that are there, they cut the packing problem; else the ways are searched pod by pod (`search`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import numpy as np

from bridge.model.gang import Assignment, Shortfall
from bridge.model.ids import NodeName, PodUid, SlurmNodeName
from bridge.model.job import NodeGrant
from bridge.placement.fit import grants, packing, ranks, room, search, together
from bridge.placement.fit.neighbours import Counts, Indices, Kind, Neighbours
from bridge.placement.fit.packing import OPEN, Bins
from bridge.placement.fit.problem import Capacities, PackingProblem
from bridge.placement.fit.room import NodeCapacity
from bridge.placement.table.interning import Bools
from bridge.placement.topology import Fabric

_MOST_WAYS = 8
"""Ways that are looked for if terms about other pods count; the best of them is taken."""


def assign(
    fabric: Fabric,
    kinds: Sequence[Kind],
    of_slot: Indices,
    by_node: Mapping[NodeName, list[NodeGrant]],
    unknown: list[SlurmNodeName],
    *,
    resource_map: Mapping[str, str],
    taken: Mapping[int, NodeName],
    holding: frozenset[PodUid] | None,
    one_per_node: bool,
) -> Assignment | Shortfall:
    """Do what `assign.assign` does, for slots of several kinds; `of_slot` (slots,) are their kinds.

    The answer is exact within the bounds of `packing.exact` and `search.search`.
    """
    problem = PackingProblem.of(fabric, kinds, of_slot, by_node, taken)
    capacities = Capacities.of(problem, resource_map, holding, one_per_node=one_per_node)
    missing = together.unknown(fabric.snapshot, taken, holding) if problem.has_terms else []
    now = _Side.of(problem, capacities.now, missing, ending=True)
    ways = list(now.ways())
    if ways:
        best = min(ways, key=lambda way: ranks.length(fabric, problem.rows[way]))
        return Assignment(tuple(problem.nodes[place] for place in best.tolist()))
    ever = _Side.of(problem, capacities.ever, missing, ending=False)
    for_now = ever.differs(now) and next(ever.ways(), None) is not None
    by_kind = [_of_kind(capacities, now, ever, kind, resource_map) for kind in problem.open_kinds()]
    why_of: dict[NodeName, str] = {}
    for capacity in by_kind:
        for node, why in room.at_fault(fabric.snapshot, capacity, for_now=for_now):
            why_of.setdefault(node, why)
    return room.shortfall(
        now.fits(),
        list(why_of.items()),
        unknown,
        partial(_of_grant, by_kind),
        for_now=for_now,
    )


@dataclass(frozen=True, slots=True)
class _Side:
    """The problem with what the nodes have, now or ever; nodes that pods there shut to a kind have
    nothing for it. `already` are (kind, node) of taken slots that the table does not know.
    """

    problem: PackingProblem
    bins: Bins
    neighbours: Neighbours | None
    already: list[tuple[int, int]]

    @classmethod
    def of(
        cls, problem: PackingProblem, bins: Bins, missing: Sequence[int], *, ending: bool
    ) -> "_Side":
        if not problem.has_terms:
            return cls(problem, bins, None, [])
        snapshot, kinds = problem.fabric.snapshot, problem.distinct
        neighbours = Neighbours.of(snapshot, kinds, problem.rows, ending=ending)
        opened = np.stack([neighbours.open_to(kind) for kind in range(len(kinds))], axis=1)
        already = [(int(problem.kinds[slot]), int(problem.places[slot])) for slot in missing]
        most = np.where(opened, bins.most, 0)
        return cls(problem, replace(bins, most=most), neighbours, already)

    @property
    def gaps(self) -> Indices:
        """The slots without a node."""
        return np.flatnonzero(self.problem.places == OPEN)

    def ways(self) -> Iterator[Indices]:
        """(slots,) the problem's places with the open ones filled, in different ways."""
        gaps = self.gaps
        for filling in islice(self._fillings(self.problem.kinds[gaps]), self._most):
            way = self.problem.places.copy()
            way[gaps] = filling
            yield way

    def differs(self, other: "_Side") -> bool:
        """Whether the other side of the problem may have other ways."""
        ending = self.neighbours is not None and together.are_ending(self.problem.fabric.snapshot)
        return ending or not (
            np.array_equal(self.bins.room, other.bins.room)
            and np.array_equal(self.bins.most, other.bins.most)
        )

    def fits(self) -> str:
        """Say how many pods find a place, and which ranks don't."""
        gaps, neighbours = self.gaps, self.neighbours
        kinds = self.problem.kinds[gaps]
        if neighbours is None or neighbours.are_apart:
            filling = packing.partial(self.bins, kinds)
        else:
            needs = np.bincount(kinds, minlength=len(self.problem.distinct))
            counts = search.most(neighbours, self.bins, needs, already=self.already)
            filling = packing.dealt(counts, kinds)
        left = gaps[filling == OPEN].tolist()
        named = ", ".join(map(str, left[:8])) + (", …" if left[8:] else "")
        which = f" (not rank {named})" if left else ""
        return room.fits(len(gaps) - len(left), len(gaps)) + which

    @property
    def _most(self) -> int | None:
        return None if self.neighbours is None else _MOST_WAYS

    def _fillings(self, kinds: Indices) -> Iterator[Indices]:
        """(pods,) a node for each pod of these kinds, in different ways."""
        neighbours, already = self.neighbours, self.already
        if neighbours is None or neighbours.are_apart:
            yield from packing.fillings(self.bins, kinds)
            return
        needs = np.bincount(kinds, minlength=len(self.problem.distinct))
        every = [mask for mask in together.masks(neighbours) if self._may_hold(mask, needs)]
        for mask in every:
            bins = self.bins
            if mask is not None:
                bins = replace(bins, most=np.where(mask, bins.most, 0))
            if not already and not neighbours.mixes:
                yield from self._packed(neighbours, bins, kinds)
            if neighbours.mixes or mask is None:
                steps = together.steps_for(len(every))
                found = search.search(neighbours, bins, needs, already=already, steps=steps)
                if found is not None:
                    yield packing.dealt(found, kinds)

    def _may_hold(self, mask: Bools | None, needs: Counts) -> bool:
        """Whether the nodes of the mask have enough for each kind alone, and in sum for all."""
        if mask is None:
            return True
        there = np.maximum(self.bins.room[mask.any(axis=1)], 0).sum(axis=0)
        return bool((needs @ self.bins.demands <= there).all()) and all(
            int(self.bins.fitting(kind)[mask[:, kind]].sum()) >= count
            for kind, count in enumerate(needs.tolist())
        )

    def _packed(self, neighbours: Neighbours, bins: Bins, kinds: Indices) -> Iterator[Indices]:
        """Fillings in which no kind is in the way of itself; those that can be scheduled."""
        first = np.arange(len(self.problem.nodes))
        most = bins.most.copy()
        for conflict in neighbours.conflicts:
            for kind in np.flatnonzero(conflict.pairs.diagonal()).tolist():
                slots = np.minimum(replace(bins, most=most).fitting(kind), most[:, kind])
                most[:, kind] = together.one_per_domain(conflict.places, slots, first)
        for filling in packing.fillings(replace(bins, most=most), kinds):
            if search.has_order(neighbours, self._counts(filling, kinds)):
                yield filling

    def _counts(self, filling: Indices, kinds: Indices) -> Counts:
        counts = np.zeros((len(self.problem.nodes), len(self.problem.distinct)), dtype=np.int64)
        np.add.at(counts, (filling, kinds), 1)
        return counts


def _of_kind(
    capacities: Capacities,
    now: _Side,
    ever: _Side,
    kind: int,
    resource_map: Mapping[str, str],
) -> NodeCapacity:
    """What each node can take of one kind, if its slots were the only ones."""
    problem = now.problem
    shape, identity = problem.distinct[kind]
    codes = problem.codes[kind]
    if now.neighbours is not None:
        codes = np.where(codes == 0, now.neighbours.codes(kind), codes)
    return NodeCapacity(
        shape=shape,
        nodes=problem.nodes,
        rows=problem.rows,
        codes=codes,
        granted=capacities.granted.fitting(kind),
        ever=ever.bins.fitting(kind),
        now=now.bins.fitting(kind),
        scarcest=partial(grants.scarcest, problem.grants, shape, resource_map),
        identity=identity,
    )


def _of_grant(by_kind: Sequence[NodeCapacity]) -> str:
    """Say what the grant holds of each kind alone, if no node is at fault."""
    return "; ".join(map(room.of_grant, by_kind)) + ", not all kinds together"
