"""Required pod (anti-)affinity and topology spread, said as requirements on a node's labels.

Whether a pod may go to a domain (the nodes with one value of a topology key) depends on where the
matching pods are. The caller knows which pods match; from their count per node these functions
make `Requirement`s that the predicates evaluate like any selector: an anti-affinity is "the key
is not in the domains that have one", an affinity "the key is in them".
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bridge.model.ids import NodeName
from bridge.model.scheduling import PodShape, Requirement
from bridge.placement import selectors
from bridge.placement.failures import EVERY_ROW, untolerated
from bridge.placement.interning import Bools
from bridge.placement.snapshot import Snapshot
from bridge.placement.taints import TOLERATED


def anti_affinity(snapshot: Snapshot, key: str, matching: Mapping[NodeName, int]) -> Requirement:
    """No domain of `key` that has a matching pod; nodes without the key are free."""
    counts = _by_domain(snapshot, key, matching)
    return Requirement(key, "NotIn", tuple(sorted(d for d, count in counts.items() if count)))


def affinity(
    snapshot: Snapshot, key: str, matching: Mapping[NodeName, int], *, itself: bool
) -> Requirement:
    """Only domains of `key` that have a matching pod.

    Where there is none at all, a pod that matches its own term (`itself`) may start anywhere the
    key is (kube-scheduler's rule for the first pod of a group).
    """
    counts = _by_domain(snapshot, key, matching)
    with_one = tuple(sorted(domain for domain, count in counts.items() if count))
    if not with_one and itself:
        return Requirement(key, "Exists")
    return Requirement(key, "In", with_one)


def spread(
    snapshot: Snapshot,
    key: str,
    matching: Mapping[NodeName, int],
    *,
    max_skew: int,
    itself: bool,
    min_domains: int = 1,
    among: Bools | None = None,
) -> Requirement:
    """Domains of `key` where one pod more keeps within `max_skew` of the emptiest domain.

    Only nodes `among` (n,) count, for pods and for domains (see `counted`; None: all). With fewer
    domains than `min_domains` the emptiest one counts as empty.
    """
    every = _by_domain(snapshot, key, {})
    counts = _by_domain(snapshot, key, matching, among)
    least = min(counts.values(), default=0) if len(counts) >= min_domains else 0
    allowed = (d for d in every if counts.get(d, 0) + itself - least <= max_skew)
    return Requirement(key, "In", tuple(sorted(allowed)))


def counted(
    snapshot: Snapshot,
    shape: PodShape,
    keys: Sequence[str],
    *,
    affinity: bool = True,
    taints: bool = False,
) -> Bools:
    """(n,) bool: nodes that count for the topology spread of a pod (kube-scheduler's
    PodTopologySpread): they have all `keys` of its constraints, and meet its node selector and
    affinity (`affinity`: nodeAffinityPolicy Honor, the default) and its tolerations (`taints`:
    nodeTaintsPolicy Honor).
    """
    layout = snapshot.layout
    present = [Requirement(key, "Exists") for key in keys]
    nodes = layout.alive & selectors.all_of(layout.labels, present, EVERY_ROW)
    if affinity:
        own = replace(shape, volume_terms=())
        nodes &= selectors.matches(layout.labels, layout.row_of, own, EVERY_ROW)
    if taints:
        nodes &= untolerated(snapshot, shape, EVERY_ROW, now=True) == TOLERATED
    return nodes


def domain_numbers(snapshot: Snapshot, key: str) -> tuple[npt.NDArray[np.int64], list[str]]:
    """(n,) int64: number of each node's domain in the list of values; -1 without the key."""
    labels, alive = snapshot.layout.labels, snapshot.layout.alive
    wide = labels.wide.get(key)
    if wide is not None:
        column = wide.column.astype(np.int64)
        names = {number: value for value, number in wide.numbers.items()}
    else:
        by_set = [dict(label_set or ()).get(key) for label_set in labels.sets.values]
        values = sorted({value for value in by_set if value is not None})
        number_of = {value: number for number, value in enumerate(values)}
        names = dict(enumerate(values))
        of_set = np.array(
            [-1 if value is None else number_of[value] for value in by_set], dtype=np.int64
        )
        column = of_set[labels.set_numbers]
    column = np.where(alive, column, -1)
    used, inverse = np.unique(column, return_inverse=True)
    absent = int(len(used) and used[0] == -1)
    return inverse.reshape(column.shape) - absent, [names[int(n)] for n in used[absent:]]


def _by_domain(
    snapshot: Snapshot, key: str, matching: Mapping[NodeName, int], among: Bools | None = None
) -> dict[str, int]:
    """Each domain of the key that has a node `among`, also empty ones, and its matching pods."""
    numbers, domains = domain_numbers(snapshot, key)
    weights = np.zeros(snapshot.size + 1, dtype=np.int64)
    rows = snapshot.rows(matching)
    np.add.at(weights, rows, np.fromiter(matching.values(), dtype=np.int64, count=len(matching)))
    here = numbers >= 0 if among is None else (numbers >= 0) & among
    counts = np.zeros(len(domains), dtype=np.int64)
    np.add.at(counts, numbers[here], weights[:-1][here])
    there = np.unique(numbers[here]).tolist()
    return {domains[number]: int(counts[number]) for number in there}
