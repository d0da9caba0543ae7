"""The fabric's tree: the order of nodes along it, and the distance between two nodes.

`table.paths` says where a node hangs in the tree. In a block topology (Slurm's topology/block) a
path is the topology's name and the node's base block. Blocks that follow each other make larger
blocks, of the sizes in `Layout.block_sizes`; each larger size is a level of the tree above the base
blocks. Slurm counts blocks in the order in which its configuration names them; here they count in
the natural order of their names.

The distance of two nodes is the number of edges between them: 0 for a node and itself, 2 below one
switch, 4 one level up. Nodes without a common switch, or without any path, are 2 further from each
other than the deepest tree allows.

`topology` is the name of the topology that counts; "" means the first one of each node.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge.model.ids import NodeName
from bridge.placement.table.paths import Path, path_in
from bridge.placement.table.snapshot import Layout, Snapshot

UNKNOWN = np.iinfo(np.int32).max
"""The rank of nodes that the snapshot does not know: after all others."""
NOWHERE = UNKNOWN - 1
"""The rank of nodes without a path: after those with one."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The distinct paths of one layout.

    `rank` (paths,) int32 is the position in depth-first order, siblings by name. `length` (paths,)
    int32 is the number of switches on the path. `ancestors` (depth, paths) int32 are numbers of the
    path's prefixes of length 1…depth, -1 beyond the path's end.
    """

    rank: npt.NDArray[np.int32]
    length: npt.NDArray[np.int32]
    ancestors: npt.NDArray[np.int32]

    @property
    def depth(self) -> int:
        """Levels of switches in the deepest path."""
        return len(self.ancestors)


def natural(name: str) -> tuple[str, str]:
    """A sort key in which node-2 comes before node-10: numbers count by their value.

    Numbers may have any length. Names that differ only in leading zeros are still ordered.
    """
    return _DIGITS.sub(_by_value, name), name


def _by_value(digits: re.Match[str]) -> str:
    """Sort longer numbers after shorter ones, and all numbers before any other text."""
    number = digits[0].lstrip("0")
    return f"\0{chr(len(number))}{number}"


@dataclass(frozen=True, slots=True)
class Fabric:
    """A snapshot, seen through one of its topologies."""

    snapshot: Snapshot
    topology: str = ""

    def rows(self, nodes: Sequence[NodeName]) -> npt.NDArray[np.intp]:
        """(nodes,) the nodes' rows."""
        return self.snapshot.rows(nodes)

    def order(self, nodes: Sequence[NodeName]) -> npt.NDArray[np.intp]:
        """(nodes,) positions of `nodes` in the order of the tree: neighbours next to each other.

        Nodes of one switch are ordered by name, in natural order. Nodes without a path come last,
        and after them the nodes that the snapshot does not know.
        """
        by_name = np.array(
            sorted(range(len(nodes)), key=list(map(natural, nodes)).__getitem__), dtype=np.intp
        )
        rows = self.rows(nodes)
        switch = tree(self.snapshot.layout, self.topology).rank[self.snapshot.layout.path[rows]]
        rank = np.where(rows < 0, UNKNOWN, switch)
        return by_name[np.argsort(rank[by_name], kind="stable")]

    def distances(
        self, rows: npt.NDArray[np.intp], others: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.int32]:
        """(rows,) int32: edges between the nodes of two lists of rows, pair by pair (broadcast).

        A row of -1 is as far from all others as can be.
        """
        the_tree = tree(self.snapshot.layout, self.topology)
        path = self.snapshot.layout.path
        between = path_distances(the_tree, path[rows], path[others])
        between[np.logical_or(rows < 0, others < 0)] = furthest(the_tree)
        return np.where(rows == others, 0, between).astype(np.int32)


def path_distances(
    the_tree: Tree, paths: npt.NDArray[np.int32], others: npt.NDArray[np.int32]
) -> npt.NDArray[np.int32]:
    """The number of edges between two different nodes that hang at these paths (broadcast)."""
    common = np.zeros(np.broadcast(paths, others).shape, dtype=np.int32)
    for ancestor in the_tree.ancestors:
        mine, theirs = ancestor[paths], ancestor[others]
        common += (mine == theirs) & (mine >= 0)
    between = the_tree.length[paths] + the_tree.length[others] - 2 * common + 2
    return np.where(common > 0, between, furthest(the_tree)).astype(np.int32)


def furthest(the_tree: Tree) -> int:
    """The distance of nodes that share no switch."""
    return 2 * the_tree.depth + 2


def tree(layout: Layout, topology: str = "") -> Tree:
    """The tree of the named topology; it is built once while the distinct paths stay the same."""
    return layout.paths.remember(
        ("tree", topology),
        lambda: _tree(
            [path_in(paths or (), topology) for paths in layout.paths.values], layout.block_sizes
        ),
    )


def _tree(paths: Sequence[Path], block_sizes: Mapping[str, Sequence[int]]) -> Tree:
    whole = _with_larger_blocks(paths, block_sizes)
    lengths = np.array([len(path) for path in whole], dtype=np.int32)
    return Tree(_rank(whole), lengths, _ancestors(whole, max(int(lengths.max()), 1)))


def _with_larger_blocks(
    paths: Sequence[Path], block_sizes: Mapping[str, Sequence[int]]
) -> list[Path]:
    """Insert the larger blocks between name and base block into paths of block topologies."""
    whole = list(paths)
    for name, sizes in block_sizes.items():
        among = [number for number, path in enumerate(paths) if path[:1] == (name,) and path[1:]]
        place = _places(paths[number][1] for number in among)
        for number in among:
            block = place[paths[number][1]]
            larger = [f"{size}/{block * sizes[0] // size}" for size in reversed(sizes[1:])]
            whole[number] = (name, *larger, *paths[number][1:])
    return whole


def _places(blocks: Iterable[str]) -> dict[str, int]:
    return {block: place for place, block in enumerate(sorted(set(blocks), key=natural))}


def _rank(paths: Sequence[Path]) -> npt.NDArray[np.int32]:
    rank = np.full(len(paths), NOWHERE, dtype=np.int32)
    known = [number for number, path in enumerate(paths) if path]
    places = {path: place for place, path in enumerate(sorted(
        {paths[number] for number in known}, key=lambda path: list(map(natural, path))
    ))}  # fmt: skip
    rank[known] = [places[paths[number]] for number in known]
    return rank


def _ancestors(paths: Sequence[Path], depth: int) -> npt.NDArray[np.int32]:
    ancestors = np.full((depth, len(paths)), -1, dtype=np.int32)
    switches: dict[tuple[int, str], int] = {}
    """(number of the switch above, name) → number of the switch."""
    for number, path in enumerate(paths):
        above = -1
        for level, switch in enumerate(path):
            above = switches.setdefault((above, switch), len(switches))
            ancestors[level, number] = above
    return ancestors


_DIGITS = re.compile(r"\d+", re.ASCII)
