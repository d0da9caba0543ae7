"""The same predicates and scores as one would first write them: a loop over objects.

The yardstick of the placement bench. Not slow on purpose: sums of what pods hold are kept per
node, dictionaries are made once, and a node is left at its first failing predicate.
"""

from collections.abc import Mapping, Sequence

from bench import clusters
from bridge import names
from bridge.model.gang import Gang
from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.job import Allocation
from bridge.model.node import Node
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from bridge.placement.table import paths

_SCARCE = (clusters.GPU, clusters.EFA)


class Loop:
    """All nodes, and what their pods hold."""

    def __init__(self, cluster: clusters.Cluster) -> None:
        self._nodes = cluster.nodes
        self._used: dict[NodeName, Resources] = {node.name: Resources() for node in self._nodes}
        self._pods: dict[NodeName, int] = dict.fromkeys(self._used, 0)
        for node, shape in cluster.pods.values():
            self._used[node] = self._used[node] + shape.requests
            self._pods[node] += 1
        self._paths = {node.name: paths.path_in(paths.paths_of(node), "") for node in self._nodes}
        self._depth = max(map(len, self._paths.values()))

    def filter_and_score(
        self, shape: PodShape, near: Sequence[NodeName]
    ) -> list[tuple[NodeName, int]]:
        """The nodes that can take the shape now, with their scores."""
        return [
            (node.name, self._score(node, shape, near))
            for node in self._nodes
            if self._fits(node, shape)
        ]

    def _fits(self, node: Node, shape: PodShape) -> bool:
        if node.deleting or node.unschedulable or not node.ready:
            return False
        for key, value in shape.node_selector:
            if node.labels.get(key) != value:
                return False
        for taint in node.taints:
            if taint.effect == "PreferNoSchedule":
                continue
            if taint.key == names.MANAGED_NODE_TAINT and taint.value == clusters.SCHEDULER:
                continue
            if not any(toleration.tolerates(taint) for toleration in shape.tolerations):
                return False
        have, used, ask = node.allocatable, self._used[node.name], shape.requests
        if (
            self._pods[node.name] >= node.max_pods
            or ask.cpu_milli > have.cpu_milli - used.cpu_milli
            or ask.memory_bytes > have.memory_bytes - used.memory_bytes
            or ask.ephemeral_bytes > have.ephemeral_bytes - used.ephemeral_bytes
        ):
            return False
        return all(n <= have.get(name) - used.get(name) for name, n in ask.extended)

    def _score(self, node: Node, shape: PodShape, near: Sequence[NodeName]) -> int:
        have, used = node.allocatable, self._used[node.name]
        shares = []
        for name in _SCARCE:
            whole = have.get(name)
            if whole:
                shares.append(min(whole, used.get(name) + shape.requests.get(name)) / whole)
        packing = sum(shares) / len(shares) if shares else 1.0
        if not near:
            return round(10 * packing)
        furthest = 2 * self._depth + 2
        away = sum(self._distance(node.name, other, furthest) for other in near)
        nearness = 1.0 - away / (furthest * len(near))
        return round(10 * (2 * packing + 4 * nearness) / 6)

    def _distance(self, one: NodeName, other: NodeName, furthest: int) -> int:
        if one == other:
            return 0
        mine, theirs = self._paths[one], self._paths[other]
        common = 0
        for here, there in zip(mine, theirs, strict=False):
            if here != there:
                break
            common += 1
        return len(mine) + len(theirs) - 2 * common + 2 if common else furthest


def deal(
    by_name: Mapping[NodeName, Node],
    allocation: Allocation,
    gang: Gang,
    known: Mapping[SlurmNodeName, NodeName],
    per_node: int,
) -> list[NodeName]:
    """Ranks in order onto the granted nodes by name; every node checked once per slot."""
    left = {known[grant.node]: grant for grant in allocation.nodes}
    placed: list[NodeName] = []
    for name in sorted(left):
        node, used = by_name[name], Resources()
        for _ in range(per_node):
            used = used + gang.shape.requests
            short = used.cpu_milli > node.allocatable.cpu_milli or any(
                node.allocatable.get(key) < amount for key, amount in used.extended
            )
            if short or len(placed) == gang.size:
                break
            placed.append(name)
    return placed
