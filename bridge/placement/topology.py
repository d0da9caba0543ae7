"""The fabric's tree: the order of nodes along it, and distances. Where nodes hang: `paths`.

In a block topology (Slurm's topology/block) a path is the topology's name and the node's base
block; blocks that follow each other make larger ones, as the sizes in `Layout.block_sizes` say,
and each larger size is a level of the tree above the base blocks. Slurm counts blocks in the order
in which its configuration names them; here it is the natural order of their names.

Distance of two nodes is the number of edges between them: 0 for a node and itself, 2 below one
switch, 4 one level up; nodes without a common switch (or without any path) are as far as the
deepest tree allows, plus 2.

`topology` names the one of several topologies to go by, everywhere; "" is the first of each node.
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
"""Rank of nodes that the snapshot does not know: after all others."""
NOWHERE = UNKNOWN - 1
"""Rank of nodes without a path: after those with one."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The distinct paths of one generation.

    `rank` (paths,) int32: position in depth-first order, siblings by name. `length` (paths,)
    int32: switches on the path. `ancestors` (depth, paths) int32: number of the path's prefix of
    length 1…depth, -1 beyond its end.
    """

    rank: npt.NDArray[np.int32]
    length: npt.NDArray[np.int32]
    ancestors: npt.NDArray[np.int32]

    @property
    def depth(self) -> int:
        """Levels of switches in the deepest path."""
        return len(self.ancestors)


def natural(name: str) -> tuple[str, str]:
    """A sort key in which node-2 comes before node-10: numbers in it count by their value.

    Numbers of any length; names that differ in leading zeros only are still ordered.
    """
    return _DIGITS.sub(_by_value, name), name


def _by_value(digits: re.Match[str]) -> str:
    """Longer numbers after shorter ones, and all before any other text."""
    number = digits[0].lstrip("0")
    return f"\0{chr(len(number))}{number}"


@dataclass(frozen=True, slots=True)
class Fabric:
    """A snapshot seen through one of its topologies."""

    snapshot: Snapshot
    topology: str = ""

    def rows(self, nodes: Sequence[NodeName]) -> npt.NDArray[np.intp]:
        """(nodes,) their rows."""
        return self.snapshot.rows(nodes)

    def order(self, nodes: Sequence[NodeName]) -> npt.NDArray[np.intp]:
        """As the function `order`."""
        return order(self.snapshot, nodes, topology=self.topology)

    def distances(
        self, one: npt.NDArray[np.intp], other: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.int32]:
        """As the function `distances`."""
        return distances(self.snapshot, one, other, topology=self.topology)


def order(
    snapshot: Snapshot, nodes: Sequence[NodeName], *, topology: str = ""
) -> npt.NDArray[np.intp]:
    """(nodes,) positions of `nodes` in the order of the tree: neighbours next to each other.

    Within one switch by name in natural order; nodes without a path last; nodes that the
    snapshot does not know after those.
    """
    by_name = np.array(
        sorted(range(len(nodes)), key=list(map(natural, nodes)).__getitem__), dtype=np.intp
    )
    rank = ranks(snapshot, snapshot.rows(nodes), topology=topology)
    return by_name[np.argsort(rank[by_name], kind="stable")]


def ranks(
    snapshot: Snapshot, rows: npt.NDArray[np.intp], *, topology: str = ""
) -> npt.NDArray[np.int32]:
    """(rows,) int32: each node's switch in depth-first order; NOWHERE for nodes without a path,
    UNKNOWN for rows of -1.
    """
    known = tree(snapshot.layout, topology).rank[snapshot.layout.path[rows]]
    return np.where(rows < 0, UNKNOWN, known).astype(np.int32)


def distances(
    snapshot: Snapshot,
    one: npt.NDArray[np.intp],
    other: npt.NDArray[np.intp],
    *,
    topology: str = "",
) -> npt.NDArray[np.int32]:
    """(rows,) int32: edges between the nodes of two lists of rows, pair by pair (broadcast);
    rows of -1 are as far from all others as can be.
    """
    the_tree = tree(snapshot.layout, topology)
    path = snapshot.layout.path
    between = path_distances(the_tree, path[one], path[other])
    between[np.logical_or(one < 0, other < 0)] = furthest(the_tree)
    return np.where(one == other, 0, between).astype(np.int32)


def path_distances(
    the_tree: Tree, one: npt.NDArray[np.int32], other: npt.NDArray[np.int32]
) -> npt.NDArray[np.int32]:
    """Edges between two different nodes that hang at these paths (broadcast)."""
    common = np.zeros(np.broadcast(one, other).shape, dtype=np.int32)
    for ancestor in the_tree.ancestors:
        mine, theirs = ancestor[one], ancestor[other]
        common += (mine == theirs) & (mine >= 0)
    between = the_tree.length[one] + the_tree.length[other] - 2 * common + 2
    return np.where(common > 0, between, furthest(the_tree)).astype(np.int32)


def furthest(the_tree: Tree) -> int:
    """The distance of nodes that share no switch."""
    return 2 * the_tree.depth + 2


def tree(layout: Layout, topology: str = "") -> Tree:
    """The tree of the named topology, built once per generation of paths."""
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
    """Paths in block topologies with the larger blocks between the name and the base block."""
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
    """(number of the switch above, name) → number."""
    for number, path in enumerate(paths):
        above = -1
        for level, switch in enumerate(path):
            above = switches.setdefault((above, switch), len(switches))
            ancestors[level, number] = above
    return ancestors


_DIGITS = re.compile(r"\d+", re.ASCII)
