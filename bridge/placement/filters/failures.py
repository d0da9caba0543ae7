"""The first thing that keeps a shape off each node, as a code per row.

The rules are kube-scheduler's own filters (NodeName, NodeAffinity, VolumeZone, TaintToleration,
NodeUnschedulable, NodeResourcesFit, NodePorts), in the order in which the answer helps a user
most: what a node is comes before what state it is in and what is free on it.
"""

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from bridge.placement.filters import selectors
from bridge.placement.filters.selectors import Rows
from bridge.placement.table import ports, taints
from bridge.placement.table.interning import Bools
from bridge.placement.table.snapshot import NO_ROW, Snapshot

Codes = npt.NDArray[np.int8]
"""Values of `Predicate`."""

EVERY_ROW = slice(None)


class Predicate(IntEnum):
    """What a node failed first; in the order in which they are checked."""

    FITS = 0
    ABSENT = 1
    """Kubernetes knows no such node (also: an empty row)."""
    DELETING = 2
    SELECTOR = 3
    """Node selector, required node affinity, or where a bound volume can be reached."""
    TAINT = 4
    """A taint that says what the node is."""
    CAPACITY = 5
    """Not even an empty node of this kind could take it."""
    CORDONED = 6
    NOT_READY = 7
    STATE_TAINT = 8
    """A taint that comes and goes with the node's state."""
    FREE = 9
    """Something is used up now."""
    PORTS = 10


PASSING = (Predicate.NOT_READY, Predicate.STATE_TAINT, Predicate.FREE, Predicate.PORTS)
"""What goes away by itself: waiting helps."""

# As plain numbers: looking up an enum's member costs more than the comparison it is used in.
(
    _, _ABSENT, _DELETING, _SELECTOR, _TAINT, _CAPACITY,
    _CORDONED, _NOT_READY, _STATE_TAINT, _FREE, _PORTS,
) = map(int, Predicate)  # fmt: skip


def failures(snapshot: Snapshot, shape: PodShape, rows: Rows, *, now: bool) -> Codes:
    """(rows,) int8: the first predicate that each row fails. Rows of NO_ROW are ABSENT."""
    codes = _by_kind(snapshot, shape, rows).copy()
    _mark(codes, _too_small(snapshot, shape.requests, rows), _CAPACITY)
    if not now:
        return codes
    np.copyto(codes, _by_state(snapshot, shape, rows), where=codes == 0)
    _mark(codes, _short(snapshot, shape.requests, rows, snapshot.used), _FREE)
    if shape.host_ports:
        _mark(codes, ports_taken(snapshot, shape, rows), _PORTS)
    return codes


def fitting(
    snapshot: Snapshot,
    requests: Resources,
    rows: npt.NDArray[np.intp],
    held: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """(rows,) int64: pods of these requests that fit beside what is held; below zero where too
    much is held already.
    """
    asks = snapshot.resources.asks(requests)
    if asks.missing:
        return np.zeros(len(rows), dtype=np.int64)
    where = (asks.lines[:, None], rows)
    left = snapshot.allocatable[where] - held[where]
    counts: npt.NDArray[np.int64] = (left // asks.amounts).min(axis=0)
    return counts


def ports_taken(snapshot: Snapshot, shape: PodShape, rows: Rows) -> Bools:
    """(rows,) bool: a pod on the node has a port that the shape wants.

    An address conflicts with itself and with "every address" (kube-scheduler's HostPortInfo).
    """
    taken = np.zeros(snapshot.size, dtype=np.bool_)
    for port in shape.host_ports:
        wanted = ports.address(port)
        for address, holders in snapshot.ports.get((port.protocol, port.port), {}).items():
            if ports.EVERY_ADDRESS in (wanted, address) or wanted == address:
                taken[holders] = True
    return taken[rows]


def untolerated(
    snapshot: Snapshot, shape: PodShape, rows: Rows, *, now: bool
) -> npt.NDArray[np.int32]:
    """(rows,) int32: index of the first taint that keeps the shape away, or TOLERATED."""
    layout = snapshot.layout
    firsts = taints.first_untolerated(
        layout.taints, shape.tolerations, now=now, scheduler_name=layout.scheduler_name
    )
    return firsts[layout.taint_set[rows]]


def _by_kind(snapshot: Snapshot, shape: PodShape, rows: Rows) -> Codes:
    """ABSENT, DELETING, SELECTOR, TAINT; remembered per layout once asked of all rows."""
    memory = snapshot.layout.memory
    question = ("kind", *selectors.question(shape), shape.tolerations)
    if isinstance(rows, slice):
        return memory.remember(question, lambda: _judge_kind(snapshot, shape, EVERY_ROW))
    remembered = memory.recall(question)
    codes = _judge_kind(snapshot, shape, rows) if remembered is None else remembered[rows]
    codes[rows == NO_ROW] = _ABSENT
    return codes


def _judge_kind(snapshot: Snapshot, shape: PodShape, rows: Rows) -> Codes:
    layout = snapshot.layout
    alive = layout.alive[rows]
    codes: Codes = np.zeros(alive.shape, dtype=np.int8)
    _mark(codes, ~alive, _ABSENT)
    _mark(codes, layout.deleting[rows], _DELETING)
    _mark(codes, ~selectors.matches(layout.labels, layout.row_of, shape, rows), _SELECTOR)
    _mark(codes, untolerated(snapshot, shape, rows, now=False) != taints.TOLERATED, _TAINT)
    return codes


def _short(
    snapshot: Snapshot, requests: Resources, rows: Rows, held: npt.NDArray[np.int64]
) -> Bools:
    """(rows,) bool: something asked for is not left beside what is held."""
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
    """(rows,) bool: short even without the pods that go; remembered once asked of all rows."""
    if not isinstance(rows, slice):
        return _short(snapshot, requests, rows, snapshot.lasting)
    return snapshot.capacity.memory.remember(
        requests, lambda: _short(snapshot, requests, EVERY_ROW, snapshot.lasting)
    )


def _by_state(snapshot: Snapshot, shape: PodShape, rows: Rows) -> Codes:
    """CORDONED, NOT_READY, STATE_TAINT; remembered per layout when asked of all rows."""
    if isinstance(rows, slice):
        question = ("state", shape.tolerations)
        return snapshot.layout.memory.remember(
            question, lambda: _judge_state(snapshot, shape, EVERY_ROW)
        )
    return _judge_state(snapshot, shape, rows)


def _judge_state(snapshot: Snapshot, shape: PodShape, rows: Rows) -> Codes:
    layout = snapshot.layout
    alive = layout.alive[rows]
    codes: Codes = np.zeros(alive.shape, dtype=np.int8)
    if not taints.tolerates(shape.tolerations, taints.UNSCHEDULABLE):
        _mark(codes, layout.cordoned[rows], _CORDONED)
    if not taints.tolerates(shape.tolerations, taints.NOT_READY):
        _mark(codes, ~layout.ready[rows], _NOT_READY)
    _mark(codes, untolerated(snapshot, shape, rows, now=True) != taints.TOLERATED, _STATE_TAINT)
    return codes


def _mark(codes: Codes, failing: Bools, predicate: int) -> None:
    """Give the code to rows that fail and had none."""
    np.putmask(codes, failing & (codes == 0), predicate)
