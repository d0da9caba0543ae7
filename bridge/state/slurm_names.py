"""Whose a name in Slurm is, if several Kubernetes nodes claim it."""

from collections.abc import Iterable, Iterator, Mapping

from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.node import Node
from bridge.placement.table import NodeTable


class SlurmNames(Mapping[SlurmNodeName, NodeName]):
    """A Slurm node's name → the Kubernetes node that it is.

    Of several Kubernetes nodes with one name in Slurm, it is the one that was created first: what
    runs there stays where it is, and after a restart the answer is the same. When that node goes,
    the name is the next one's.
    """

    def __init__(self, nodes: Iterable[Node] = ()) -> None:
        self._first: dict[SlurmNodeName, NodeName] = {}
        self._claims: dict[SlurmNodeName, dict[NodeName, float]] = {}
        """By name in Slurm: the nodes that claim it, with the time of their creation."""
        self._name_of: dict[NodeName, SlurmNodeName] = {}
        for node in nodes:
            self.add(node)

    def __getitem__(self, name: SlurmNodeName) -> NodeName:
        return self._first[name]

    def __iter__(self) -> Iterator[SlurmNodeName]:
        return iter(self._first)

    def __len__(self) -> int:
        return len(self._first)

    def has(self, node: Node) -> bool:
        """Whether the node has its name in Slurm."""
        return self._first.get(node.slurm_name) == node.name

    def add(self, node: Node) -> set[NodeName]:
        """Takes in a node as it is now; a name that it had before is no longer its own. Returns it
        and the nodes that have lost or got a name by that."""
        touched = {node.name}
        if self._name_of.get(node.name, node.slurm_name) != node.slurm_name:
            touched |= self.remove(node.name)
        self._name_of[node.name] = node.slurm_name
        self._claims.setdefault(node.slurm_name, {})[node.name] = node.created_s
        touched.add(self._first.get(node.slurm_name, node.name))
        self._choose(node.slurm_name)
        return touched

    def remove(self, node: NodeName) -> set[NodeName]:
        """Drops a node; returns the node that has its name now, if there is one."""
        name = self._name_of.pop(node, None)
        if name is None:
            return set()
        del self._claims[name][node]
        self._choose(name)
        return {self._first[name]} if name in self._first else set()

    def _choose(self, name: SlurmNodeName) -> None:
        claims = self._claims[name]
        if claims:
            self._first[name] = min(claims, key=lambda node: (claims[node], node))
        else:
            del self._claims[name], self._first[name]


def show(nodes: Iterable[Node], names: SlurmNames, table: NodeTable) -> None:
    """Brings these nodes of the table up to date. A node that does not have its name in Slurm is
    left out: a job can't ask for it, and asks by this name for the other node."""
    for node in nodes:
        if names.has(node):
            table.upsert(node)
        else:
            table.remove(node.name)
