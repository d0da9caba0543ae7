"""All nodes and what is used of them, at one moment. Immutable; readers share it freely.

Two parts with different lives: the `Layout` (which nodes there are, labels, taints, state,
switches) changes now and then and carries what was computed from it; amounts change with every
pod. Row numbers are stable while a node exists; rows between may be empty.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from bridge.model.ids import NodeName, PodUid
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from bridge.placement.table.interning import Memory, Vocabulary
from bridge.placement.table.labels import Labels
from bridge.placement.table.paths import Paths
from bridge.placement.table.shards import FrozenShards
from bridge.placement.table.taints import TaintSet

CPU: Final = 0
MEMORY: Final = 1
EPHEMERAL: Final = 2
PODS: Final = 3
FIXED: Final[Mapping[str, int]] = {
    "cpu": CPU,
    "memory": MEMORY,
    "ephemeral-storage": EPHEMERAL,
    "pods": PODS,
}
"""Lines of the amounts that every cluster has: CPU in thousandths, bytes, bytes, pieces."""

NO_ROW: Final = -1

MOST: Final = 2**50
"""What a node has is cut here (a pebibyte), and what a pod asks for one beyond, where it fits
nowhere: so the sum over 8,000 pods of one node cannot overflow 64 bits.
"""

REMEMBERED = 1024
"""Requests whose lines are known."""
MOST_REMEMBERED = 64
"""Resources of requests that are remembered; real pods ask for two or three."""


@dataclass(frozen=True, slots=True)
class Asks:
    """What one pod asks for, without zeros; its place among the node's pods is the first.

    `lines` (asks,) intp and `amounts` (asks, 1) int64 belong together; `missing` are resources
    that no node has (they are not among the lines).
    """

    lines: npt.NDArray[np.intp]
    amounts: npt.NDArray[np.int64]
    missing: tuple[tuple[str, int], ...]


class Lines(dict[str, int]):
    """Resource name → line of the amounts; never changed once it is in a snapshot.

    Remembers what shapes ask for in terms of lines: pods of one template ask again and again.
    """

    __slots__ = ("_asks",)

    def __init__(self, lines: Mapping[str, int]) -> None:
        super().__init__(lines)
        self._asks: dict[Resources, Asks] = {}

    def asks(self, requests: Resources) -> Asks:
        """What is asked of which line."""
        if len(requests.extended) > MOST_REMEMBERED:
            return self._translate(requests)
        known = self._asks.get(requests)
        if known is None:
            if len(self._asks) >= REMEMBERED:
                self._asks.clear()
            known = self._asks[requests] = self._translate(requests)
        return known

    def _translate(self, requests: Resources) -> Asks:
        wanted = {
            "pods": 1,
            "cpu": requests.cpu_milli,
            "memory": requests.memory_bytes,
            "ephemeral-storage": requests.ephemeral_bytes,
            **dict(requests.extended),
        }
        found = [
            (self[name], min(amount, MOST + 1))
            for name, amount in wanted.items()
            if amount > 0 and name in self
        ]
        return Asks(
            lines=np.array([line for line, _ in found], dtype=np.intp),
            amounts=np.array([[amount] for _, amount in found], dtype=np.int64),
            missing=tuple((name, n) for name, n in wanted.items() if n > 0 and name not in self),
        )


@dataclass(frozen=True, slots=True)
class Holding:
    """What a pod holds: row of its node, and its shape. `lasting` pods (of DaemonSets, of the
    kubelet itself) come back when they go, so their share never gets free.
    """

    row: int
    shape: PodShape
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """Nodes without amounts. Arrays are (n,), by row; n is the snapshot's size."""

    names: npt.NDArray[np.object_]
    """str; "" in rows that no node has."""
    row_of: FrozenShards[NodeName, int]
    """Also of nodes that are gone, while pods hold on to them."""
    alive: npt.NDArray[np.bool_]
    """Kubernetes knows the node."""
    ready: npt.NDArray[np.bool_]
    cordoned: npt.NDArray[np.bool_]
    deleting: npt.NDArray[np.bool_]
    labels: Labels
    taint_set: npt.NDArray[np.int32]
    taints: Vocabulary[TaintSet]
    path: npt.NDArray[np.int32]
    paths: Vocabulary[Paths]
    block_sizes: Mapping[str, Sequence[int]]
    """Block topologies by name → nodes of a base block, then of each larger one, ascending."""
    scheduler_name: str
    memory: Memory = field(default_factory=Memory, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the nodes have for pods that go again: (resources, n) int64.

    `lasting` is the part of `allocatable` that pods hold who come back when they go.
    """

    allocatable: npt.NDArray[np.int64]
    lasting: npt.NDArray[np.int64]
    memory: Memory = field(default_factory=Memory, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The layout plus amounts; `allocatable`, `lasting`, `used` are (resources, n) int64.

    Lines are found by `resources` (name → line): CPU in thousandths, memory and ephemeral
    storage in bytes, everything else (pods, extended resources) in pieces. `used` is what all
    pods hold, lasting ones included.
    """

    layout: Layout
    resources: Lines
    capacity: Capacity
    used: npt.NDArray[np.int64]
    ports: Mapping[tuple[str, int], Mapping[str, npt.NDArray[np.intp]]]
    """(protocol, port) → host address ("" for all) → a row for each pod that has it."""
    pods: FrozenShards[PodUid, Holding]

    @property
    def allocatable(self) -> npt.NDArray[np.int64]:
        """What each node has in all."""
        return self.capacity.allocatable

    @property
    def lasting(self) -> npt.NDArray[np.int64]:
        """What pods hold that come back when they go."""
        return self.capacity.lasting

    @property
    def size(self) -> int:
        """Rows, empty ones included."""
        return len(self.layout.names)

    @property
    def names(self) -> npt.NDArray[np.object_]:
        """(n,) names by row; "" in empty rows."""
        return self.layout.names

    def row(self, node: NodeName) -> int:
        """The node's row, NO_ROW if Kubernetes does not know it."""
        row = self.layout.row_of.find(node, NO_ROW)
        return row if row != NO_ROW and self.layout.alive[row] else NO_ROW

    def rows(self, nodes: Collection[NodeName]) -> npt.NDArray[np.intp]:
        """(nodes,) rows, NO_ROW for those that Kubernetes does not know."""
        rows = np.array(self.layout.row_of.find_all(nodes, NO_ROW), dtype=np.intp)
        rows[~self.layout.alive[rows]] = NO_ROW
        return rows
