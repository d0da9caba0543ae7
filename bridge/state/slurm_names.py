"""Whose a name in Slurm is, if several Kubernetes nodes claim it."""

from collections.abc import Iterable, Iterator, Mapping

from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.node import Node


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

    def add(self, node: Node) -> None:
        """Takes in a node as it is now; a name that it had before is no longer its own."""
        if self._name_of.get(node.name, node.slurm_name) != node.slurm_name:
            self.remove(node.name)
        self._name_of[node.name] = node.slurm_name
        self._claims.setdefault(node.slurm_name, {})[node.name] = node.created_s
        self._choose(node.slurm_name)

    def remove(self, node: NodeName) -> None:
        """Drops a node."""
        name = self._name_of.pop(node, None)
        if name is not None:
            del self._claims[name][node]
            self._choose(name)

    def _choose(self, name: SlurmNodeName) -> None:
        claims = self._claims[name]
        if claims:
            self._first[name] = min(claims, key=lambda node: (claims[node], node))
        else:
            del self._claims[name], self._first[name]
