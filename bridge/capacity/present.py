"""What the present nodes could hold if all jobs had ended.

A node counts if it is registered in Slurm, in the job's partition, and has all that a pod asks for.
Drained, cordoned and not ready nodes count: they come back. So does, for a while, a node that was
registered a moment ago: it is made anew in Slurm when its resources have changed. Nodes that an
autoscaler is removing do not count. Nor does a node that is only joining. If its registration
failed, and the request for it had been withdrawn, the autoscaler would remove it as empty, and buy
another.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge.model.capacity import GangNeed, Part
from bridge.model.ids import NodeName
from bridge.model.node import Node
from bridge.placement.filters import Predicate, failures
from bridge.placement.table import Snapshot
from bridge.placement.table.interning import Bools
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState

_REMOVED = ("karpenter.sh/disrupted", "ToBeDeletedByClusterAutoscaler")
"""Keys of the taints on nodes that an autoscaler is about to remove."""

_AWAY_S = 30.0
"""How long a node that has left Slurm is expected back."""

Amounts = npt.NDArray[np.int64]
"""(resources, n) what is free of each node."""
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Able:
    """The rows of nodes for one part: those that `count`, and those that are `awaited`, because
    they are of the right kind but are not registered, or do not have enough yet (devices come
    late)."""

    count: Rows
    awaited: Rows


class JoinedNodes:
    """The nodes that are registered, or were a moment ago."""

    def __init__(self) -> None:
        self._seen_s: dict[NodeName, float] = {}

    def look(
        self, cluster: KubeState, slurm_state: SlurmState, now_s: float
    ) -> Collection[NodeName]:
        """The names of the nodes now."""
        group_of = slurm_state.capacities.group_of
        for name, node in cluster.nodes.items():
            if node.slurm_name in group_of:
                self._seen_s[name] = now_s
        for name, seen_s in tuple(self._seen_s.items()):
            if name not in cluster.nodes or now_s > seen_s + _AWAY_S:
                del self._seen_s[name]
        return self._seen_s.keys()


class PresentNodes:
    """The nodes at one moment. `lately` are those that count as registered even if Slurm does not
    know them at that moment, see `JoinedNodes`."""

    def __init__(
        self, cluster: KubeState, slurm_state: SlurmState, lately: Collection[NodeName] = ()
    ) -> None:
        self._lately = lately
        self._snapshot = cluster.table.snapshot()
        self._nodes = cluster.nodes
        self._capacities = slurm_state.capacities
        self._empty: Amounts = self._snapshot.allocatable - self._snapshot.daemon_used
        self._offered = _offered(self._snapshot, cluster.nodes)
        self._joined: dict[str, Bools] = {}
        self._able: dict[tuple[Part, str], Able] = {}

    @property
    def names(self) -> npt.NDArray[np.object_]:
        """(n,) the nodes' names, by row."""
        return self._snapshot.names

    def able(self, part: Part, partition: str) -> Able:
        """The nodes that could ever take a task of the part, and those that may be able later."""
        key = (part, partition)
        if key not in self._able:
            joined = self._joined_in(partition)
            codes = failures.first_failures(
                self._snapshot, part.shape, failures.EVERY_ROW, now=False
            )
            fits = codes == Predicate.FITS
            self._able[key] = Able(
                count=np.flatnonzero(joined & fits),
                awaited=np.flatnonzero(
                    self._offered & ((fits & ~joined) | (codes == Predicate.CAPACITY))
                ),
            )
        return self._able[key]

    def free(self) -> Amounts:
        """What all of them have when they are empty, to be given away."""
        return self._empty.copy()

    def most_per_node(self, part: Part, partition: str) -> int:
        """The most tasks of the part that one empty node holds; 0 if none holds any."""
        counts = self._room(self._empty, part, self.able(part, partition).count)
        return int(counts.max(initial=0))

    def can_hold(self, need: GangNeed) -> bool:
        """Whether the gang could ever run on them."""
        if len(need.parts) == 1:
            part = need.parts[0]
            rows = self.able(part, need.partition).count
            return int(self._room(self._empty, part, rows).sum()) >= part.count
        return not any(self.place(need, self.free()))

    def place(self, need: GangNeed, free: Amounts) -> tuple[int, ...]:
        """Gives the gang's tasks what they need of `free`, as far as there is any; returns how many
        tasks of each part found nothing."""
        taken = np.zeros(self._snapshot.size, dtype=np.bool_)
        missing = []
        for part in need.parts:
            rows = self.able(part, need.partition).count
            rows = rows[~taken[rows]]
            counts = self._room(free, part, rows)
            before = np.cumsum(counts) - counts
            given = np.clip(part.count - before, 0, counts)
            asks = self._snapshot.resources.asks(part.shape.requests)
            if not asks.missing:
                free[asks.lines[:, None], rows] -= given * asks.amounts
            taken[rows[given > 0]] = True
            missing.append(part.count - int(given.sum()))
        return tuple(missing)

    def _room(self, free: Amounts, part: Part, rows: Rows) -> npt.NDArray[np.int64]:
        """(rows,) how many tasks of the part each node takes of what is free."""
        asks = self._snapshot.resources.asks(part.shape.requests)
        if asks.missing:
            return np.zeros(len(rows), dtype=np.int64)
        left = free[asks.lines[:, None], rows] // asks.amounts
        counts: npt.NDArray[np.int64] = np.maximum(left.min(axis=0), 0)
        return np.minimum(counts, part.per_node) if part.per_node else counts

    def _joined_in(self, partition: str) -> Bools:
        """(n,) bool: the node is in the partition in Slurm; in any, if Slurm names none."""
        if partition not in self._joined:
            groups = self._capacities.groups
            knows = bool(partition) and any(group.partitions for group in groups)
            found = self._offered.copy()
            for row in np.flatnonzero(found):
                node = self._nodes[NodeName(self._snapshot.names[row])]
                group = self._capacities.group_of.get(node.slurm_name)
                if group is None:
                    found[row] = node.name in self._lately
                else:
                    found[row] = not knows or partition in groups[group].partitions
            self._joined[partition] = found
        return self._joined[partition]


def _offered(snapshot: Snapshot, nodes: Mapping[NodeName, Node]) -> Bools:
    """(n,) bool: the node is to be registered in Slurm, and nobody removes it."""
    found = np.zeros(snapshot.size, dtype=np.bool_)
    for row, name in enumerate(snapshot.names):
        node = nodes.get(name) if name else None
        found[row] = (
            node is not None and node.external and not node.deleting and not _is_removed(node)
        )
    return found


def _is_removed(node: Node) -> bool:
    return any(taint.key in _REMOVED for taint in node.taints)
