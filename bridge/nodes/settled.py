"""Leaves out of a pass the nodes about which nothing is to do, while they stay as they are: pure.

A pass over 15,000 nodes takes a second, and passes come whenever some node changes.
"""

from collections.abc import Callable, Collection, Iterable, Mapping

from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.node import Node
from bridge.nodes import actions
from bridge.slurm import SlurmNode

_Facts = list[object]
"""How Slurm has a node, and the Kubernetes nodes of that name with what else counts for them."""


class Settled:
    """Remembers the nodes with which the last pass had nothing to do. Nodes of one name in Slurm
    are left out together or not at all."""

    def __init__(self) -> None:
        self._common: object = None
        self._settled: dict[SlurmNodeName, _Facts] = {}
        self._now: dict[SlurmNodeName, _Facts] = {}

    def unsettled(
        self,
        nodes: Mapping[NodeName, Node],
        slurm_nodes: Mapping[SlurmNodeName, SlurmNode],
        *,
        common: object,
        of_node: Callable[[NodeName, SlurmNodeName], object],
        always: Collection[SlurmNodeName] = (),
    ) -> tuple[dict[NodeName, Node], dict[SlurmNodeName, SlurmNode]]:
        """The nodes of both sides that a pass has to look at. `common` and `of_node` are what else
        is decided by: the same for all nodes, and of each. `always` are never left out: what is to
        do about them changes with the time."""
        if common != self._common:
            self._common, self._settled = common, {}
        now: dict[SlurmNodeName, _Facts] = {name: [known] for name, known in slurm_nodes.items()}
        name_of = {}
        for name, node in nodes.items():
            name_of[name] = slurm_name = node.slurm_name
            now.setdefault(slurm_name, [None]).extend((node, of_node(name, slurm_name)))
        self._now, settled = now, self._settled
        open_names = {name for name, facts in now.items() if settled.get(name) != facts}
        open_names.update(always)
        if not open_names:
            return {}, {}
        return (
            {name: node for name, node in nodes.items() if name_of[name] in open_names},
            {name: known for name, known in slurm_nodes.items() if name in open_names},
        )

    def note(self, planned: Iterable[actions.Action], nodes: Mapping[NodeName, Node]) -> None:
        """Takes all nodes for settled about which nothing was planned."""
        self._settled = self._now
        for action in planned:
            _, name = actions.key_of(action)
            node = nodes.get(NodeName(name))
            self._settled.pop(SlurmNodeName(name), None)
            if node is not None:
                self._settled.pop(node.slurm_name, None)
