"""The first predicate that each node fails for a shape, as one code per row."""

import numpy as np
import numpy.typing as npt

from bridge.model.pod_identity import PodIdentity
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from bridge.placement.filters import pod_terms, selectors, tolerations
from bridge.placement.filters.predicates import Codes, Predicate
from bridge.placement.filters.selectors import Rows
from bridge.placement.table import ports
from bridge.placement.table.interning import Bools
from bridge.placement.table.ports import PortRows
from bridge.placement.table.snapshot import NO_ROW, Snapshot

EVERY_ROW = slice(None)

# The codes as plain numbers: to look up an enum's member costs more than to compare it.
(
    _, _ABSENT, _DELETING, _SELECTOR, _TAINT, _CAPACITY,
    _CORDONED, _NOT_READY, _UNHEALTHY, _STATE_TAINT, _FREE, _PORTS,
    _AFFINITY, _ANTI_AFFINITY, _SPREAD,
) = map(int, Predicate)  # fmt: skip


def first_failures(
    snapshot: Snapshot,
    shape: PodShape,
    rows: Rows,
    *,
    now: bool,
    identity: PodIdentity | None = None,
) -> Codes:
    """(rows,) int8: the first predicate that each row fails. Rows of NO_ROW are ABSENT.

    If `now` is False, only what the nodes are counts, up to CAPACITY. `identity` says who the pod
    is; without it neither its terms about other pods count nor theirs about it.
    """
    codes = _by_kind(snapshot, shape, rows).copy()
    _mark(codes, _too_small(snapshot, shape.requests, rows), _CAPACITY)
    if not now:
        return codes
    np.copyto(codes, _by_state(snapshot, shape, rows), where=codes == 0)
    _mark(codes, _short(snapshot, shape.requests, rows, snapshot.used), _FREE)
    if shape.host_ports:
        _mark(codes, ports_taken(snapshot, shape, rows), _PORTS)
    if identity is not None:
        lacking, away, skewed = pod_terms.failing(snapshot, shape, identity)
        for failing, code in ((lacking, _AFFINITY), (away, _ANTI_AFFINITY), (skewed, _SPREAD)):
            if failing is not None:
                _mark(codes, failing[rows], code)
    return codes


def fitting(
    snapshot: Snapshot,
    requests: Resources,
    rows: npt.NDArray[np.intp],
    held: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """(rows,) int64: how many pods of these requests fit beside what is held.

    The number is below zero where more is held than there is.
    """
    asks = snapshot.resources.asks(requests)
    if asks.missing:
        return np.zeros(len(rows), dtype=np.int64)
    where = (asks.lines[:, None], rows)
    left = snapshot.allocatable[where] - held[where]
    counts: npt.NDArray[np.int64] = (left // asks.amounts).min(axis=0)
    return counts


def free(snapshot: Snapshot, shape: PodShape, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
    """(rows,) int64: how many pods of the shape fit now, beside all pods that are there; below zero
    as in `fitting`. Whether a node can take the shape at all is not asked.
    """
    counts = fitting(snapshot, shape.requests, rows, snapshot.used)
    if shape.host_ports:
        counts = np.minimum(counts, 1 - ports_taken(snapshot, shape, rows))
    return counts


def ports_taken(
    snapshot: Snapshot, shape: PodShape, rows: Rows, taken_ports: PortRows | None = None
) -> Bools:
    """(rows,) bool: a pod on the node has a host port that the shape wants.

    `taken_ports` are the ports that count; None for all that are taken now. An address conflicts
    with itself and with "every address" (kube-scheduler's HostPortInfo).
    """
    taken = np.zeros(snapshot.size, dtype=np.bool_)
    ports_by_key = snapshot.ports if taken_ports is None else taken_ports
    for port in shape.host_ports:
        wanted = ports.address(port)
        for address, holders in ports_by_key.get((port.protocol, port.port), {}).items():
            if ports.EVERY_ADDRESS in (wanted, address) or wanted == address:
                taken[holders] = True
    return taken[rows]


def _by_kind(snapshot: Snapshot, shape: PodShape, rows: Rows) -> Codes:
    """ABSENT, DELETING, SELECTOR, TAINT; the memo keeps the answer for all rows."""
    memo = snapshot.layout.memo
    question = ("kind", *selectors.question(shape), shape.tolerations)
    if isinstance(rows, slice):
        return memo.remember(question, lambda: _judge_kind(snapshot, shape, EVERY_ROW))
    every_row = memo.recall(question)
    codes = _judge_kind(snapshot, shape, rows) if every_row is None else every_row[rows]
    codes[rows == NO_ROW] = _ABSENT
    return codes


def _judge_kind(snapshot: Snapshot, shape: PodShape, rows: Rows) -> Codes:
    layout = snapshot.layout
    alive = layout.alive[rows]
    codes: Codes = np.zeros(alive.shape, dtype=np.int8)
    _mark(codes, ~alive, _ABSENT)
    _mark(codes, layout.deleting[rows], _DELETING)
    _mark(codes, ~selectors.matches(layout.labels, layout.row_of, shape, rows), _SELECTOR)
    _mark(codes, ~tolerations.tolerated(layout, shape, rows, now=False), _TAINT)
    return codes


def _short(
    snapshot: Snapshot, requests: Resources, rows: Rows, held: npt.NDArray[np.int64]
) -> Bools:
    """(rows,) bool: of something asked for, less is left beside what is held."""
    asks = snapshot.resources.asks(requests)
    short: Bools = np.full_like(snapshot.layout.alive[rows], bool(asks.missing))
    if isinstance(rows, slice):
        for line, amount in zip(asks.lines, asks.amounts, strict=True):
            short |= snapshot.allocatable[line] - held[line] < amount
    elif not asks.missing:
        where = (asks.lines[:, None], rows)
        short = np.less(snapshot.allocatable[where] - held[where], asks.amounts).any(axis=0)
    return short


def _too_small(snapshot: Snapshot, requests: Resources, rows: Rows) -> Bools:
    """(rows,) bool: too little even without the pods that go; kept for all rows."""
    if not isinstance(rows, slice):
        return _short(snapshot, requests, rows, snapshot.daemon_used)
    return snapshot.capacity.memo.remember(
        requests, lambda: _short(snapshot, requests, EVERY_ROW, snapshot.daemon_used)
    )


def _by_state(snapshot: Snapshot, shape: PodShape, rows: Rows) -> Codes:
    """CORDONED, NOT_READY, UNHEALTHY, STATE_TAINT; for all rows the memo keeps the answer."""
    if isinstance(rows, slice):
        question = ("state", shape.tolerations)
        return snapshot.layout.memo.remember(
            question, lambda: _judge_state(snapshot, shape, EVERY_ROW)
        )
    return _judge_state(snapshot, shape, rows)


def _judge_state(snapshot: Snapshot, shape: PodShape, rows: Rows) -> Codes:
    layout = snapshot.layout
    alive = layout.alive[rows]
    codes: Codes = np.zeros(alive.shape, dtype=np.int8)
    if not tolerations.tolerates(shape.tolerations, tolerations.UNSCHEDULABLE):
        _mark(codes, layout.cordoned[rows], _CORDONED)
    _mark(codes, ~layout.ready[rows], _NOT_READY)
    _mark(codes, layout.unhealthy[rows], _UNHEALTHY)
    _mark(codes, ~tolerations.tolerated(layout, shape, rows, now=True), _STATE_TAINT)
    return codes


def _mark(codes: Codes, failing: Bools, predicate: int) -> None:
    """Give the code to rows that fail and had none."""
    np.putmask(codes, failing & (codes == 0), predicate)
