"""Nodes that a pod's terms about other pods, or those of other pods about it, keep it off.

The rules are kube-scheduler's own (plugins interpodaffinity and podtopologyspread). They are asked
here because a pinned pod has one node only: kube-scheduler could just say no to it, and of topology
spread not even that, as one node alone is spread well.

- Affinity: one pod that all terms select has to be in the node's domain of each term's key. If no
  such pod is in any domain and the pod itself is one, any node with all the keys will do.
- Anti-affinity: no pod that a term selects is in the node's domain. The terms of pods that are
  placed count in the same way for the pod that comes.
- Spread: the selected pods in the node's domain and the pod itself may not be more than `max_skew`
  above the domain with the fewest. Domains are made of the nodes that have the keys of all
  constraints, and that the pod's node affinity and their taints admit, where the constraint honours
  these. Pods that are being deleted do not count; nor does any pod for a selector without
  requirements (`countPodsMatchSelector`). What kube-scheduler will say of the pod once it is pinned
  to the node counts too.

For each question there is a world with the pods that are being deleted, and one without: what only
they are in the way of may be waited for.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge.model.pod_identity import PodIdentity
from bridge.model.scheduling import PodShape, PodTerm, SpreadConstraint
from bridge.placement.filters import domains, pod_selectors, selectors, tolerations
from bridge.placement.table.interning import Bools
from bridge.placement.table.snapshot import Snapshot

EVERY_ROW = slice(None)
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Affinity:
    """Where the pods are that all terms of a required pod affinity select.

    `beside` (terms, n) bool says whether such a pod is in the node's domain, `has_keys` (n,) bool
    whether the node has the keys of all terms. `any_placed`: there is such a pod in some domain.
    `selects_itself`: the pod is one.
    """

    terms: tuple[PodTerm, ...]
    beside: Bools
    has_keys: Bools
    any_placed: bool
    selects_itself: bool

    @property
    def met(self) -> Bools:
        """(n,) bool: the node is good for the pod."""
        if self.selects_itself and not self.any_placed:
            return self.has_keys
        return self.has_keys & self.beside.all(axis=0)


@dataclass(frozen=True, slots=True)
class Spread:
    """Where the pods are that a spread constraint counts.

    `domain` (n,) int32 is the number of each node's domain; `counted` (n,) bool says whether the
    node is one of those that make domains. `placed` (n,) int64 are the pods on each node that
    count, `in_domain` (domains,) int64 those in each domain. `exists` (domains,) bool says which
    domains there are. `itself` is 1 if the constraint counts the pod itself.
    """

    constraint: SpreadConstraint
    domain: domains.Numbers
    counted: Bools
    placed: Counts
    in_domain: Counts
    exists: Bools
    itself: int

    @property
    def fewest(self) -> int:
        """The pods in the domain with the fewest of them, 0 if there are too few domains."""
        if int(self.exists.sum()) < self.constraint.min_domains:
            return 0
        return int(self.in_domain[self.exists].min())

    @property
    def sees_one_domain(self) -> bool:
        """Whether kube-scheduler holds the fewest pods to be 0 once the pod is pinned.

        A pin is a node affinity. If the constraint honours it, the pod's node is the only domain,
        which is too few if there have to be several. Then only the pods on that node count.
        """
        constraint = self.constraint
        return constraint.node_affinity_policy == "Honor" and constraint.min_domains > 1

    @property
    def crowded(self) -> Bools:
        """(n,) bool: kube-scheduler would refuse the pod once it is pinned there."""
        if not self.sees_one_domain:
            return np.zeros_like(self.counted)
        return self.counted & (self.placed + self.itself > self.constraint.max_skew)

    @property
    def met(self) -> Bools:
        """(n,) bool: the node is good for the pod."""
        most = self.constraint.max_skew + self.fewest - self.itself
        good = np.append(self.in_domain <= most, False)  # the last one: nodes in no domain
        return good[self.domain] & ~self.crowded


def affinity(
    snapshot: Snapshot, shape: PodShape, identity: PodIdentity, *, ending: bool
) -> Affinity:
    """What the shape's required pod affinity meets; `ending`: see `pod_selectors.placed`."""
    terms = shape.pod_affinity
    wanted = [term.selector for term in terms]
    rows = np.flatnonzero(pod_selectors.placed(snapshot, wanted, ending=ending))
    numbers = [domains.of(snapshot.layout, term.topology_key) for term in terms]
    return Affinity(
        terms=terms,
        beside=np.stack([domains.having(one, rows) for one in numbers]),
        has_keys=np.logical_and.reduce([one != domains.NOWHERE for one in numbers]),
        any_placed=any(bool((one[rows] != domains.NOWHERE).any()) for one in numbers),
        selects_itself=all(
            pod_selectors.selects(snapshot.namespaces, one, identity) for one in wanted
        ),
    )


