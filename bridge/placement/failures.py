"""The first thing that keeps a shape off each node, as a code per row.

The rules are kube-scheduler's own filters (NodeName, NodeAffinity, VolumeZone, TaintToleration,
NodeUnschedulable, NodeResourcesFit, NodePorts), in the order in which the answer helps a user
most: what a node is comes before what state it is in and what is free on it.
"""

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape, Requirement
from bridge.placement import ports, selectors, taints
from bridge.placement import snapshot as views
from bridge.placement.interning import Bools
from bridge.placement.selectors import Rows
from bridge.placement.snapshot import NO_ROW, Ask, Snapshot

Codes = npt.NDArray[np.int8]
"""Values of `Predicate`."""

EVERY_ROW = slice(None)
NOTHING = Resources()


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
    DOMAIN = 11
    """Pod (anti-)affinity or topology spread, by where other pods are now."""


PASSING = (
    Predicate.NOT_READY, Predicate.STATE_TAINT, Predicate.FREE, Predicate.PORTS, Predicate.DOMAIN
)  # fmt: skip
"""What goes away by itself: waiting helps."""


def failures(
    snapshot: Snapshot,
    shape: PodShape,
    rows: Rows,
    *,
    now: bool,
    extra: Resources = NOTHING,
    also: Sequence[Requirement] = (),
) -> Codes:
    """(rows,) int8: the first predicate that each row fails. Rows of NO_ROW are ABSENT.

    `extra` is asked of the node on top of the shape's requests; `also` are requirements on the
    node's labels that other pods' places make (see `domains`). Both count only `now`.
    """
    codes = _by_kind(snapshot, shape, rows).copy()
    for ask in views.asks(snapshot.resources, shape.requests):
        _mark(codes, room(snapshot, ask, rows, snapshot.lasting) < ask.amount, Predicate.CAPACITY)
    if now:
        _by_state(snapshot, shape, rows, codes)
        requests = shape.requests if extra is NOTHING else shape.requests + extra
        for ask in views.asks(snapshot.resources, requests):
            _mark(codes, room(snapshot, ask, rows, snapshot.used) < ask.amount, Predicate.FREE)
        if shape.host_ports:
            _mark(codes, ports_taken(snapshot, shape, rows), Predicate.PORTS)
        if also:
            met = selectors.all_of(snapshot.layout.labels, also, rows)
            _mark(codes, ~met, Predicate.DOMAIN)
    return codes


def room(
    snapshot: Snapshot, ask: Ask, rows: Rows, held: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """(rows,) int64: what is left of the asked resource beside what is held."""
    if ask.line == NO_ROW:
        return np.zeros_like(snapshot.allocatable[views.CPU, rows])
    left: npt.NDArray[np.int64] = snapshot.allocatable[ask.line, rows] - held[ask.line, rows]
    return left


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
) -> npt.NDArray[np.int16]:
    """(rows,) int16: index of the first taint that keeps the shape away, or TOLERATED."""
    layout = snapshot.layout
    firsts = taints.first_untolerated(
        layout.taints, shape.tolerations, now=now, scheduler_name=layout.scheduler_name
    )
    return firsts[layout.taint_set[rows]]


def _by_kind(snapshot: Snapshot, shape: PodShape, rows: Rows) -> Codes:
    """ABSENT, DELETING, SELECTOR, TAINT; remembered per layout once asked of all rows."""
    question = ("kind", *selectors.question(shape), shape.tolerations)
    if isinstance(rows, slice):
        return snapshot.layout.remember(question, lambda: _judge_kind(snapshot, shape, EVERY_ROW))
    remembered = snapshot.layout.memory.get(question)
    codes = _judge_kind(snapshot, shape, rows) if remembered is None else remembered[rows]
    codes[rows == NO_ROW] = Predicate.ABSENT
    return codes


def _judge_kind(snapshot: Snapshot, shape: PodShape, rows: Rows) -> Codes:
    layout = snapshot.layout
    alive = layout.alive[rows]
    codes: Codes = np.zeros(alive.shape, dtype=np.int8)
    _mark(codes, ~alive, Predicate.ABSENT)
    _mark(codes, layout.deleting[rows], Predicate.DELETING)
    matching = selectors.matches(layout.labels, layout.row_of, shape, rows)
    _mark(codes, ~matching, Predicate.SELECTOR)
    first = untolerated(snapshot, shape, rows, now=False)
    _mark(codes, first != taints.TOLERATED, Predicate.TAINT)
    return codes


def _by_state(snapshot: Snapshot, shape: PodShape, rows: Rows, codes: Codes) -> None:
    layout = snapshot.layout
    if not taints.tolerates(shape.tolerations, taints.UNSCHEDULABLE):
        _mark(codes, layout.cordoned[rows], Predicate.CORDONED)
    if not taints.tolerates(shape.tolerations, taints.NOT_READY):
        _mark(codes, ~layout.ready[rows], Predicate.NOT_READY)
    first = untolerated(snapshot, shape, rows, now=True)
    _mark(codes, first != taints.TOLERATED, Predicate.STATE_TAINT)


def _mark(codes: Codes, failing: Bools, predicate: Predicate) -> None:
    """Give the code to rows that fail and had none."""
    np.putmask(codes, failing & (codes == Predicate.FITS), predicate)
