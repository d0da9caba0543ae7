"""The tree of switches, as topology/tree keeps it: leaves hold nodes, others hold switches.

A node names its place by a path, `topo:root:spine:leaf`; below a switch that exists, missing ones
are made. Rule: slurm.conf(5) `Topology=` of dynamic nodes, topology.yaml(5); behaviour recorded.
"""

import itertools
from dataclasses import dataclass, field

from bridge.sim.slurm.errors import TOPOLOGY_UNAVAILABLE, Refused

UNREACHABLE = 1 << 30


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
        self._configured = frozenset(roots)
        self._distances: dict[tuple[int, int], int] = {}

    def place(self, spec: str) -> int:
        """Index of the leaf that `spec` names, -1 for a node without a topology.

        Raises Refused (2178) where Slurm does: another topology, a first switch that does not
        exist, a last one that is no leaf.
        """
        if not spec:
            return -1
        topology, *path = spec.split(":")
        if topology != self.name or not path or path[0] not in self._index:
            raise Refused(TOPOLOGY_UNAVAILABLE)
        self._check(path)
        at = self._index[path[0]]
        for name in path[1:]:
            at = self._index[name] if name in self._index else self._add(name, at)
        return at

    def _check(self, path: list[str]) -> None:
        """Before anything is made: each step is below the one before, the last is a leaf."""
        for above, below in itertools.pairwise(path):
            if below in self._index:
                if self.switches[self._index[below]].parent != self._index.get(above):
                    raise Refused(TOPOLOGY_UNAVAILABLE)
            elif above in self._index and self.switches[self._index[above]].nodes:
                raise Refused(TOPOLOGY_UNAVAILABLE)
        last = path[-1]
        if last in self._configured:
            raise Refused(TOPOLOGY_UNAVAILABLE)
        if last in self._index and not self.switches[self._index[last]].is_leaf:
            raise Refused(TOPOLOGY_UNAVAILABLE)

    def _add(self, name: str, parent: int) -> int:
        number = len(self.switches)
        self.switches.append(Switch(name, parent))
        self.switches[parent].children.append(number)
        self._index[name] = number
        self._distances.clear()
        return number

    def leaves(self) -> list[int]:
        """Indices of the leaves, in order."""
        return [number for number, switch in enumerate(self.switches) if switch.is_leaf]

    def path(self, index: int) -> list[int]:
        """The switch and everything above it, itself first."""
        found = []
        while index >= 0:
            found.append(index)
            index = self.switches[index].parent
        return found

    def level(self, index: int) -> int:
        """0 for a leaf, else one more than the highest below."""
        children = self.switches[index].children
        return 1 + max(self.level(child) for child in children) if children else 0

    def distance(self, one: int, other: int) -> int:
        """Hops between two switches; UNREACHABLE between separate trees."""
        key = (one, other) if one <= other else (other, one)
        known = self._distances.get(key)
        if known is None:
            above = {switch: hops for hops, switch in enumerate(self.path(one))}
            known = UNREACHABLE
            for hops, switch in enumerate(self.path(other)):
                if switch in above:
                    known = hops + above[switch]
                    break
            self._distances[key] = known
        return known
