"""The tree of switches, as topology/tree keeps it: leaves hold nodes, others hold switches.

A node names its place by a path, `topo:root:spine:leaf`; below a switch that exists, missing ones
are made. Rule: slurm.conf(5) `Topology=` of dynamic nodes, topology.yaml(5); behaviour recorded.
"""

import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.sim.slurm.errors import TOPOLOGY_UNAVAILABLE, Refused

UNREACHABLE = 1 << 30


@dataclass(frozen=True, slots=True)
class Shape:
    """The tree as matrices, for S switches: `above[i, j]` is 1 where switch j is i or above it,
    `distance[i, j]` counts hops (UNREACHABLE between separate trees).
    """

    above: NDArray[np.int64]
    distance: NDArray[np.int64]
    level: list[int]
    parent: list[int]
    leaves: list[int]

    def sums(self, leaf: NDArray[np.int64], amounts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Per switch, the sum over the nodes below it: `leaf` and `amounts` are columns."""
        hung = leaf >= 0
        per_leaf = np.bincount(leaf[hung], amounts[hung], len(self.level)).astype(np.int64)
        total: NDArray[np.int64] = per_leaf @ self.above
        return total


@dataclass(slots=True)
class Switch:
    """One switch; `parent` is an index, -1 at the top. A leaf is a switch without children."""

    name: str
    parent: int
    children: list[int] = field(default_factory=list)
    nodes: int = 0
    """How many nodes hang on it directly."""

    @property
    def is_leaf(self) -> bool:
        """Level 0."""
        return not self.children


class Tree:
    """Switches in the order of their making, which is the order ties are broken in."""

    def __init__(self, name: str, roots: tuple[str, ...] = ("root",)) -> None:
        self.name = name
        self.switches: list[Switch] = [Switch(root, -1) for root in roots]
        self._index = {root: number for number, root in enumerate(roots)}
        self._shape: Shape | None = None

    def place(self, spec: str) -> int:
        """Index of the leaf that `spec` names, -1 for a node without a topology.

        Raises Refused (2178) where Slurm does: another topology, a first switch that does not
        exist, a last one that is no leaf. The topology's name alone is no place, and is taken. A
        switch that exists is taken wherever it is: what stood before it in the path is made, and
        stays empty.
        """
        topology, *path = spec.split(":")
        if not spec or (topology == self.name and not path):
            return -1
        if topology != self.name or path[0] not in self._index:
            raise Refused(TOPOLOGY_UNAVAILABLE)
        self._check(path)
        at = self._index[path[0]]
        for name in path[1:]:
            at = self._index[name] if name in self._index else self._add(name, at)
        return at

    def _check(self, path: list[str]) -> None:
        """Before anything is made: nothing is made below a switch with nodes, the last is a
        leaf."""
        for above, below in itertools.pairwise(path):
            is_new = below not in self._index
            if is_new and above in self._index and self.switches[self._index[above]].nodes:
                raise Refused(TOPOLOGY_UNAVAILABLE)
        last = self._index.get(path[-1])
        if len(set(path)) < len(path) or (last is not None and not self.switches[last].is_leaf):
            raise Refused(TOPOLOGY_UNAVAILABLE)

    def _add(self, name: str, parent: int) -> int:
        number = len(self.switches)
        self.switches.append(Switch(name, parent))
        self.switches[parent].children.append(number)
        self._index[name] = number
        self._shape = None
        return number

    def shape(self) -> Shape:
        """The tree as it is now."""
        if self._shape is None:
            self._shape = self._measure()
        return self._shape

    def _measure(self) -> Shape:
        size = len(self.switches)
        above = np.zeros((size, size), np.int64)
        for number in range(size):
            at = number
            while at >= 0:
                above[number, at] = 1
                at = self.switches[at].parent
        depth = above.sum(axis=1)
        common = above @ above.T
        distance = depth[:, None] + depth[None, :] - 2 * common
        distance[common == 0] = UNREACHABLE
        level = [0] * size
        for number in sorted(range(size), key=lambda one: -int(depth[one])):
            parent = self.switches[number].parent
            if parent >= 0:
                level[parent] = max(level[parent], level[number] + 1)
        return Shape(
            above=above,
            distance=distance,
            level=level,
            parent=[switch.parent for switch in self.switches],
            leaves=[number for number, switch in enumerate(self.switches) if switch.is_leaf],
        )
