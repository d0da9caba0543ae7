"""What Slurm does not count: the pods of a node, huge pages, ephemeral storage, host ports, a
site's own devices; and whatever pods hold that it does not know of.

Classes are chosen by labels and taints, and Slurm chooses among their nodes by CPUs, memory and
GRES. If a node lacks anything else that a pod asks for, now or ever, this would show only after the
grant. So it is said to Slurm before: a class is left out if none of its nodes can take the pod, and
single nodes that can't are excluded by name. Whatever changes after that is checked before the pods
are ungated.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from bridge.model.ids import NodeName
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from bridge.placement.filters import failures
from bridge.placement.filters.classes import MOST_NAMES, all_classes, classes
from bridge.placement.filters.feasibility import feasible
from bridge.placement.table.interning import Bools
from bridge.placement.table.snapshot import Snapshot

_UNBOUNDED = 2**31 - 1
"""More pods of a shape than any node takes."""
_COUNTED = frozenset({"cpu", "memory"})


def is_counted(resource: str, resource_map: Mapping[str, str]) -> bool:
    """Whether Slurm counts the resource. `resource_map`: extended resources that it has as GRES."""
    return resource in _COUNTED or resource in resource_map


def of(requests: Resources, resource_map: Mapping[str, str]) -> Resources:
    """What a pod asks for that Slurm does not count."""
    return Resources(
        ephemeral_bytes=requests.ephemeral_bytes,
        extended=tuple(
            (name, count) for name, count in requests.extended if name not in resource_map
        ),
    )


def able(
    snapshot: Snapshot,
    shape: PodShape,
    chosen: Collection[str],
    *,
    resource_map: Mapping[str, str],
) -> tuple[frozenset[str], tuple[NodeName, ...]]:
    """Keep the `chosen` classes that have a node which could ever take the shape, and name their
    nodes that never could, because they lack something that Slurm does not count.

    At most 64 nodes are named, because every name costs slurmctld memory in every job. If more
    nodes lack something, the check before ungating gives their grants back.
    """
    members = classes(snapshot)
    could = frozenset(feasible(snapshot, shape, now=False).names())
    left = frozenset(name for name in chosen if not could.isdisjoint(members.get(name, ())))
    uncounted = of(shape.requests, resource_map)
    if uncounted == Resources():
        return left, ()
    can_give = frozenset(feasible(snapshot, replace(shape, requests=uncounted), now=False).names())
    without = sorted(node for name in left for node in members[name] if node not in can_give)
    return left, tuple(without[:MOST_NAMES])


@dataclass(frozen=True, slots=True)
class Full:
    """Nodes without room now. `classes` are those of which no node has room, `nodes` single nodes
    of other classes. `room`: how many pods find room on all other nodes together, and `most`: how
    many would without the pods that go. `rows` are those of all the nodes without room."""

    classes: frozenset[str]
    nodes: tuple[NodeName, ...]
    room: int
    most: int = field(compare=False)
    rows: npt.NDArray[np.intp] = field(compare=False)

    @property
    def limits(self) -> bool:
        """Whether there is any such node."""
        return bool(self.classes or self.nodes)


def full(
    snapshot: Snapshot,
    shape: PodShape,
    chosen: Collection[str],
    left_out: Collection[NodeName],
    *,
    resource_map: Mapping[str, str],
    shut: Bools | None = None,
) -> Full:
    """Find the nodes of the `chosen` classes that are full now, though Slurm may think otherwise.

    The room of pods that are being ended counts as free: it is worth waiting for. `left_out` are
    nodes that the job leaves out anyway, and that offer no room. `shut` (n,) bool are nodes that
    the pods there keep the shape off.
    """
    every = all_classes(snapshot.layout)
    wanted = np.array([*(name in chosen for name in every.names), False])
    rows = np.flatnonzero(wanted[every.number])
    rows = rows[~np.isin(rows, snapshot.rows(tuple(left_out)))]
    counts = room(snapshot, shape, rows, resource_map, shut)
    with_room = np.zeros(len(wanted), dtype=np.bool_)
    with_room[every.number[rows[counts > 0]]] = True
    lacking = rows[(counts == 0) & with_room[every.number[rows]]]
    return Full(
        classes=frozenset(every.names[at] for at in np.flatnonzero(wanted & ~with_room)),
        nodes=tuple(sorted(snapshot.names[lacking].tolist())[:MOST_NAMES]),
        room=int(counts.sum()),
        most=int(most(snapshot, shape, rows).sum()),
        rows=rows[counts == 0],
    )


def room(
    snapshot: Snapshot,
    shape: PodShape,
    rows: npt.NDArray[np.intp],
    resource_map: Mapping[str, str],
    shut: Bools | None = None,
) -> npt.NDArray[np.int64]:
    """(rows,) int64: how many pods of the shape find room: of what Slurm counts, beside pods that
    it does not know of; of anything else, beside all pods that nobody is ending. `shut` (n,) bool
    are nodes with room for none."""
    requests = shape.requests
    counts = most(snapshot, shape, rows)
    lines = snapshot.resources.asks(requests).lines
    has_others = (snapshot.staying[lines] != snapshot.daemon_used[lines]).any(axis=0)[rows]
    beside_others = failures.fitting(snapshot, requests, rows[has_others], snapshot.staying)
    counts[has_others] = np.minimum(counts[has_others], beside_others)
    counts = np.minimum(counts, beside(snapshot, shape, rows, resource_map))
    if shut is not None:
        counts = np.where(shut[rows], 0, counts)
    return np.maximum(counts, 0)


def beside(
    snapshot: Snapshot,
    shape: PodShape,
    rows: npt.NDArray[np.intp],
    resource_map: Mapping[str, str],
) -> npt.NDArray[np.int64]:
    """(rows,) int64: how many pods of the shape find what Slurm does not count, beside all pods
    that nobody is ending; below zero as in `failures.fitting`."""
    counts = failures.fitting(snapshot, of(shape.requests, resource_map), rows, snapshot.lasting)
    if shape.host_ports:
        taken = failures.ports_taken(snapshot, shape, rows, snapshot.lasting_ports)
        counts = np.minimum(counts, 1 - taken)
    return counts


def most(snapshot: Snapshot, shape: PodShape, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
    """(rows,) int64: how many pods of the shape the nodes take without the pods that go."""

    def of_all() -> npt.NDArray[np.int32]:
        every = np.arange(snapshot.size)
        counts = failures.fitting(snapshot, shape.requests, every, snapshot.daemon_used)
        return np.clip(counts, 0, _UNBOUNDED).astype(np.int32)

    question = ("most", shape.requests)
    counts = snapshot.capacity.memo.remember(question, of_all)[rows].astype(np.int64)
    return np.minimum(counts, 1) if shape.host_ports else counts
