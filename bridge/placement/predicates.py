"""Which nodes can take a shape, and the first thing in the way on each that can't.

The rules are kube-scheduler's own filters (NodeName, NodeAffinity, TaintToleration,
NodeUnschedulable, NodeResourcesFit, NodePorts), in the order in which the answer helps a user
most: what a node is comes before what state it is in and what is free on it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from bridge.model.ids import NodeName
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape, Taint
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


STATES = (Predicate.CORDONED, Predicate.NOT_READY, Predicate.STATE_TAINT)
PASSING = (Predicate.NOT_READY, Predicate.STATE_TAINT, Predicate.FREE, Predicate.PORTS)
"""What goes away by itself: waiting helps."""


@dataclass(frozen=True, slots=True)
class Feasibility:
    """The answer for all rows of a snapshot. `mask` (n,) bool: the node can take the shape;
    `first_failure` (n,) int8: a `Predicate`, FITS where `mask` is True.
    """

    snapshot: Snapshot
    shape: PodShape
    now: bool
    mask: Bools
    first_failure: Codes

    def names(self) -> list[NodeName]:
        """The nodes that can, by row."""
        return [NodeName(name) for name in self.snapshot.names[self.mask]]

    def summary(self) -> str:
        """What is in the way on how many nodes, most first: for users.

        "12 nodes: taint x=y:NoSchedule; 3 nodes: 4 of 8 nvidia.com/gpu free". Says how many fit
        if some do.
        """
        reasons = sorted(_reasons(self), key=lambda reason: (-reason[0], reason[1]))
        fitting = int(np.count_nonzero(self.mask))
        parts = [f"{_nodes(fitting)} can take it"] if fitting else []
        parts += [f"{_nodes(count)}: {text}" for count, text in reasons]
        return "; ".join(parts) or "no nodes"


def feasible(snapshot: Snapshot, shape: PodShape, *, now: bool) -> Feasibility:
    """Which nodes can take one pod of this shape.

    `now` False: whether they ever could (labels, lasting taints, capacity less what lasting pods
    hold); True: state, free resources, the node's count of pods, and host ports too.
    """
    codes = failures(snapshot, shape, EVERY_ROW, now=now)
    return Feasibility(snapshot, shape, now, codes == Predicate.FITS, codes)


def check_node(
    snapshot: Snapshot, shape: PodShape, node: NodeName, *, extra: Resources = NOTHING
) -> str | None:
    """Why this node can't take a pod of this shape now, with `extra` asked of it on top; None
    if it can.
    """
    row = snapshot.row(node)
    if row == NO_ROW:
        return f"node {node} is not known to Kubernetes"
    rows = np.array([row], dtype=np.intp)
    code = int(failures(snapshot, shape, rows, now=True, extra=extra)[0])
    if code == Predicate.FITS:
        return None
    return f"node {node}: {reason(snapshot, shape, row, Predicate(code), extra=extra)}"


def failures(
    snapshot: Snapshot, shape: PodShape, rows: Rows, *, now: bool, extra: Resources = NOTHING
) -> Codes:
    """(rows,) int8: the first predicate that each row fails. Rows of NO_ROW are ABSENT."""
    layout = snapshot.layout
    codes = _lasting_failures(snapshot, shape, rows).copy()
    requests = views.asks(snapshot.resources, shape.requests + extra)
    capacity = Predicate.CAPACITY
    for ask in requests:
        _mark(codes, room(snapshot, ask, rows, snapshot.lasting) < ask.amount, capacity)
    if now:
        if not taints.tolerates(shape.tolerations, taints.UNSCHEDULABLE):
            _mark(codes, layout.cordoned[rows], Predicate.CORDONED)
        if not taints.tolerates(shape.tolerations, taints.NOT_READY):
            _mark(codes, ~layout.ready[rows], Predicate.NOT_READY)
        state = _untolerated(snapshot, shape, rows, now=True) != taints.TOLERATED
        _mark(codes, state, Predicate.STATE_TAINT)
        for ask in requests:
            free = room(snapshot, ask, rows, snapshot.used)
            _mark(codes, free < ask.amount, Predicate.FREE)
        if shape.host_ports:
            _mark(codes, ports_taken(snapshot, shape)[rows], Predicate.PORTS)
    return codes


def ports_taken(snapshot: Snapshot, shape: PodShape) -> Bools:
    """(n,) bool: a pod on the node has a port that the shape wants.

    An address conflicts with itself and with "every address" (kube-scheduler's HostPortInfo).
    """
    taken = np.zeros(snapshot.size, dtype=np.bool_)
    for port in shape.host_ports:
        wanted = ports.address(port)
        for address, rows in snapshot.ports.get((port.protocol, port.port), {}).items():
            if ports.EVERY_ADDRESS in (wanted, address) or wanted == address:
                taken[rows] = True
    return taken


def reason(
    snapshot: Snapshot, shape: PodShape, row: int, code: Predicate, *, extra: Resources = NOTHING
) -> str:
    """One node's first failure in words, without the node's name."""
    rows = np.array([row], dtype=np.intp)
    return next(text for _, text in _explained(snapshot, shape, rows, code, extra))


def _lasting_failures(snapshot: Snapshot, shape: PodShape, rows: Rows) -> Codes:
    """ABSENT, DELETING, SELECTOR, TAINT: remembered per layout when asked of all rows."""
    key = (shape.node_selector, shape.affinity_terms, shape.tolerations)
    remembered = snapshot.layout.memory.get(key)
    if remembered is not None:
        known: Codes = remembered.view(np.int8)[rows]
    else:
        known = _judge_layout(snapshot, shape, rows)
        if rows == EVERY_ROW if isinstance(rows, slice) else False:
            if len(snapshot.layout.memory) >= views.REMEMBERED:
                snapshot.layout.memory.clear()
            snapshot.layout.memory[key] = known
    if not isinstance(rows, slice):
        known = np.where(rows == NO_ROW, Predicate.ABSENT, known).astype(np.int8)
    return known


def _judge_layout(snapshot: Snapshot, shape: PodShape, rows: Rows) -> Codes:
    layout = snapshot.layout
    codes: Codes = np.zeros(layout.alive[rows].shape, dtype=np.int8)
    _mark(codes, ~layout.alive[rows], Predicate.ABSENT)
    _mark(codes, layout.deleting[rows], Predicate.DELETING)
    matching = selectors.matches(layout.labels, layout.row_of, shape, rows)
    _mark(codes, ~matching, Predicate.SELECTOR)
    untolerated = _untolerated(snapshot, shape, rows, now=False) != taints.TOLERATED
    _mark(codes, untolerated, Predicate.TAINT)
    return codes


def _untolerated(
    snapshot: Snapshot, shape: PodShape, rows: Rows, *, now: bool
) -> npt.NDArray[np.int16]:
    layout = snapshot.layout
    firsts = taints.first_untolerated(
        layout.taints, shape.tolerations, now=now, scheduler_name=layout.scheduler_name
    )
    return firsts[layout.taint_set[rows]]


def _mark(codes: Codes, failing: Bools, predicate: Predicate) -> None:
    """Give the code to rows that fail and had none."""
    codes[np.logical_and(failing, codes == Predicate.FITS)] = predicate


def room(
    snapshot: Snapshot, ask: Ask, rows: Rows, held: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """(rows,) int64: what is left of the asked resource beside what is held."""
    if ask.line == NO_ROW:
        return np.zeros_like(snapshot.allocatable[views.CPU, rows])
    room: npt.NDArray[np.int64] = snapshot.allocatable[ask.line, rows] - held[ask.line, rows]
    return room


def _reasons(result: Feasibility) -> Iterator[tuple[int, str]]:
    """(count of nodes, reason), without empty rows."""
    counts: dict[str, int] = {}
    for code in Predicate:
        if code in (Predicate.FITS, Predicate.ABSENT):
            continue
        rows = np.flatnonzero(result.first_failure == code)
        if len(rows):
            for count, text in _explained(result.snapshot, result.shape, rows, code, NOTHING):
                counts[text] = counts.get(text, 0) + count
    for text, count in counts.items():
        yield count, text


def _explained(
    snapshot: Snapshot,
    shape: PodShape,
    rows: npt.NDArray[np.intp],
    code: Predicate,
    extra: Resources,
) -> Iterator[tuple[int, str]]:
    """(count, reason) for rows that all fail first at `code`."""
    match code:
        case Predicate.SELECTOR:
            yield from _selector_reasons(snapshot, shape, rows)
        case Predicate.TAINT | Predicate.STATE_TAINT:
            yield from _taint_reasons(snapshot, shape, rows, code)
        case Predicate.CAPACITY | Predicate.FREE:
            yield from _amount_reasons(snapshot, shape.requests + extra, rows, code)
        case _:
            yield len(rows), _WORDS[code]


def _selector_reasons(
    snapshot: Snapshot, shape: PodShape, rows: npt.NDArray[np.intp]
) -> Iterator[tuple[int, str]]:
    layout = snapshot.layout
    for key, value in shape.node_selector:
        one = PodShape(node_selector=((key, value),))
        matching = selectors.matches(layout.labels, layout.row_of, one, rows)
        if not matching.all():
            yield int(np.count_nonzero(~matching)), f"no label {key}={value}"
        rows = rows[matching]
    if len(rows):
        yield len(rows), "required node affinity not met"


def _taint_reasons(
    snapshot: Snapshot, shape: PodShape, rows: npt.NDArray[np.intp], code: Predicate
) -> Iterator[tuple[int, str]]:
    now = code == Predicate.STATE_TAINT
    layout = snapshot.layout
    firsts = taints.first_untolerated(
        layout.taints, shape.tolerations, now=now, scheduler_name=layout.scheduler_name
    )
    numbers, counts = np.unique(layout.taint_set[rows], return_counts=True)
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        taint_set = layout.taints.values[number] or ()
        yield count, f"taint {_taint(taint_set[int(firsts[number])])}"


def _amount_reasons(
    snapshot: Snapshot, requests: Resources, rows: npt.NDArray[np.intp], code: Predicate
) -> Iterator[tuple[int, str]]:
    held = snapshot.lasting if code == Predicate.CAPACITY else snapshot.used
    for ask in views.asks(snapshot.resources, requests):
        left = room(snapshot, ask, rows, held)
        short = left < ask.amount
        if short.any():
            yield (
                int(np.count_nonzero(short)),
                _amounts(snapshot, ask, rows[short], left[short], code),
            )
        rows = rows[~short]


def _amounts(
    snapshot: Snapshot,
    ask: Ask,
    rows: npt.NDArray[np.intp],
    left: npt.NDArray[np.int64],
    code: Predicate,
) -> str:
    """ "4 of 8 nvidia.com/gpu free", with a range where nodes differ."""
    if code == Predicate.CAPACITY:
        return f"{_range(ask, left)} {ask.name} in all, {_amount(ask, ask.amount)} asked"
    whole = snapshot.allocatable[ask.line, rows]
    return f"{_range(ask, left)} of {_range(ask, whole)} {ask.name} free"


def _range(ask: Ask, values: npt.NDArray[np.int64]) -> str:
    low, high = _amount(ask, int(values.min())), _amount(ask, int(values.max()))
    return low if low == high else f"{low} to {high}"


def _amount(ask: Ask, value: int) -> str:
    if ask.line == views.CPU:
        return f"{value / 1000:g}"
    if ask.line in (views.MEMORY, views.EPHEMERAL):
        return f"{value / 2**30:.4g}Gi"
    return str(value)


def _taint(taint: Taint) -> str:
    value = f"={taint.value}" if taint.value else ""
    return f"{taint.key}{value}:{taint.effect}"


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"


_WORDS = {
    Predicate.ABSENT: "not known to Kubernetes",
    Predicate.DELETING: "being deleted",
    Predicate.CORDONED: "cordoned",
    Predicate.NOT_READY: "not ready",
    Predicate.PORTS: "a host port is taken",
}
