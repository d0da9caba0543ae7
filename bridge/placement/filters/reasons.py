"""Why nodes can't take a shape, in words: for events and conditions."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from bridge.model import texts
from bridge.model.pod_identity import PodIdentity
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape, Taint
from bridge.placement.filters import pod_term_reasons, selectors, tolerations
from bridge.placement.filters.predicates import Codes, Predicate
from bridge.placement.table.amounts import CPU, EPHEMERAL, MEMORY
from bridge.placement.table.snapshot import Snapshot


def summary(
    snapshot: Snapshot, shape: PodShape, codes: Codes, identity: PodIdentity | None = None
) -> str:
    """Say what is in the way on how many nodes, most nodes first.

    `codes` (n,) are the first failures of a pod with this identity.
    """
    reasons = counts(snapshot, shape, codes, identity)
    fitting = int(np.count_nonzero(codes == Predicate.FITS))
    parts = [f"{texts.nodes(fitting)} can take it"] if fitting else []
    parts += [f"{texts.nodes(count)}: {text}" for count, text in reasons]
    return "; ".join(parts) or "no nodes"


def counts(
    snapshot: Snapshot, shape: PodShape, codes: Codes, identity: PodIdentity | None = None
) -> tuple[tuple[int, str], ...]:
    """(number of nodes, reason) for each reason that is in the way, most nodes first."""
    found = _reasons(snapshot, shape, codes, identity)
    return tuple(sorted(found, key=lambda reason: (-reason[0], reason[1])))


def reason(
    snapshot: Snapshot,
    shape: PodShape,
    row: int,
    code: Predicate,
    identity: PodIdentity | None = None,
) -> str:
    """Say one node's first failure in words, without the node's name."""
    rows = np.array([row], dtype=np.intp)
    return next(text for _, text in _explained(snapshot, shape, rows, code, identity))


def scarcest(snapshot: Snapshot, shape: PodShape, row: int) -> str:
    """Say how much is free of the resource that lets the fewest pods of the shape onto the node."""
    asks = snapshot.resources.asks(shape.requests)
    left = snapshot.allocatable[asks.lines, row] - snapshot.used[asks.lines, row]
    line = int(asks.lines[np.argmin(left // asks.amounts[:, 0])])
    rows = np.array([row], dtype=np.intp)
    free = snapshot.allocatable[line, rows] - snapshot.used[line, rows]
    return _of_whole(snapshot, line, rows, free)


def _reasons(
    snapshot: Snapshot, shape: PodShape, codes: Codes, identity: PodIdentity | None
) -> Iterator[tuple[int, str]]:
    """(number of nodes, reason) for each reason; empty rows do not count."""
    counts: dict[str, int] = {}
    for code in Predicate:
        if code in (Predicate.FITS, Predicate.ABSENT):
            continue
        rows = np.flatnonzero(codes == code)
        if len(rows):
            for count, text in _explained(snapshot, shape, rows, code, identity):
                counts[text] = counts.get(text, 0) + count
    for text, count in counts.items():
        yield count, text


def _explained(
    snapshot: Snapshot,
    shape: PodShape,
    rows: npt.NDArray[np.intp],
    code: Predicate,
    identity: PodIdentity | None,
) -> Iterator[tuple[int, str]]:
    """(number of nodes, reason) for rows that all fail first at `code`."""
    match code:
        case Predicate.SELECTOR:
            yield from _selector_reasons(snapshot, shape, rows)
        case Predicate.TAINT | Predicate.STATE_TAINT:
            yield from _taint_reasons(snapshot, shape, rows, code)
        case Predicate.CAPACITY | Predicate.FREE:
            yield from _amount_reasons(snapshot, shape.requests, rows, code)
        case Predicate.AFFINITY if identity is not None:
            yield from pod_term_reasons.of_affinity(snapshot, shape, identity, rows)
        case Predicate.ANTI_AFFINITY if identity is not None:
            yield from pod_term_reasons.of_anti_affinity(snapshot, shape, identity, rows)
        case Predicate.SPREAD if identity is not None:
            yield from pod_term_reasons.of_spread(snapshot, shape, identity, rows)
        case _:
            yield len(rows), _WORDS[code]


def _selector_reasons(
    snapshot: Snapshot, shape: PodShape, rows: npt.NDArray[np.intp]
) -> Iterator[tuple[int, str]]:
    layout = snapshot.layout
    for key, value in shape.node_selector:
        this_label = PodShape(node_selector=((key, value),))
        matching = selectors.matches(layout.labels, layout.row_of, this_label, rows)
        if not matching.all():
            yield int(np.count_nonzero(~matching)), f"no label {key}={value}"
        rows = rows[matching]
    if len(rows):
        affinity = PodShape(affinity_terms=shape.affinity_terms)
        matching = selectors.matches(layout.labels, layout.row_of, affinity, rows)
        missed = int(np.count_nonzero(~matching))
        if missed:
            yield missed, "required node affinity not met"
        if missed < len(rows):
            yield len(rows) - missed, "a volume of the pod can't be reached from there"


def _taint_reasons(
    snapshot: Snapshot, shape: PodShape, rows: npt.NDArray[np.intp], code: Predicate
) -> Iterator[tuple[int, str]]:
    layout = snapshot.layout
    firsts = tolerations.first_untolerated(layout, shape, now=code == Predicate.STATE_TAINT)
    numbers, counts = np.unique(layout.taint_set[rows], return_counts=True)
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        taint_set = layout.taints.values[number] or ()
        yield count, f"taint {_taint(taint_set[int(firsts[number])])}"


def _amount_reasons(
    snapshot: Snapshot, requests: Resources, rows: npt.NDArray[np.intp], code: Predicate
) -> Iterator[tuple[int, str]]:
    asks = snapshot.resources.asks(requests)
    for name, amount in asks.missing[:1]:
        yield len(rows), f"0 {name} in all, {amount} asked"
        return
    held = snapshot.daemon_used if code == Predicate.CAPACITY else snapshot.used
    for line, amount in zip(asks.lines.tolist(), asks.amounts[:, 0].tolist(), strict=True):
        left = snapshot.allocatable[line, rows] - held[line, rows]
        short = left < amount
        if short.any():
            if code == Predicate.CAPACITY:
                have = _range(line, left[short])
                text = f"{have} {_name(snapshot, line)} in all, {_amount(line, amount)} asked"
            else:
                text = _of_whole(snapshot, line, rows[short], left[short])
            yield int(np.count_nonzero(short)), text
        rows = rows[~short]


def _of_whole(
    snapshot: Snapshot, line: int, rows: npt.NDArray[np.intp], free: npt.NDArray[np.int64]
) -> str:
    whole = snapshot.allocatable[line, rows]
    return f"{_range(line, free)} of {_range(line, whole)} {_name(snapshot, line)} free"


def _name(snapshot: Snapshot, line: int) -> str:
    return next(name for name, number in snapshot.resources.items() if number == line)


def _range(line: int, values: npt.NDArray[np.int64]) -> str:
    """One amount, or the least and the most if nodes differ."""
    low, high = _amount(line, int(values.min())), _amount(line, int(values.max()))
    return low if low == high else f"{low} to {high}"


def _amount(line: int, value: int) -> str:
    if line == CPU:
        return f"{value / 1000:g}"
    if line in (MEMORY, EPHEMERAL) and (abs(value) >= 2**20 or not value):
        return f"{value / 2**30:.4g}Gi"
    return str(value)


def _taint(taint: Taint) -> str:
    value = f"={taint.value}" if taint.value else ""
    return f"{taint.key}{value}:{taint.effect}"


_WORDS = {
    Predicate.ABSENT: "not known to Kubernetes",
    Predicate.DELETING: "being deleted",
    Predicate.CORDONED: "cordoned",
    Predicate.NOT_READY: "not ready",
    Predicate.UNHEALTHY: "unhealthy, or about to go",
    Predicate.PORTS: "a host port is taken",
    Predicate.AFFINITY: "its pod affinity is not met",
    Predicate.ANTI_AFFINITY: "anti-affinity keeps it away",
    Predicate.SPREAD: "its topology spread is not met",
}
