"""The table that one writer keeps of all nodes and of what their pods hold.

The data are arrays with a row for each node. A node keeps its row while it exists; freed rows are
used again, lowest first. An update costs as much as what changed. Events of pods and nodes may
arrive in any order: a removed node keeps its row while pods hold something there, and pods of a
node that does not exist yet wait in `UnknownNodes`.
"""

import heapq
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from bridge.model.ids import NodeName, PodUid
from bridge.model.node import Node
from bridge.model.pod_identity import PodIdentity
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from bridge.placement.table import labels, paths, taints
from bridge.placement.table.amounts import FIXED, MOST, PODS, Lines
from bridge.placement.table.columns import Array, Section
from bridge.placement.table.interning import Interner
from bridge.placement.table.namespaces import NamespaceStore
from bridge.placement.table.placed_pods import PlacedPodStore
from bridge.placement.table.ports import PortStore
from bridge.placement.table.shards import Shards
from bridge.placement.table.snapshot import NO_ROW, Capacity, Holding, Layout, Snapshot
from bridge.placement.table.unknown_nodes import UnknownNodes, WaitingPod

T = TypeVar("T", bound=Hashable)

_FLAGS = ("alive", "ready", "cordoned", "unhealthy", "deleting")
_USES = ("used", "staying")
_FIRST_CAPACITY = 64
_NONE = -1


