"""What terms about other pods allow a gang's pods on the granted nodes.

kube-scheduler checks these terms against pods that are bound. The pods of a gang are pinned before
the first of them is bound, and a pin is for good, so the whole gang has to be right beforehand:
beside the pods that are there, and beside each other. `Neighbours` has both for all kinds of pods
and all granted nodes. Nodes are numbers in the list of granted nodes, domains are numbers among the
domains of these nodes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bridge.model.pod_identity import PodIdentity
from bridge.model.scheduling import PodShape, PodTerm
from bridge.placement.filters import Codes, Predicate, domains, pod_selectors, pod_terms
from bridge.placement.table import Snapshot
from bridge.placement.table.interning import Bools

Indices = npt.NDArray[np.intp]
Counts = npt.NDArray[np.int64]

NOWHERE = -1
"""The domain of a node without the label."""


class Kind(NamedTuple):
    """Slots that are alike: what their pods ask for and, where terms are about it, who they are."""

    shape: PodShape
    identity: PodIdentity | None


def has_terms(snapshot: Snapshot, kind: Kind) -> bool:
    """Whether a term of the kind is about other pods, or a term of a placed pod about it."""
    shape, identity = kind
    return identity is not None and bool(
        shape.pod_affinity
        or shape.pod_anti_affinity
        or shape.spread
        or pod_selectors.keeping_away(snapshot, identity, ending=True)
    )


class GangPods(NamedTuple):
    """Some pods of a gang, by their `kinds`. `others` are the kinds of its other pods; `is_single`:
    the gang is one pod.
    """

    kinds: tuple[Kind, ...]
    others: tuple[Kind, ...] = ()
    is_single: bool = False

    @property
    def is_alike(self) -> bool:
        """Whether the gang is several pods of one kind."""
        return len(self.kinds) == 1 and not self.others and not self.is_single


def shut(snapshot: Snapshot, pods: GangPods) -> Bools:
    """(n,) bool: the nodes that placed pods which nobody ends keep all of these kinds off, whatever
    the gang's pods do among themselves.
    """
    kinds = pods.kinds
    shape, identity = kinds[0]
    if pods.is_single and identity is not None:
        return pod_terms.shut(snapshot, shape, identity, ending=False)
    every = (*kinds, *pods.others)
    neighbours = Neighbours.of(snapshot, every, np.arange(snapshot.size), ending=False)
    is_open: Bools = np.logical_or.reduce([neighbours.open_to(at) for at in range(len(kinds))])
    return ~is_open


@dataclass(frozen=True, slots=True)
class Places:
    """`of` (nodes,) intp is the domain of each node, NOWHERE without the label; `count` of them."""

    of: Indices
    count: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """Kinds that keep each other out of the domains of one key: `pairs` (kinds, kinds) bool,
    symmetric.
    """

    key: str
    places: Places
    pairs: Bools


@dataclass(frozen=True, slots=True)
class Company:
    """The required pod affinity of a kind.

    `places` has the domains by term. `beside` (terms, nodes) bool says whether a placed pod that
    all terms select is in the node's domain, `any_placed` whether there is one at all. `kinds`
    (kinds,) bool are those whose pods all terms select, `itself` says whether the kind is one.
    """

    keys: tuple[str, ...]
    places: tuple[Places, ...]
    has_keys: Bools
    beside: Bools
    any_placed: bool
    kinds: Bools
    itself: bool


@dataclass(frozen=True, slots=True)
class Balance:
    """A spread constraint of a kind.

    `numbers` (domains,) are the numbers in `whole` of the granted nodes' domains. `placed`
    (domains,) int64 are the placed pods that count in these domains; `exists` (domains,) bool says
    which of them are domains for the constraint, `all_exist` that all are. `elsewhere` is the least
    count among all other domains, `is_enough` whether there are as many domains as there have to
    be. `counted` (nodes,) bool: pods on the node count. `on_node` (nodes,) int64 are those that are
    there, if the node alone must not have more than `max_skew` (else None). `kinds` (kinds,) bool
    are those that count, `itself` is 1 if the kind is one.
    """

    whole: pod_terms.Spread
    places: Places
    numbers: Indices
    placed: Counts
    exists: Bools
    all_exist: bool
    elsewhere: int
    is_enough: bool
    counted: Bools
    on_node: Counts | None
    max_skew: int
    kinds: Bools
    itself: int

    def fewest(self, counts: Counts) -> int:
        """The least count of all domains, if those of the granted nodes have these `counts`."""
        if not self.is_enough:
            return 0
        there = counts if self.all_exist else counts[self.exists]
        return min(int(there.min(initial=self.elsewhere)), self.elsewhere)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Terms of all kinds on all granted nodes; lists are by kind.

    `away` (nodes, kinds) bool: anti-affinity to or of a placed pod keeps the kind off the node.
    """

    kinds: tuple[Kind, ...]
    away: Bools
    conflicts: tuple[Conflict, ...]
    company: tuple[Company | None, ...]
    balance: tuple[tuple[Balance, ...], ...]

    @classmethod
    def of(
        cls, snapshot: Snapshot, kinds: Sequence[Kind], rows: Indices, *, ending: bool
    ) -> "Neighbours":
        """The terms of kinds on the nodes with these rows; NO_ROW is a node that nobody can use.

        If `ending` is False, pods that are being deleted do not count.
        """
        view = _View(snapshot, tuple(kinds), rows, ending)
        return cls(
            kinds=view.kinds,
            away=np.stack([view.away(kind) for kind in kinds], axis=1),
            conflicts=view.conflicts(),
            company=tuple(view.company(kind) for kind in kinds),
            balance=tuple(tuple(view.balance(kind)) for kind in kinds),
        )

    @property
    def are_apart(self) -> bool:
        """Whether no term of any kind is about the gang's own pods."""
        return not (
            self.conflicts
            or any(one is not None and one.kinds.any() for one in self.company)
            or any(one.kinds.any() for some in self.balance for one in some)
        )

    @property
    def mixes(self) -> bool:
        """Whether kinds have terms about each other, or terms spread the gang's own pods."""
        alone = np.eye(len(self.kinds), dtype=np.bool_)
        return (
            any((conflict.pairs & ~alone).any() for conflict in self.conflicts)
            or any(
                one is not None and (one.kinds & ~alone[kind]).any()
                for kind, one in enumerate(self.company)
            )
            or any(one.kinds.any() for some in self.balance for one in some)
        )

    def open_to(self, kind: int) -> Bools:
        """(nodes,) bool: the nodes that placed pods leave to the kind, whatever its gang does."""
        usable = ~self.away[:, kind]
        company = self.company[kind]
        if company is not None:
            usable &= company.has_keys
            others = company.kinds.copy()
            others[kind] = False
            if not others.any() and (company.any_placed or not company.itself):
                usable &= company.beside.all(axis=0)
        for balance in self.balance[kind]:
            usable &= balance.places.of != NOWHERE
            if balance.on_node is not None:
                crowded = balance.on_node + balance.itself > balance.max_skew
                usable &= ~(balance.counted & crowded)
            if not balance.kinds.any():
                most = balance.max_skew + balance.fewest(balance.placed) - balance.itself
                usable &= np.append(balance.placed <= most, False)[balance.places.of]
        return usable

    def codes(self, kind: int) -> Codes:
        """(nodes,) int8: the predicate by which placed pods keep the kind off each node."""
        codes: Codes = np.zeros(len(self.away), dtype=np.int8)
        shut = ~self.open_to(kind)
        company = self.company[kind]
        codes[shut] = Predicate.SPREAD
        if company is not None:
            codes[shut & ~(company.has_keys & company.beside.all(axis=0))] = Predicate.AFFINITY
        codes[self.away[:, kind]] = Predicate.ANTI_AFFINITY
        return codes


