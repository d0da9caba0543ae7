"""What the scheduler knows: nodes, and what is bound or about to be bound on each."""

from bridge.model.resources import Resources
from bridge.sim.kube import demand
from bridge.sim.kube.apiserver.objects import Object
from bridge.sim.kube.demand import Demand, Usage


class Cluster:
    """Nodes with their usage; kept up by the events of nodes and pods."""

    def __init__(self) -> None:
        self.nodes: dict[str, Object] = {}
        self._offers: dict[str, Resources] = {}
        self._usage: dict[str, Usage] = {}
        self._places: dict[str, tuple[str, Demand]] = {}

    def set_node(self, node: Object) -> None:
        """A node is there, or has changed."""
        name = node["metadata"]["name"]
        self.nodes[name] = node
        self._offers[name] = demand.allocatable(node)[0]

    def drop_node(self, name: str) -> None:
        """A node is gone."""
        self.nodes.pop(name, None)

    def usage(self, node: str) -> Usage:
        """What is taken on a node."""
        return self._usage.setdefault(node, Usage())

    def place(self, uid: str, node: str, wants: Demand) -> None:
        """The pod takes its share of the node (again: no change)."""
        if uid in self._places:
            if self._places[uid][0] == node:
                return
            self.remove(uid)
        self._places[uid] = (node, wants)
        usage = self.usage(node)
        usage.resources += wants.requests
        usage.pods += 1
        usage.ports |= wants.ports

    def remove(self, uid: str) -> bool:
        """The pod takes nothing any more; whether it did."""
        known = self._places.pop(uid, None)
        if known is None:
            return False
        usage = self.usage(known[0])
        usage.resources -= known[1].requests
        usage.pods -= 1
        usage.ports = (
            frozenset().union(
                *(wants.ports for node, wants in self._places.values() if node == known[0])
            )
            if known[1].ports
            else usage.ports
        )
        return True

    def holds(self, uid: str) -> bool:
        """Whether the pod has its share."""
        return uid in self._places

    def fitting(self, wants: Demand) -> tuple[dict[str, Object], dict[str, str]]:
        """The nodes that can take the pod, and for each other its reasons (joined by "; ")."""
        pinned = wants.only_nodes
        refused: dict[str, str] = {}
        feasible: dict[str, Object] = {}
        names = self.nodes.keys() if pinned is None else pinned & self.nodes.keys()
        for name in sorted(names):
            node = self.nodes[name]
            reason = demand.misfits(wants, node)
            if not reason:
                reason = "; ".join(demand.shortages(wants, node, self.usage(name)))
            if reason:
                refused[name] = reason
            else:
                feasible[name] = node
        if pinned is not None:
            for name in self.nodes.keys() - pinned:
                refused[name] = "node(s) didn't satisfy plugin(s) [NodeAffinity]"
        return feasible, refused

    def emptiness(self, node: str, wants: Demand) -> float:
        """How empty the node would be with the pod: NodeResourcesFit's LeastAllocated, 0 to 100."""
        offered, used, asked = self._offers[node], self.usage(node).resources, wants.requests
        shares = [
            1 - taken / have
            for taken, have in (
                (used.cpu_milli + asked.cpu_milli, offered.cpu_milli),
                (used.memory_bytes + asked.memory_bytes, offered.memory_bytes),
            )
            if have
        ]
        return 100 * sum(shares) / len(shares) if shares else 0.0