class NodeTable:
    """The writer's side.

    Labels in `class_ignore_keys`, and labels of more than `class_most_values` values, never make a
    node class. `scheduler_name` says which managed-node taint is ours. `block_sizes` are Slurm's
    BlockSizes of each block topology (see `topology`).
    """

    def __init__(
        self,
        *,
        class_ignore_keys: Collection[str] = (),
        scheduler_name: str,
        class_most_values: int = labels.MOST_VALUES,
        block_sizes: Mapping[str, Sequence[int]] = MappingProxyType({}),
    ) -> None:
        self._scheduler_name = scheduler_name
        self._block_sizes = MappingProxyType(dict(block_sizes))
        self._capacity = _FIRST_CAPACITY
        self._size = 0
        self._free: list[int] = []
        self._row_of: Shards[NodeName, int] = Shards()
        self._pods: Shards[PodUid, Holding] = Shards()
        self._unknown_nodes = UnknownNodes()
        self._lines = Lines(FIXED)
        self._labels = labels.LabelStore(
            self._capacity, wide=class_ignore_keys, most_values=class_most_values
        )
        self._taints: Interner[taints.TaintSet] = Interner()
        self._paths: Interner[paths.Paths] = Interner()
        self._nodes = Section(self._capacity)
        self._nodes.define("name", np.object_, fill="")
        for flag in _FLAGS:
            self._nodes.define(flag, np.bool_, fill=False)
        self._nodes.define("taints", np.int32, fill=_NONE)
        self._nodes.define("path", np.int32, fill=_NONE)
        self._capacities = Section(self._capacity)
        self._capacities.define("allocatable", np.int64, height=len(self._lines))
        self._capacities.define("daemon_used", np.int64, height=len(self._lines))
        self._uses = Section(self._capacity)
        for column in _USES:
            self._uses.define(column, np.int64, height=len(self._lines))
        self._ports = PortStore()
        self._lasting_ports = PortStore()
        self._ending: dict[int, npt.NDArray[np.int64]] = {}
        """As in a snapshot, which shares the arrays: each is replaced, never changed."""
        self._placed = PlacedPodStore()
        self._namespaces = NamespaceStore()
        self._capacity_view: tuple[Mapping[str, Array], Capacity] | None = None
        self._layout: Layout | None = None
        self._snapshot: Snapshot | None = None
        self.uses = 0
        """How often a pod has taken room, given it back, or become another one to selectors."""
        self.freed: set[NodeName] = set()
        """Nodes that have more room than before, until somebody takes note of it."""

    def upsert(self, node: Node) -> None:
        """Add the node, or change what is new of it."""
        row = self._row(node.name)
        changed = self._labels.set(row, node.labels)
        changed |= self._set_number(row, "taints", self._taints, taints.taint_set(node.kind_taints))
        changed |= self._set_number(row, "path", self._paths, paths.paths_of(node))
        changed |= self._set_flags(
            row,
            alive=True,
            ready=node.ready,
            cordoned=node.unschedulable,
            unhealthy=bool(node.causes),
            deleting=node.deleting,
        )
        if changed:
            self._layout = self._snapshot = None
        self._define_lines(name for name, _ in node.allocatable.extended)
        amounts = self._amounts(node.allocatable, pods=max(0, min(node.max_pods, MOST)))
        np.minimum(amounts, MOST, out=amounts)
        live = self._capacities.live["allocatable"]
        if not np.array_equal(live[:, row], amounts):
            live[:, row] = amounts
            self._capacities.mark_dirty(row)
            self._snapshot = None
        for waiting in self._unknown_nodes.take(node.name):
            self.occupy(
                waiting.pod,
                waiting.node,
                waiting.shape,
                daemon=waiting.daemon,
                stays=waiting.stays,
                ending=waiting.ending,
                identity=waiting.identity,
            )

    def remove(self, name: NodeName) -> None:
        """Forget the node, if it is known. Its pods keep what they hold until `vacate`."""
        row = self._row_of.get(name)
        if row is None or not self._nodes.live["alive"][row]:
            return
        self._layout = self._snapshot = None
        self._labels.clear(row)
        self._taints.release(int(self._nodes.live["taints"][row]))
        self._paths.release(int(self._nodes.live["path"][row]))
        self._nodes.live["taints"][row] = self._nodes.live["path"][row] = _NONE
        self._set_flags(row, **dict.fromkeys(_FLAGS, False))
        self._capacities.live["allocatable"][:, row] = 0
        self._capacities.mark_dirty(row)
        self._free_if_empty(row)

    def occupy(
        self,
        pod: PodUid,
        node: NodeName,
        shape: PodShape,
        *,
        daemon: bool = False,
        stays: bool = False,
        ending: bool = False,
        identity: PodIdentity | None = None,
    ) -> None:
        """The pod holds its requests, its ports and one pod of the node's count until `vacate`.

        Call it for bound and pinned pods that have not ended, also for terminating ones. A second
        call changes nothing, or moves the pod if its node or shape changed. The node may be
        unknown. `daemon`, `stays` and `ending` are those of `Holding`. `identity` says who the pod
        is to the selectors of other pods; if it is None, no selector selects the pod.
        """
        before = self._pods.get(pod)
        if before is not None:
            same = replace(before, row=NO_ROW) == Holding(NO_ROW, shape, daemon, stays, ending)
            if same and before.row == self._row_of.get(node):
                terms = shape.pod_anti_affinity
                if self._placed.change(before.place, identity, terms, ending=ending):
                    self._snapshot = None
                    self.uses += 1
                return
            self.vacate(pod)
        row = self._row_of.get(node)
        if row is None:
            self._unknown_nodes.add(WaitingPod(pod, node, shape, daemon, stays, ending, identity))
            return
        self._unknown_nodes.drop(pod)
        place = self._placed.add(row, identity, shape.pod_anti_affinity, ending=ending)
        holding = Holding(row, shape, daemon, stays, ending, place)
        self._pods.put(pod, holding)
        self._use(holding, +1)

    def vacate(self, pod: PodUid) -> None:
        """The pod, if it is known, holds nothing any more."""
        self._unknown_nodes.drop(pod)
        holding = self._pods.drop(pod)
        if holding is not None:
            self.freed.add(self._nodes.live["name"][holding.row])
            self._placed.remove(holding.place)
            self._use(holding, -1)
            self._free_if_empty(holding.row)

    def set_namespace(self, name: str, labels: Mapping[str, str]) -> None:
        """The namespace has these labels."""
        if self._namespaces.set(name, labels):
            self._snapshot = None
            self.uses += 1

    def remove_namespace(self, name: str) -> None:
        """The namespace is gone."""
        if self._namespaces.remove(name):
            self._snapshot = None
            self.uses += 1

    def snapshot(self) -> Snapshot:
        """Everything as it is now; the same object until something changes."""
        if self._snapshot is None:
            uses = self._uses.publish(self._rows)
            self._snapshot = Snapshot(
                layout=self._current_layout(),
                resources=self._lines,
                capacity=self._current_capacity(),
                used=uses["used"],
                staying=uses["staying"],
                ending=dict(self._ending),
                ports=self._ports.publish(),
                lasting_ports=self._lasting_ports.publish(),
                placed=self._placed.publish(),
                namespaces=self._namespaces.publish(),
                pods=self._pods.freeze(),
            )
        return self._snapshot

    def _current_capacity(self) -> Capacity:
        published = self._capacities.publish(self._rows)
        if self._capacity_view is None or published is not self._capacity_view[0]:
            view = Capacity(published["allocatable"], published["daemon_used"])
            self._capacity_view = (published, view)
        return self._capacity_view[1]

    @property
    def _rows(self) -> int:
        """The rows of a snapshot: at least one, so that row -1 can be indexed and masked."""
        return max(1, self._size)

    def _current_layout(self) -> Layout:
        if self._layout is None:
            nodes = self._nodes.publish(self._rows)
            self._layout = Layout(
                names=nodes["name"],
                row_of=self._row_of.freeze(),
                alive=nodes["alive"],
                ready=nodes["ready"],
                cordoned=nodes["cordoned"],
                unhealthy=nodes["unhealthy"],
                deleting=nodes["deleting"],
                labels=self._labels.publish(self._rows),
                taint_set=nodes["taints"],
                taints=self._taints.vocabulary(),
                path=nodes["path"],
                paths=self._paths.vocabulary(),
                block_sizes=self._block_sizes,
                scheduler_name=self._scheduler_name,
            )
        return self._layout

    def _row(self, name: NodeName) -> int:
        row = self._row_of.get(name)
        if row is not None:
            return row
        row = self._free_row()
        if row is None:
            if self._size == self._capacity:
                self._grow(2 * self._capacity)
            row = self._size
            self._size += 1
        self._row_of.put(name, row)
        self._nodes.live["name"][row] = name
        self._nodes.mark_dirty(row)
        self._layout = self._snapshot = None
        return row

    def _free_row(self) -> int | None:
        """The lowest free row, so that the rows in use stay close together."""
        while self._free:
            row = heapq.heappop(self._free)
            if row < self._size and not self._nodes.live["name"][row]:
                return row
        return None

    def _free_if_empty(self, row: int) -> None:
        if self._nodes.live["alive"][row] or self._uses.live["used"][PODS, row]:
            return
        self._row_of.drop(self._nodes.live["name"][row])
        self._nodes.live["name"][row] = ""
        self._nodes.mark_dirty(row)
        heapq.heappush(self._free, row)
        while self._size and not self._nodes.live["name"][self._size - 1]:
            self._size -= 1  # `_free_row` skips the entry of this row
        self._layout = self._snapshot = None

    def _grow(self, capacity: int) -> None:
        self._labels.grow(capacity)
        for section in (self._nodes, self._capacities, self._uses):
            section.grow(capacity)
        self._capacity = capacity

    def _set_number(self, row: int, column: str, interner: Interner[T], value: T) -> bool:
        """Give the row the number of `value`; False if it had that number."""
        numbers = self._nodes.live[column]
        before = int(numbers[row])
        number = interner.number(value)
        if before != _NONE:
            interner.release(before)
        if number == before:
            return False
        numbers[row] = number
        self._nodes.mark_dirty(row)
        return True

    def _set_flags(self, row: int, **flags: bool) -> bool:
        changed = False
        for name, value in flags.items():
            column = self._nodes.live[name]
            if column[row] != value:
                column[row] = value
                changed = True
        if changed:
            self._nodes.mark_dirty(row)
        return changed

    def _use(self, holding: Holding, sign: int) -> None:
        row = holding.row
        amounts = sign * self._amounts(holding.shape.requests, pods=1)
        for column in _columns(holding):
            self._uses.live[column][:, row] += amounts
        self._uses.mark_dirty(row)
        self.uses += 1
        if holding.daemon:
            self._capacities.live["daemon_used"][:, row] += amounts
            self._capacities.mark_dirty(row)
        self._ports.add(row, holding.shape.host_ports, sign)
        if holding.daemon or not holding.ending:
            self._lasting_ports.add(row, holding.shape.host_ports, sign)
        else:
            self._note_ending(row, amounts)
        self._snapshot = None

    def _note_ending(self, row: int, amounts: npt.NDArray[np.int64]) -> None:
        known = self._ending.pop(row, None)
        left = amounts if known is None else known + amounts
        if left[PODS]:
            self._ending[row] = left

    def _amounts(self, resources: Resources, *, pods: int) -> npt.NDArray[np.int64]:
        """(resources,) int64: the amounts by line; resources without a line are left out."""
        asks = self._lines.asks(resources)
        amounts = np.zeros(len(self._lines), dtype=np.int64)
        amounts[asks.lines] = asks.amounts[:, 0]
        amounts[PODS] = pods
        return amounts

    def _define_lines(self, names: Iterable[str]) -> None:
        """Add lines for resources that no node had before, with what pods already hold of them.

        Only nodes add lines: a line is as long as the cluster, and whoever may create a pod may
        ask for thousands of resources that do not exist.
        """
        new = [name for name in names if name not in self._lines]
        if not new:
            return
        lines = Lines(self._lines)
        for name in new:
            lines[name] = len(lines)
        first, self._lines = len(self._lines), lines
        self._capacities.heighten("allocatable", len(lines))
        self._capacities.heighten("daemon_used", len(lines))
        for column in _USES:
            self._uses.heighten(column, len(lines))
        self._snapshot = None
        more = len(lines) - first
        self._ending = {row: np.pad(known, (0, more)) for row, known in self._ending.items()}
        for holding in self._pods.freeze().values():
            if not any(lines.get(name, 0) >= first for name, _ in holding.shape.requests.extended):
                continue
            amounts = self._amounts(holding.shape.requests, pods=1)[first:]
            for column in _columns(holding):
                self._uses.live[column][first:, holding.row] += amounts
            if holding.ending and not holding.daemon:
                self._ending[holding.row][first:] += amounts
            if holding.daemon:
                self._capacities.live["daemon_used"][first:, holding.row] += amounts


def _columns(holding: Holding) -> Iterator[str]:
    """The columns that count what the pod holds."""
    yield "used"
    if holding.daemon or holding.stays:
        yield "staying"
