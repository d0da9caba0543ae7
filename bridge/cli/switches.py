"""The tree of switches that nodes are on, for people, for programs, and as topology.yaml."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from bridge.cli import listing
from bridge.slurm import hostlist

if TYPE_CHECKING:
    from rich.tree import Tree

    from bridge.slurm import SlurmNode

Switches = dict[str, Any]
"""Switch → the switches below it; under "" the names of its own nodes."""


def show(nodes: Iterable["SlurmNode"], *, as_yaml: bool, as_json: bool, joined: str = "") -> None:
    """Print them; for people also `joined`, which says where new nodes come in."""
    trees, without = read(nodes)
    if as_json:
        print(json.dumps({"topologies": trees, "without": without}, indent=1))
        return
    if as_yaml:
        import yaml

        print(yaml.safe_dump(topology_yaml(trees), sort_keys=False), end="")
        return
    from rich.console import Console
    from rich.tree import Tree

    console = Console(highlight=False)
    for name, switches in trees.items():
        tree = Tree(f"topology {listing.printable(name)}")
        _draw(tree, switches)
        console.print(tree)
    if without:
        console.print(f"without a topology: {listing.printable(hostlist.compress(without))}")
    if not trees and not without:
        console.print("no nodes")
    if joined:
        console.print(listing.printable(joined))


def read(nodes: Iterable["SlurmNode"]) -> tuple[dict[str, Switches], list[str]]:
    """The switches of each topology, and the names of nodes that are in none."""
    trees: dict[str, Switches] = {}
    without: list[str] = []
    for node in sorted(nodes, key=lambda one: one.name):
        if not node.topology:
            without.append(node.name)
            continue
        for place in node.topology.split(","):
            name, *path = place.split(":")
            at = trees.setdefault(name, {})
            for switch in path:
                at = at.setdefault(switch, {})
            at.setdefault("", []).append(node.name)
    return trees, without


def topology_yaml(trees: dict[str, Switches]) -> list[dict[str, Any]]:
    """As Slurm reads it (topology.yaml(5)): each switch has either switches below it or nodes."""
    return [
        {"topology": name, "cluster_default": at == 0, "tree": {"switches": list(_flat(switches))}}
        for at, (name, switches) in enumerate(trees.items())
    ]


def _flat(switches: Switches) -> Iterable[dict[str, str]]:
    for switch, below in switches.items():
        if switch == "":
            continue
        children = [name for name in below if name]
        found = {"switch": switch}
        if children:
            found["children"] = ",".join(children)
        if below.get(""):
            found["nodes"] = hostlist.compress(below[""])
        yield found
        yield from _flat(below)


def _draw(tree: "Tree", switches: Switches) -> None:
    from rich.text import Text

    for switch, below in switches.items():
        if switch:
            _draw(tree.add(Text(listing.printable(switch))), below)
        else:
            tree.add(Text(f"{len(below)}: {listing.printable(hostlist.compress(below))}"))
