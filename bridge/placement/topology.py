"""The fabric's tree: where a node hangs in it, the order of nodes along it, and distances.

A node's path names its switches from the top down. It comes from, in this order:
1. the annotation `topology.slinky.slurm.net/spec`, Slurm's own form `name:switch[:switch…]`,
   comma separated for several named topologies, of which one is placed by. Its name is the
   path's first element, so nodes of different topologies are far from each other;
2. the labels `topology.k8s.aws/network-node-layer-1…N` (1 is the top).
A label that names an NVLink domain (UltraServer, clique) is appended as the innermost level:
nodes in one domain are closer to each other than to the rest of their leaf.

Distance of two nodes is the number of edges between them: 0 for a node and itself, 2 below one
switch, 4 one level up; nodes without a common switch (or without any path) are as far as the
deepest tree allows, plus 2.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge import names
from bridge.model.ids import NodeName
from bridge.model.node import Node
from bridge.placement.interning import Vocabulary
from bridge.placement.snapshot import Snapshot

Path = tuple[str, ...]
"""Switches from the top down; () when nothing is known."""

NVLINK_DOMAIN_LABELS = (
    "nvidia.com/gpu.clique",
    "network.topology.nvidia.com/accelerator",
    "accelerator.topograph.run/domain",
    "topology.k8s.aws/capacity-block-id",
)
"""The first that a node has names its NVLink domain, the most exact first: one capacity block
can span several cliques."""

NOWHERE = np.iinfo(np.int32).max
"""Rank of nodes without a path: after all others."""


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


def path_of(node: Node, *, topology: str = "") -> Path:
    """The node's switches from the top down; `topology` is the named one to go by ("": the
    first that the annotation names).
    """
    spec = node.annotations.get(names.TOPOLOGY_ANNOTATION, "")
    fabric = _from_spec(spec, topology) or _from_layers(node)
    for label in NVLINK_DOMAIN_LABELS:
        domain = node.labels.get(label)
        if domain:
            return (*fabric, domain)
    return fabric


def natural(name: str) -> tuple[str | int, ...]:
    """A sort key in which node-2 comes before node-10: text and numbers take turns."""
    return tuple(int(part) if index % 2 else part for index, part in enumerate(_DIGITS.split(name)))


def order(snapshot: Snapshot, nodes: Sequence[NodeName]) -> npt.NDArray[np.intp]:
    """(nodes,) positions of `nodes` in the order of the tree: neighbours next to each other.

    Within one switch by name in natural order; nodes without a path last; nodes that the
    snapshot does not know after those.
    """
    by_name = np.array(
        sorted(range(len(nodes)), key=list(map(natural, nodes)).__getitem__), dtype=np.intp
    )
    rank = ranks(snapshot, snapshot.rows(nodes))
    return by_name[np.argsort(rank[by_name], kind="stable")]


def ranks(snapshot: Snapshot, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.int32]:
    """(rows,) int32: each node's switch in depth-first order; NOWHERE for rows of -1."""
    if not len(rows):
        return np.zeros(0, dtype=np.int32)
    known = tree(snapshot.layout.paths).rank[snapshot.layout.path[rows]]
    return np.where(rows < 0, NOWHERE, known).astype(np.int32)


def distances(
    snapshot: Snapshot, one: npt.NDArray[np.intp], other: npt.NDArray[np.intp]
) -> npt.NDArray[np.int32]:
    """(rows,) int32: edges between the nodes of two lists of rows, pair by pair (broadcast);
    rows of -1 are as far from all others as can be.
    """
    the_tree = tree(snapshot.layout.paths)
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


def tree(paths: Vocabulary[Path]) -> Tree:
    """The tree of these paths, built once per generation of them."""
    return paths.remember("tree", lambda: _tree(paths.values))


def _tree(paths: Sequence[Path | None]) -> Tree:
    lengths = np.array([len(path or ()) for path in paths], dtype=np.int32)
    return Tree(_rank(paths), lengths, _ancestors(paths, max(int(lengths.max()), 1)))


def _rank(paths: Sequence[Path | None]) -> npt.NDArray[np.int32]:
    rank = np.full(len(paths), NOWHERE, dtype=np.int32)
    known = [number for number, path in enumerate(paths) if path]
    known.sort(key=lambda number: [natural(switch) for switch in paths[number] or ()])
    rank[known] = np.arange(len(known), dtype=np.int32)
    return rank


def _ancestors(paths: Sequence[Path | None], depth: int) -> npt.NDArray[np.int32]:
    ancestors = np.full((depth, len(paths)), -1, dtype=np.int32)
    prefixes: dict[Path, int] = {}
    for number, path in enumerate(paths):
        for level in range(len(path or ())):
            prefix = (path or ())[: level + 1]
            ancestors[level, number] = prefixes.setdefault(prefix, len(prefixes))
    return ancestors


def _from_spec(spec: str, topology: str) -> Path:
    paths = [tuple(filter(None, one.strip().split(":"))) for one in spec.split(",")]
    named = [path for path in paths if path and (not topology or path[0] == topology)]
    return named[0] if named else ()


def _from_layers(node: Node) -> Path:
    layers = []
    for key, value in node.labels.items():
        level = key.removeprefix(names.AWS_NETWORK_LAYER_PREFIX)
        if level != key and level.isascii() and level.isdigit() and value:
            layers.append((int(level), value))
    return tuple(value for _, value in sorted(layers))


_DIGITS = re.compile(r"(\d+)", re.ASCII)