@dataclass(frozen=True, slots=True)
class _View:
    """What the terms are read from."""

    snapshot: Snapshot
    kinds: tuple[Kind, ...]
    rows: Indices
    ending: bool

    def away(self, kind: Kind) -> Bools:
        """(nodes,) bool"""
        if kind.identity is None:
            return np.zeros(len(self.rows), dtype=np.bool_)
        away = pod_terms.kept_away(self.snapshot, kind.shape, kind.identity, ending=self.ending)
        return self._on_nodes(away)

    def conflicts(self) -> tuple[Conflict, ...]:
        """Of all keys that keep some kinds apart."""
        pairs_of: dict[str, Bools] = {}
        size = len(self.kinds)
        for one, kind in enumerate(self.kinds):
            for term in kind.shape.pod_anti_affinity:
                met = self._selected((term,))
                if met.any():
                    empty = np.zeros((size, size), dtype=np.bool_)
                    pairs = pairs_of.setdefault(term.topology_key, empty)
                    pairs[one] |= met
                    pairs[:, one] |= met
        return tuple(
            Conflict(key, self._places(domains.of(self.snapshot.layout, key))[0], pairs)
            for key, pairs in pairs_of.items()
        )

    def company(self, kind: Kind) -> Company | None:
        """The kind's pod affinity; None if it has none."""
        shape, identity = kind
        if identity is None or not shape.pod_affinity:
            return None
        found = pod_terms.affinity(self.snapshot, shape, identity, ending=self.ending)
        layout = self.snapshot.layout
        keys = tuple(term.topology_key for term in found.terms)
        return Company(
            keys=keys,
            places=tuple(self._places(domains.of(layout, key))[0] for key in keys),
            has_keys=self._on_nodes(found.has_keys),
            beside=np.stack([self._on_nodes(one) for one in found.beside]),
            any_placed=found.any_placed,
            kinds=self._selected(found.terms),
            itself=found.selects_itself,
        )

    def balance(self, kind: Kind) -> list[Balance]:
        """The kind's spread constraints."""
        if kind.identity is None or not kind.shape.spread:
            return []
        found = pod_terms.spread(self.snapshot, kind.shape, kind.identity)
        return [self._balance(one) for one in found]

    def _balance(self, whole: pod_terms.Spread) -> Balance:
        constraint = whole.constraint
        places, numbers = self._places(whole.domain)
        others = whole.exists.copy()
        others[numbers] = False
        counts = bool(constraint.selector.labels)
        own_term = PodTerm(constraint.topology_key, constraint.selector)
        selected = self._selected((own_term,))
        return Balance(
            whole=whole,
            places=places,
            numbers=numbers,
            placed=whole.in_domain[numbers],
            exists=whole.exists[numbers],
            all_exist=bool(whole.exists[numbers].all()),
            elsewhere=int(whole.in_domain[others].min(initial=np.iinfo(np.int64).max // 2)),
            is_enough=int(whole.exists.sum()) >= constraint.min_domains,
            counted=self._on_nodes(whole.counted),
            on_node=whole.placed[self.rows] if whole.sees_one_domain else None,
            max_skew=constraint.max_skew,
            kinds=selected if counts else np.zeros_like(selected),
            itself=whole.itself,
        )

    def _selected(self, terms: Sequence[PodTerm]) -> Bools:
        """(kinds,) bool: all terms select the kind's pods."""
        return np.array(
            [
                kind.identity is not None
                and all(
                    pod_selectors.selects(self.snapshot.namespaces, term.selector, kind.identity)
                    for term in terms
                )
                for kind in self.kinds
            ],
            dtype=np.bool_,
        )

    def _on_nodes(self, by_row: Bools) -> Bools:
        found: Bools = by_row[self.rows] & (self.rows >= 0)
        return found

    def _places(self, by_row: domains.Numbers) -> tuple[Places, Indices]:
        """The granted nodes' domains, and the numbers that these have in the cluster."""
        numbers = np.where(self.rows >= 0, by_row[self.rows], NOWHERE)
        distinct = np.unique(numbers[numbers != NOWHERE]).astype(np.intp)
        local = np.searchsorted(distinct, numbers)
        return Places(np.where(numbers == NOWHERE, NOWHERE, local), len(distinct)), distinct
