"""Where a node hangs in the fabric: a path of switches for each topology that it is in.

A node's path names its switches from the top down. Paths come from
1. the annotation `topology.slinky.slurm.net/spec`, Slurm's own form `name:switch[:switch…]` (tree)
   or `name:block` (block), comma separated for several named topologies. The name is the path's
   first element, so nodes of different topologies are far from each other;
2. the labels `topology.k8s.aws/network-node-layer-1…N` (1 is the top): a path without a name, for
   nodes that the annotation does not put into the topology that is asked for.
A label that names an NVLink domain (UltraServer, clique) is appended to each as the innermost
level: nodes in one domain are closer to each other than to the rest of their leaf.
"""

from collections.abc import Iterable, Iterator

from bridge import names
from bridge.model.node import Node

Path = tuple[str, ...]
"""Switches from the top down; () when nothing is known."""

Paths = tuple[tuple[str, Path], ...]
"""(name of the topology, "" for none; path), in the order in which they are preferred."""

NVLINK_DOMAIN_LABELS = (
    "nvidia.com/gpu.clique",
    "network.topology.nvidia.com/accelerator",
    "accelerator.topograph.run/domain",
    "topology.k8s.aws/ultraserver-id",
    "topology.k8s.aws/capacity-block-id",
)
"""The first that a node has names its NVLink domain, the most exact first: one capacity block
can span several cliques."""

MOST_LEVELS = 64
"""Levels of a path that count. Fabrics have three to five; an annotation may say anything."""


def paths_of(node: Node) -> Paths:
    """The node's paths in all topologies."""
    domain = _nvlink_domain(node)
    found = dict(_from_spec(node.annotations.get(names.TOPOLOGY_ANNOTATION, "")))
    layers = _from_layers(node)
    if layers or (domain and not found):
        found[""] = layers
    return tuple((name, (*path, *domain)[:MOST_LEVELS]) for name, path in found.items())


def path_in(paths: Paths, topology: str) -> Path:
    """The one to go by: of this topology, else the one without a name. "": the first there is."""
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
    """Of several paths in one topology the first counts."""
    seen: set[str] = set()
    for one in spec.split(","):
        path = tuple(filter(None, map(str.strip, one.split(":"))))
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
