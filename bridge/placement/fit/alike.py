"""Gangs whose slots are all alike and have terms about other pods, or are somebody's to keep away.

A slot alone is checked against the pods that are there, by the predicates of one pod. Several are
also checked against each other (`together`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from bridge.model.gang import Assignment, Shortfall
from bridge.model.ids import NodeName, PodUid, SlurmNodeName
from bridge.model.pod_identity import PodIdentity
from bridge.placement import filters
from bridge.placement.filters import pod_term_reasons, pod_terms
from bridge.placement.filters.predicates import BESIDE
from bridge.placement.fit import ranks, room, spreading, together
from bridge.placement.fit.neighbours import Balance, Counts, Indices, Kind, Neighbours
from bridge.placement.fit.room import NodeCapacity
from bridge.placement.topology import Fabric


def place(
    fabric: Fabric,
    capacity: NodeCapacity,
    identity: PodIdentity,
    unknown: list[SlurmNodeName],
    *,
    taken: Mapping[int, NodeName],
    holding: frozenset[PodUid] | None,
    size: int,
) -> Assignment | Shortfall:
    """Do what `assign.assign` does, for a gang of `size` slots of one kind.

    The capacity's nodes are in topology order.
    """
    needed = size - sum(1 for slot in taken if 0 <= slot < size)
    missing = together.unknown(fabric.snapshot, taken, holding)
    if needed == 1 and not missing:
        capacity = _for_one(fabric, capacity, identity)
        return deal(fabric, capacity, unknown, needed=needed, size=size, taken=taken)
    several = _Several.of(fabric, capacity, identity, [taken[slot] for slot in missing])
    ways = list(several.ways(several.now, several.capacity.now, needed))
    if ways:
        dealt = ranks.deal_best(fabric, several.nodes, ways, size=size, taken=taken)
        return Assignment(dealt)
    later = several.ways(several.ever, several.capacity.ever, needed)
    for_now = several.may_change() and next(later, None) is not None
    return room.shortfall(
        room.fits(min(several.most(), needed - 1), needed),
        room.at_fault(fabric.snapshot, several.capacity, for_now=for_now),
        unknown,
        partial(several.of_grant, needed),
        for_now=for_now,
    )


def first_way(
    fabric: Fabric, capacity: NodeCapacity, identity: PodIdentity, size: int, *, ending: bool
) -> Counts | int:
    """(nodes,) how many of `size` pods of the kind each node takes, in one way in which they can be
    together. Else a number of pods that certainly can't be exceeded; it may be `size` or more where
    not every way was tried. If `ending` is False, pods that are being deleted are not in the way.
    """
    several = _Several.of(fabric, capacity, identity, [])
    neighbours, slots = several.ever, several.capacity.ever
    if ending:
        neighbours, slots = several.now, several.capacity.now
    for way in several.ways(neighbours, slots, size):
        counts: Counts = np.clip(size - (np.cumsum(way) - way), 0, way)
        return counts
    return together.bound(neighbours, slots, first=several.first)


def deal(
    fabric: Fabric,
    capacity: NodeCapacity,
    unknown: list[SlurmNodeName],
    *,
    needed: int,
    size: int,
    taken: Mapping[int, NodeName],
) -> Assignment | Shortfall:
    """Deal slots that have nothing to do with each other; a Shortfall if the nodes take too few."""
    if int(capacity.now.sum()) >= needed:
        places = [capacity.now]
        return Assignment(ranks.deal_best(fabric, capacity.nodes, places, size=size, taken=taken))
    for_now = int(capacity.ever.sum()) >= needed
    return room.shortfall(
        room.fits(int(capacity.now.sum()), needed),
        room.at_fault(fabric.snapshot, capacity, for_now=for_now),
        unknown,
        partial(room.of_grant, capacity),
        for_now=for_now,
    )


def _for_one(fabric: Fabric, capacity: NodeCapacity, identity: PodIdentity) -> NodeCapacity:
    """The capacity, less the nodes that the pods there shut to one pod."""
    snapshot, rows = fabric.snapshot, capacity.rows
    codes = filters.first_failures(snapshot, capacity.shape, rows, now=True, identity=identity)
    shut = pod_terms.shut(snapshot, capacity.shape, identity, ending=False)[rows]
    return replace(
        capacity,
        identity=identity,
        codes=codes,
        now=np.where(BESIDE[codes], 0, capacity.now),
        ever=np.where(shut, 0, capacity.ever),
    )


@dataclass(frozen=True, slots=True)
class _Several:
    """Slots of one kind on the granted nodes, and after these on nodes of slots that the table does
    not know (`already`). `now` counts all pods that are there, `ever` none that is being deleted.
    """

    fabric: Fabric
    nodes: list[NodeName]
    capacity: NodeCapacity
    already: list[tuple[int, int]]
    now: Neighbours
    ever: Neighbours

    @classmethod
    def of(
        cls,
        fabric: Fabric,
        capacity: NodeCapacity,
        identity: PodIdentity,
        missing: list[NodeName],
    ) -> "_Several":
        nodes = list(dict.fromkeys((*capacity.nodes, *missing)))
        position = {node: at for at, node in enumerate(nodes)}
        rows, kind = fabric.rows(nodes), Kind(capacity.shape, identity)
        now = Neighbours.of(fabric.snapshot, [kind], rows, ending=True)
        ever = now
        if together.are_ending(fabric.snapshot):
            ever = Neighbours.of(fabric.snapshot, [kind], rows, ending=False)
        granted = len(capacity.nodes)
        codes = now.codes(0)[:granted]
        return cls(
            fabric=fabric,
            nodes=nodes,
            capacity=replace(
                capacity,
                identity=identity,
                codes=np.where(capacity.codes == 0, codes, capacity.codes),
                now=np.where(now.open_to(0)[:granted], capacity.now, 0),
                ever=np.where(ever.open_to(0)[:granted], capacity.ever, 0),
            ),
            already=[(0, position[node]) for node in missing],
            now=now,
            ever=ever,
        )

    def ways(self, neighbours: Neighbours, counts: Counts, needed: int) -> Iterator[Counts]:
        """As `together.ways`, of all nodes."""
        return together.ways(
            neighbours, self._padded(counts), needed, first=self.first, already=self.already
        )

    def may_change(self) -> bool:
        """Whether there may be other ways later."""
        return self.ever is not self.now or not np.array_equal(
            self.capacity.ever, self.capacity.now
        )

    def most(self) -> int:
        """How many pods find a place now, as far as each term alone tells."""
        return together.most(self.now, self._padded(self.capacity.now), first=self.first)

    def of_grant(self, needed: int) -> str:
        """Say what is wrong with the grant itself, if no node is at fault."""
        text = room.of_grant(self.capacity)
        slots = self._padded(self.capacity.now)
        for balance in together.spread_by(self.now, 0):
            text += self._skew(balance, slots, needed)
        return text

    def _skew(self, balance: Balance, slots: Counts, needed: int) -> str:
        """Say how uneven the pods would be, if they went where the fewest are."""
        held = slots * (balance.places.of >= 0)
        by_domain = np.bincount(
            np.maximum(balance.places.of, 0), held, minlength=balance.places.count
        ).astype(np.int64)
        if int(by_domain.sum()) < needed:
            return ""
        counts = spreading.level(balance, by_domain, needed)
        most = int(np.argmax(np.where(counts > balance.placed, counts, -1)))
        if int(counts[most]) - balance.fewest(counts) <= balance.max_skew:
            return ""
        in_domain = balance.whole.in_domain.copy()
        in_domain[balance.numbers] = counts
        assert self.capacity.identity is not None
        words = pod_term_reasons.skew(
            self.fabric.snapshot,
            replace(balance.whole, in_domain=in_domain),
            int(balance.numbers[most]),
            str(int(counts[most])),
            self.capacity.identity,
        )
        return f" ({words})"

    @property
    def first(self) -> Indices:
        """(nodes,) the nodes in the order in which they are preferred."""
        return np.arange(len(self.nodes))

    def _padded(self, counts: Counts) -> Counts:
        return np.pad(counts, (0, len(self.nodes) - len(counts)))
