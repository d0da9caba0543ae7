"""All nodes and what is used of them, at one moment. Immutable; readers share it freely.

A snapshot has two parts with different lives. The `Layout` (which nodes exist, their labels,
taints, state and switches) changes now and then, and carries what was computed from it. Amounts
change with every pod. A node keeps its row number while it exists; rows in between may be empty.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from bridge.model.ids import NodeName, PodUid
from bridge.model.scheduling import PodShape
from bridge.placement.table.amounts import Lines
from bridge.placement.table.interning import Memo, Vocabulary
from bridge.placement.table.labels import Labels
from bridge.placement.table.namespaces import Namespaces
from bridge.placement.table.paths import Paths
from bridge.placement.table.placed_pods import PlacedPods
from bridge.placement.table.ports import PortRows
from bridge.placement.table.shards import FrozenShards
from bridge.placement.table.taints import TaintSet

NO_ROW: Final = -1


@dataclass(frozen=True, slots=True)
class Holding:
    """What a pod holds: the row of its node, and its shape.

    A `daemon` pod (of a DaemonSet, or of the kubelet itself) comes back when it goes, so its share
    of the node never gets free. A pod that `stays` is not being ended by anybody, and the bridge
    can't tell when it ends. One that is `ending` is being deleted.
    """

    row: int
    shape: PodShape
    daemon: bool = False
    stays: bool = False
    ending: bool = False
    place: int = field(default=-1, compare=False)
    """Its place in `PlacedPods`."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Nodes without amounts. Arrays are (n,), by row; n is the snapshot's size."""

    names: npt.NDArray[np.object_]
    """str; "" in rows that no node has."""
    row_of: FrozenShards[NodeName, int]
    """Node → row; also of deleted nodes while pods still hold something there."""
    alive: npt.NDArray[np.bool_]
    """Kubernetes has the node."""
    ready: npt.NDArray[np.bool_]
    cordoned: npt.NDArray[np.bool_]
    unhealthy: npt.NDArray[np.bool_]
    """One of its conditions or taints closes it."""
    deleting: npt.NDArray[np.bool_]
    labels: Labels
    taint_set: npt.NDArray[np.int32]
    taints: Vocabulary[TaintSet]
    path: npt.NDArray[np.int32]
    paths: Vocabulary[Paths]
    block_sizes: Mapping[str, Sequence[int]]
    """Block topologies by name → nodes of a base block, then of each larger one, ascending."""
    scheduler_name: str
    memo: Memo = field(default_factory=Memo, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the nodes have for pods that go again: (resources, n) int64.

    `daemon_used` is the part of `allocatable` that daemon pods hold.
    """

    allocatable: npt.NDArray[np.int64]
    daemon_used: npt.NDArray[np.int64]
    memo: Memo = field(default_factory=Memo, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The layout plus amounts, all of them (resources, n) int64.

    `resources` gives the line of each resource (`amounts` names the units). `used` is what all
    pods hold, daemon pods included; `staying` the part that daemon pods and pods that stay hold.
    `ending` (row → (resources,) int64) is the part that pods hold which are being deleted and do
    not come back; few rows have any.
    `lasting_ports` are the host ports of all other pods.
    `placed` says who all these pods are.
    """

    layout: Layout
    resources: Lines
    capacity: Capacity
    used: npt.NDArray[np.int64]
    staying: npt.NDArray[np.int64]
    ending: Mapping[int, npt.NDArray[np.int64]]
    ports: PortRows
    lasting_ports: PortRows
    placed: PlacedPods
    namespaces: Namespaces
    pods: FrozenShards[PodUid, Holding]
    memo: Memo = field(default_factory=Memo, init=False, compare=False, repr=False)

    @property
    def lasting(self) -> npt.NDArray[np.int64]:
        """What pods hold that nobody is ending, those with a Slurm job included: of what Slurm
        counts it gives their room to nobody else, of anything else it knows nothing."""
        return self.memo.remember("lasting", self._lasting) if self.ending else self.used

    def _lasting(self) -> npt.NDArray[np.int64]:
        held = self.used.copy()
        for row, amounts in self.ending.items():
            held[:, row] -= amounts
        return held

    @property
    def allocatable(self) -> npt.NDArray[np.int64]:
        """What each node has in all."""
        return self.capacity.allocatable

    @property
    def daemon_used(self) -> npt.NDArray[np.int64]:
        """What daemon pods hold of each node."""
        return self.capacity.daemon_used

    @property
    def size(self) -> int:
        """The number of rows, empty ones included."""
        return len(self.layout.names)

    @property
    def names(self) -> npt.NDArray[np.object_]:
        """(n,) node names by row; "" in empty rows."""
        return self.layout.names

    def row(self, node: NodeName) -> int:
        """The node's row, or NO_ROW if Kubernetes does not have the node."""
        row = self.layout.row_of.find(node, NO_ROW)
        return row if row != NO_ROW and self.layout.alive[row] else NO_ROW

    def rows(self, nodes: Collection[NodeName]) -> npt.NDArray[np.intp]:
        """(nodes,) rows; NO_ROW for nodes that Kubernetes does not have."""
        rows = np.array(self.layout.row_of.find_all(nodes, NO_ROW), dtype=np.intp)
        rows[~self.layout.alive[rows]] = NO_ROW
        return rows