def kept_away(snapshot: Snapshot, shape: PodShape, identity: PodIdentity, *, ending: bool) -> Bools:
    """(n,) bool: anti-affinity keeps the pod off the node. `ending`: `pod_selectors.placed`."""
    away = np.zeros(snapshot.size, dtype=np.bool_)
    for term in shape.pod_anti_affinity:
        away |= keeps_away(snapshot, term, ending=ending)
    for term, rows in pod_selectors.keeping_away(snapshot, identity, ending=ending).items():
        away |= domains.having(domains.of(snapshot.layout, term.topology_key), rows)
    return away


def keeps_away(snapshot: Snapshot, term: PodTerm, *, ending: bool) -> Bools:
    """(n,) bool: a pod that the anti-affinity term selects is in the node's domain."""
    placed = pod_selectors.placed(snapshot, (term.selector,), ending=ending)
    numbers = domains.of(snapshot.layout, term.topology_key)
    return domains.having(numbers, np.flatnonzero(placed))


def spread(snapshot: Snapshot, shape: PodShape, identity: PodIdentity) -> list[Spread]:
    """What each of the shape's spread constraints meets."""
    layout = snapshot.layout
    numbers = [domains.of(layout, one.topology_key) for one in shape.spread]
    has_keys = layout.alive.copy()
    for one in numbers:
        has_keys &= one != domains.NOWHERE
    return [
        _spread(snapshot, shape, identity, constraint, domain, has_keys)
        for constraint, domain in zip(shape.spread, numbers, strict=True)
    ]


def _spread(
    snapshot: Snapshot,
    shape: PodShape,
    identity: PodIdentity,
    constraint: SpreadConstraint,
    domain: domains.Numbers,
    has_keys: Bools,
) -> Spread:
    counted = has_keys & admitted(snapshot, shape, constraint)
    selector = constraint.selector
    placed = np.zeros(snapshot.size, dtype=np.int64)
    if selector.labels:
        placed = np.where(counted, pod_selectors.placed(snapshot, (selector,), ending=False), 0)
    there, many = domain[counted], domains.count(domain)
    return Spread(
        constraint=constraint,
        domain=domain,
        counted=counted,
        placed=placed,
        in_domain=np.bincount(there, placed[counted], minlength=many).astype(np.int64),
        exists=np.bincount(there, minlength=many).astype(np.bool_),
        itself=int(pod_selectors.selects(snapshot.namespaces, selector, identity)),
    )


def admitted(snapshot: Snapshot, shape: PodShape, constraint: SpreadConstraint) -> Bools:
    """(n,) bool: the constraint's policies let the node count."""
    layout = snapshot.layout
    good = np.ones(snapshot.size, dtype=np.bool_)
    if constraint.node_affinity_policy == "Honor":
        wanted = PodShape(node_selector=shape.node_selector, affinity_terms=shape.affinity_terms)
        good &= layout.memo.remember(
            ("selected", wanted.node_selector, wanted.affinity_terms),
            lambda: selectors.matches(layout.labels, layout.row_of, wanted, EVERY_ROW),
        )
    if constraint.node_taints_policy == "Honor":
        good &= tolerations.tolerated(layout, shape, EVERY_ROW, now=True)
    return good


def failing(
    snapshot: Snapshot, shape: PodShape, identity: PodIdentity, *, ending: bool = True
) -> tuple[Bools | None, Bools | None, Bools | None]:
    """(n,) bool each: the nodes that fail affinity, anti-affinity, and topology spread.

    None where nothing of the kind says anything about the pod. `ending`: see
    `pod_selectors.placed`.
    """
    return snapshot.memo.remember(
        ("failing", shape, identity, ending),
        lambda: _failing(snapshot, shape, identity, ending=ending),
    )


def shut(snapshot: Snapshot, shape: PodShape, identity: PodIdentity, *, ending: bool) -> Bools:
    """(n,) bool: the nodes that fail any of these. `ending`: see `pod_selectors.placed`."""
    found = np.zeros(snapshot.size, dtype=np.bool_)
    for one in failing(snapshot, shape, identity, ending=ending):
        if one is not None:
            found |= one
    return found


def _failing(
    snapshot: Snapshot, shape: PodShape, identity: PodIdentity, *, ending: bool
) -> tuple[Bools | None, Bools | None, Bools | None]:
    lacking = away = skewed = None
    if shape.pod_affinity:
        lacking = ~affinity(snapshot, shape, identity, ending=ending).met
    if shape.pod_anti_affinity or pod_selectors.keeping_away(snapshot, identity, ending=ending):
        away = kept_away(snapshot, shape, identity, ending=ending)
    if shape.spread:
        skewed = ~np.logical_and.reduce([one.met for one in spread(snapshot, shape, identity)])
    return lacking, away, skewed
