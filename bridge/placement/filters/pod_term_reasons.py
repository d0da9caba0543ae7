"""Why terms about other pods keep a pod off nodes, in words that name the term."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from bridge import names
from bridge.model.pod_identity import PodIdentity
from bridge.model.scheduling import PodSelector, PodShape, PodTerm, Requirement
from bridge.placement.filters import domains, pod_selectors, pod_terms
from bridge.placement.filters.pod_terms import Spread
from bridge.placement.table.snapshot import Snapshot

Rows = npt.NDArray[np.intp]
Reasons = Iterator[tuple[int, str]]
"""(number of nodes, reason)."""

_NAMED = 3
"""Requirements, values or domains that a sentence names."""
_LONGEST = 120
"""Characters of a selector in a sentence."""


def of_affinity(snapshot: Snapshot, shape: PodShape, identity: PodIdentity, rows: Rows) -> Reasons:
    """Why the shape's required pod affinity keeps the pod off these rows."""
    found = pod_terms.affinity(snapshot, shape, identity, ending=True)
    for term, beside in zip(found.terms, found.beside, strict=True):
        numbers = domains.of(snapshot.layout, term.topology_key)[rows]
        keyless = numbers == domains.NOWHERE
        if keyless.any():
            yield int(keyless.sum()), f"no label {term.topology_key}, which its pod affinity needs"
        lacking = ~keyless & ~beside[rows]
        if lacking.any():
            yield int(lacking.sum()), f"no {pods(term.selector, identity)} {where(term)}"
        rows = rows[~keyless & ~lacking]
    if len(rows):
        yield len(rows), "its pod affinity is not met"


def of_anti_affinity(
    snapshot: Snapshot, shape: PodShape, identity: PodIdentity, rows: Rows
) -> Reasons:
    """Whose anti-affinity keeps the pod off these rows, the pod's own terms first."""
    for term in shape.pod_anti_affinity:
        away = pod_terms.keeps_away(snapshot, term, ending=True)[rows]
        if away.any():
            who = f"a {pods(term.selector, identity)} {where(term)}"
            yield int(away.sum()), f"its anti-affinity keeps it away from {who}"
        rows = rows[~away]
    for term, keepers in pod_selectors.keeping_away(snapshot, identity, ending=True).items():
        numbers = domains.of(snapshot.layout, term.topology_key)
        away = domains.having(numbers, keepers)[rows]
        if away.any():
            whom = pods(term.selector, identity)
            yield int(away.sum()), f"a pod {where(term)} keeps every {whom} away"
        rows = rows[~away]
    if len(rows):
        yield len(rows), "anti-affinity keeps it away"


def of_spread(snapshot: Snapshot, shape: PodShape, identity: PodIdentity, rows: Rows) -> Reasons:
    """Which spread constraint keeps the pod off these rows, and with how many pods where."""
    for spread in pod_terms.spread(snapshot, shape, identity):
        key = spread.constraint.topology_key
        keyless = spread.domain[rows] == domains.NOWHERE
        if keyless.any():
            yield int(keyless.sum()), f"no label {key}, which its topology spread needs"
        crowded = ~keyless & spread.crowded[rows]
        if crowded.any():
            yield int(crowded.sum()), _crowd(spread, identity)
        failing = ~keyless & ~crowded & ~spread.met[rows]
        if failing.any():
            yield from _skew(snapshot, spread, identity, spread.domain[rows[failing]])
        rows = rows[~keyless & ~crowded & ~failing]
    if len(rows):
        yield len(rows), "its topology spread is not met"


def skew(
    snapshot: Snapshot, spread: Spread, number: int | None, most: str, identity: PodIdentity
) -> str:
    """Say that there would be `most` pods in the domain `number` (None: in one of several), and why
    these are too many.
    """
    constraint = spread.constraint
    key, layout = constraint.topology_key, snapshot.layout
    there = int(spread.exists.sum())
    if there < constraint.min_domains:
        fewest = f"and of minDomains {constraint.min_domains} there are {there}"
    else:
        counts = np.where(spread.exists, spread.in_domain, np.iinfo(np.int64).max)
        least = domains.value(layout, key, int(np.argmin(counts)))
        fewest = f"{spread.fewest} in {key} {least}"
    where = f"one {key}" if number is None else f"{key} {domains.value(layout, key, number)}"
    whom = pods(constraint.selector, identity, count=most)
    return f"would be {whom} in {where}, {fewest}: maxSkew {constraint.max_skew}"


def pods(selector: PodSelector, identity: PodIdentity, count: str = "") -> str:
    """The pods of a selector in words, as this pod sees them: "pod of app=x"."""
    plural = "" if count in ("", "1") else "s"
    text = f"{count} pod{plural}".strip()
    requirements = selector.labels or ()
    if requirements:
        said = ", ".join(map(_requirement, requirements[:_NAMED]))
        more = ", …" if requirements[_NAMED:] else ""
        text += f" of {_cut(said)}{more}"
    elsewhere = [name for name in selector.namespaces if name != identity.namespace]
    if elsewhere:
        more = ", …" if elsewhere[_NAMED:] else ""
        text += f" in namespace {_cut(', '.join(elsewhere[:_NAMED]))}{more}"
    return text


def where(term: PodTerm) -> str:
    """Where a pod would be in the way: "in the same zone"."""
    if term.topology_key == names.HOSTNAME_LABEL:
        return "on the node"
    return f"in the same {term.topology_key}"


def _skew(
    snapshot: Snapshot, spread: Spread, identity: PodIdentity, numbers: domains.Numbers
) -> Reasons:
    there, nodes = np.unique(numbers, return_counts=True)
    would = spread.in_domain[there] + spread.itself
    if len(there) <= _NAMED:
        for number, count, nodes_there in zip(
            there.tolist(), would.tolist(), nodes.tolist(), strict=True
        ):
            yield nodes_there, skew(snapshot, spread, number, str(count), identity)
        return
    low, high = int(would.min()), int(would.max())
    most = str(low) if low == high else f"{low} to {high}"
    yield int(nodes.sum()), skew(snapshot, spread, None, most, identity)


def _crowd(spread: Spread, identity: PodIdentity) -> str:
    constraint = spread.constraint
    return (
        f"would be more than {pods(constraint.selector, identity, count=str(constraint.max_skew))} "
        f"on the node: maxSkew {constraint.max_skew}, and with minDomains "
        f"{constraint.min_domains} a pinned pod's node is one domain of too few"
    )


def _requirement(one: Requirement) -> str:
    values = ", ".join(one.values[:_NAMED]) + (", …" if one.values[_NAMED:] else "")
    match one.operator:
        case "In" if len(one.values) == 1:
            return f"{one.key}={one.values[0]}"
        case "NotIn" if len(one.values) == 1:
            return f"{one.key}!={one.values[0]}"
        case "In":
            return f"{one.key} in ({values})"
        case "NotIn":
            return f"{one.key} not in ({values})"
        case "Exists":
            return one.key
        case _:
            return f"!{one.key}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
