"""Where nodes hang in Slurm's topology: pure.

A place is `topology:switch:…:leaf`, or `topology:block`; several, in different topologies, have
commas between them. The annotation on the node says it whole. Else the bridge makes the switches
below the root of one tree: from the cloud's labels of network layers, from the labels that the
settings list, or from the zone.

slurmrestd has no call for topologies (26.05), and GET /conf says topology/flat beside a
topology.yaml. What can be known of the tree is what the nodes show that were registered at run
time; those of slurm.conf show nothing. In a cluster with a topology a node without a place is idle,
takes jobs that need one node, and is left out of all others.

A switch has one name in the whole topology. Told `root:b:r1` where r1 is below a, Slurm makes b and
puts the node below a without a word. So switches of the settings' labels carry the names of those
above them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bridge import names
from bridge.model.node import Node
from bridge.slurm import Partition, SlurmNode

_MOST_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Root:
    """The switch below which nodes are joined."""

    path: str = ""
    """`topology:switch`; "" where it can't be known."""
    why: str = ""
    """How it is known, or why it can't be; a sentence's end."""
    is_flat: bool = True
    """Whether no node shows a place in any topology."""


def of_partitions(partitions: Iterable[Partition]) -> dict[str, str]:
    """The topologies of partitions that have one of their own, by partition."""
    return {part.name: part.topology for part in partitions if part.topology}


def root(
    setting: str,
    nodes: Iterable[SlurmNode],
    *,
    topologies: Mapping[str, str],
    partition: str,
) -> Root:
    """The root of the setting; else of what Slurm's nodes show.

    `topologies` are the partitions with one of their own. `partition` is where jobs go that name
    none: its topology counts, else that which is no partition's own.
    """
    trees = _Trees(nodes)
    if setting:
        return Root(setting, "the setting nodes.topology says so", is_flat=not trees.tops)
    found, why = trees.root(topologies, partition)
    return Root(found, why, is_flat=not trees.tops)


class _Trees:
    """The tops of the trees that nodes show, by topology; a block has none."""

    def __init__(self, nodes: Iterable[SlurmNode]) -> None:
        self.tops: dict[str, set[str]] = {}
        inner: defaultdict[str, set[str]] = defaultdict(set)
        for text in {node.topology for node in nodes if node.topology}:
            for name, *path in (place.split(":") for place in text.split(",")):
                if path:
                    tops = self.tops.setdefault(name, set())
                    tops.update(path[:1] if len(path) > 1 else ())
                    inner[name].update(path[1:])
        for name, tops in self.tops.items():
            tops -= inner[name]

    def root(self, topologies: Mapping[str, str], partition: str) -> tuple[str, str]:
        if not self.tops:
            return "", "no node of Slurm shows a place in a topology"
        name = topologies.get(partition, "")
        if not name:
            shared = self.tops.keys() - set(topologies.values()) or self.tops.keys()
            if len(shared) > 1:
                return "", f"Slurm's nodes are in several topologies ({_some(shared)})"
            (name,) = shared
        tops = self.tops.get(name, set())
        if len(tops) > 1:
            return "", f"topology {name} has several roots ({_some(tops)})"
        if not tops:
            return "", f"no node of Slurm shows a root of topology {name}"
        return f"{name}:{next(iter(tops))}", "Slurm's nodes hang below it"


def has_place(node: SlurmNode) -> bool:
    """Whether it is in some topology. Of nodes that Slurm knows by its files nothing is shown."""
    return not node.external or any(":" in place for place in node.topology.split(","))


def unplaced(node: Node, known: Root) -> str:
    """What its admin is told of a node without a place."""
    if known.path:
        why = f"it has no labels that name its switches below {known.path}"
        advice = "label it, list the keys of its labels in nodes.topologyLabels"
    else:
        why = f"the root for it is not known: {known.why}"
        advice = "set nodes.topology"
    return (
        f"node {node.name} has no place in Slurm's topology, so Slurm gives it only jobs that need "
        f"one node; {why}. Give it a place: {advice}, or annotate it with "
        f"{names.TOPOLOGY_ANNOTATION}"
    )


def place_of(node: Node, root_path: str, label_keys: Iterable[str] = ()) -> str:
    """The node's place; "" where nothing says it. Of `label_keys` the node needs all."""
    spec = node.annotations.get(names.TOPOLOGY_ANNOTATION, "")
    if spec or not root_path:
        return spec
    top = root_path.split(":")[1:]
    switches = _layers(node, top) or _labelled(node, label_keys, top) or _zone(node, top)
    return ":".join([root_path, *switches]) if switches else ""


def is_by_zone(node: Node, label_keys: Iterable[str] = ()) -> bool:
    """Whether no better is known of the node than its zone."""
    if node.annotations.get(names.TOPOLOGY_ANNOTATION):
        return False
    return not _layers(node, ()) and not _labelled(node, label_keys, ())


def _layers(node: Node, above: Iterable[str]) -> list[str]:
    found: list[str] = []
    while label := node.labels.get(f"{names.AWS_NETWORK_LAYER_PREFIX}{len(found) + 1}"):
        found.append(_unlike(label, [*above, *found]))
    return found


def _labelled(node: Node, label_keys: Iterable[str], above: Iterable[str]) -> list[str]:
    found: list[str] = []
    for key in label_keys:
        label = node.labels.get(key)
        if not label:
            return []
        found.append(_unlike(f"{found[-1]}.{label}" if found else label, [*above, *found]))
    return found


def _zone(node: Node, above: Iterable[str]) -> list[str]:
    zone = node.labels.get(names.ZONE_LABEL)
    return [_unlike(zone, above)] if zone else []


def _unlike(name: str, others: Iterable[str]) -> str:
    """The name, made another one than those of the switches above."""
    while name in others:
        name += "_"
    return name


def _some(found: Iterable[str]) -> str:
    ordered = sorted(found)
    more = len(ordered) - _MOST_SHOWN
    return ", ".join(ordered[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
