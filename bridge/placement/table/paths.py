"""Where a node hangs in the fabric: one path of switches for each of the node's topologies.

A path names the node's switches from the top down. Paths come from two places:
1. The annotation `topology.slinky.slurm.net/spec` has Slurm's own form, `name:switch[:switch…]` for
   a tree and `name:block` for blocks; commas separate several named topologies. The name is the
   first element of the path, so nodes of different topologies are far from each other.
2. The labels `topology.k8s.aws/network-node-layer-1…N` (1 is the top) give a path without a name.
   It counts where the annotation does not put the node into the topology that is asked for.
If a label names the node's NVLink domain (UltraServer, clique), the domain becomes the innermost
level of each path: nodes of one domain are closer to each other than to the rest of their leaf.
"""

from collections.abc import Iterable, Iterator

from bridge import names
from bridge.model.node import Node

Path = tuple[str, ...]
"""Switches from the top down; () when nothing is known."""

Paths = tuple[tuple[str, Path], ...]
"""(name of the topology, "" for none; path), the preferred one first."""

NVLINK_DOMAIN_LABELS = (
    "nvidia.com/gpu.clique",
    "network.topology.nvidia.com/accelerator",
    "accelerator.topograph.run/domain",
    "topology.k8s.aws/ultraserver-id",
    "topology.k8s.aws/capacity-block-id",
)
"""The first label that a node has names its NVLink domain. The most exact ones come first: one
capacity block can span several cliques."""

MOST_LEVELS = 64
"""Levels of a path that count. Fabrics have three to five, but an annotation may say anything."""


def paths_of(node: Node) -> Paths:
    """The node's paths in all topologies."""
    domain = _nvlink_domain(node)
    path_of = dict(_from_spec(node.annotations.get(names.TOPOLOGY_ANNOTATION, "")))
    layers = _from_layers(node)
    if layers or (domain and not path_of):
        path_of[""] = layers
    return tuple((name, (*path, *domain)[:MOST_LEVELS]) for name, path in path_of.items())


def path_in(paths: Paths, topology: str) -> Path:
    """The path in this topology, else the path without a name; for "" the first of all."""
    for name, path in paths:
        if topology in ("", name):
            return path
    return next((path for name, path in paths if not name), ())


def _nvlink_domain(node: Node) -> Path:
    for label in NVLINK_DOMAIN_LABELS:
        domain = node.labels.get(label)
        if domain:
            return (domain,)
    return ()


def _from_spec(spec: str) -> Iterator[tuple[str, Path]]:
    """Read (name, path) pairs; of several paths in one topology the first counts."""
    seen: set[str] = set()
    for entry in spec.split(","):
        path = tuple(filter(None, map(str.strip, entry.split(":"))))
        if path and path[0] not in seen:
            seen.add(path[0])
            yield path[0], path


def _from_layers(node: Node) -> Path:
    return tuple(value for _, value in sorted(_layers(node.labels.items())))


def _layers(labels: Iterable[tuple[str, str]]) -> Iterator[tuple[int, str]]:
    for key, value in labels:
        level = key.removeprefix(names.AWS_NETWORK_LAYER_PREFIX)
        if level != key and level.isascii() and level.isdigit() and value:
            yield int(level), value
