"""What if: the same questions asked of a cluster that is not there (yet).

Would this gang fit if those jobs ended, those nodes came back, these were drained? The answer is
a snapshot like any other, so every question of this package can be asked of it. The snapshot it
is made from is not touched; what does not change is shared.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from bridge.model.ids import NodeName, PodUid
from bridge.model.scheduling import PodShape
from bridge.placement import failures, ports, taints
from bridge.placement.grants import UNBOUNDED
from bridge.placement.interning import Memory, Vocabulary
from bridge.placement.ports import PortKey, PortRows
from bridge.placement.snapshot import Capacity, Holding, Layout, Snapshot
from bridge.placement.taints import TaintSet


def what_if(
    snapshot: Snapshot,
    *,
    ended: Collection[PodUid] = (),
    back: Collection[NodeName] = (),
    drained: Collection[NodeName] = (),
) -> Snapshot:
    """The snapshot as it would be without these pods (lasting ones too, if named), with these
    nodes in service again, and with these cordoned. Pods and nodes that it does not know are
    passed over; a node in both lists is drained.
    """
    holdings = [held for pod in set(ended) if (held := snapshot.pods.get(pod)) is not None]
    return replace(
        snapshot,
        layout=_layout(snapshot, back, drained) if back or drained else snapshot.layout,
        used=_without(snapshot, snapshot.used, holdings),
        capacity=_capacity_without(snapshot, [one for one in holdings if one.lasting]),
        ports=_ports_without(snapshot.ports, holdings),
        pods=snapshot.pods.without(ended),
    )


def slots(snapshot: Snapshot, shape: PodShape) -> npt.NDArray[np.int64]:
    """(n,) int64: pods of the shape that each node takes now, ports and count of pods included.

    Their sum against a gang's size answers whether it would fit, grants aside.
    """
    codes = failures.failures(snapshot, shape, failures.EVERY_ROW, now=True)
    counts = np.zeros(snapshot.size, dtype=np.int64)
    rows = np.flatnonzero(codes == failures.Predicate.FITS)
    counts[rows] = failures.fitting(snapshot, shape.requests, rows, snapshot.used)
    return np.minimum(counts, 1 if shape.host_ports else UNBOUNDED)


def _without(
    snapshot: Snapshot, held: npt.NDArray[np.int64], holdings: Sequence[Holding]
) -> npt.NDArray[np.int64]:
    if not holdings:
        return held
    left = held.copy()
    for holding in holdings:
        asks = snapshot.resources.asks(holding.shape.requests)
        left[asks.lines, holding.row] -= asks.amounts[:, 0]
    return left


def _capacity_without(snapshot: Snapshot, holdings: Sequence[Holding]) -> Capacity:
    if not holdings:
        return snapshot.capacity
    return Capacity(snapshot.allocatable, _without(snapshot, snapshot.lasting, holdings))


def _ports_without(taken: PortRows, holdings: Sequence[Holding]) -> PortRows:
    """One holder less for each port of each pod; a port may have had several on one node."""
    fewer: dict[tuple[PortKey, str], list[int]] = {}
    for holding in holdings:
        for port in holding.shape.host_ports:
            taken_at = ((port.protocol, port.port), ports.address(port))
            fewer.setdefault(taken_at, []).append(holding.row)
    if not fewer:
        return taken
    left = {key: dict(hosts) for key, hosts in taken.items()}
    for (key, host), gone in fewer.items():
        rows = left[key][host].tolist()
        for row in gone:
            rows.remove(row)
        left[key][host] = np.array(rows, dtype=np.intp)
    return left


def _layout(
    snapshot: Snapshot, back: Collection[NodeName], drained: Collection[NodeName]
) -> Layout:
    layout = snapshot.layout
    returned, gone = (rows[rows >= 0] for rows in (snapshot.rows(back), snapshot.rows(drained)))
    ready, cordoned = layout.ready.copy(), layout.cordoned.copy()
    ready[returned], cordoned[returned], cordoned[gone] = True, False, True
    taint_set, vocabulary = _without_states(layout, returned)
    return replace(
        layout,
        ready=ready,
        cordoned=cordoned,
        taint_set=taint_set,
        taints=vocabulary,
        memory=Memory(),
    )


def _without_states(
    layout: Layout, rows: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.int32], Vocabulary[TaintSet]]:
    """Taint sets of these rows without the taints of a state; new sets get new numbers."""
    values = list(layout.taints.values)
    clean = np.arange(len(values), dtype=np.int32)
    for number in np.unique(layout.taint_set[rows]).tolist():
        kept = tuple(taint for taint in values[number] or () if not taints.is_state(taint))
        if kept != values[number]:
            clean[number] = len(values)
            values.append(kept)
    taint_set = layout.taint_set.copy()
    taint_set[rows] = clean[taint_set[rows]]
    return taint_set, Vocabulary(tuple(values))
