"""The placement core once more: slow, one node at a time, as Kubernetes' documentation says it.

Shares no code with `bridge.placement`. What the two disagree on is a bug in one of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from bridge.model.ids import NodeName, PodUid
from bridge.model.node import Node
from bridge.model.pod_identity import PodIdentity
from bridge.model.resources import Resources
from bridge.model.scheduling import HostPort, NodeSelectorTerm, PodShape, Requirement, Taint
from tests.unit.placement import pod_terms

OURS = "ours"
"""The scheduler name of all test tables."""

_STATE_TAINTS = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/", "karpenter.sh/")


@dataclass
class Cluster:
    """Plain dictionaries of nodes and of what pods hold."""

    nodes: dict[NodeName, Node] = field(default_factory=dict)
    pods: dict[PodUid, tuple[NodeName, PodShape, bool]] = field(default_factory=dict)
    who: dict[PodUid, PodIdentity] = field(default_factory=dict)
    """Pods that are not here are met by no selector."""
    ending: set[PodUid] = field(default_factory=set)
    namespaces: dict[str, dict[str, str]] = field(default_factory=dict)
    """Name → labels."""

    def copy(self) -> "Cluster":
        """As it is now."""
        return Cluster(
            dict(self.nodes),
            dict(self.pods),
            dict(self.who),
            set(self.ending),
            dict(self.namespaces),
        )

    def on(self, name: NodeName, *, daemons_only: bool = False) -> list[PodShape]:
        """Shapes of the pods that hold a share of the node."""
        return [
            shape
            for node, shape, daemon in self.pods.values()
            if node == name and (daemon or not daemons_only)
        ]

    def failure(
        self, name: NodeName, shape: PodShape, *, now: bool, who: PodIdentity | None = None
    ) -> str:
        """What keeps a pod off the node first; "FITS" if nothing."""
        node = self.nodes.get(name)
        if node is None:
            return "ABSENT"
        if node.deleting:
            return "DELETING"
        if not selected(node, shape):
            return "SELECTOR"
        lasting = [taint for taint in node.taints if not taint.key.startswith(_STATE_TAINTS)]
        if not tolerated(lasting, shape):
            return "TAINT"
        if not fits(node, self.on(name, daemons_only=True), shape.requests):
            return "CAPACITY"
        if now and (failure := self._failure_now(node, shape)) != "FITS":
            return failure
        return "FITS" if who is None else pod_terms.failure(self, node, shape, who)

    def _failure_now(self, node: Node, shape: PodShape) -> str:
        cordon = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")
        if node.unschedulable and not tolerated([cordon], shape):
            return "CORDONED"
        if not node.ready:
            return "NOT_READY"
        if node.causes:
            return "UNHEALTHY"
        if not tolerated(node.taints, shape):
            return "STATE_TAINT"
        here = self.on(node.name)
        if not fits(node, here, shape.requests):
            return "FREE"
        if any(conflict(mine, theirs) for mine in shape.host_ports for other in here
               for theirs in other.host_ports):  # fmt: skip
            return "PORTS"
        return "FITS"

    def overcommitted(self, name: NodeName) -> set[str]:
        """Resources of which pods hold more than the node has."""
        node, here = self.nodes[name], self.on(name)
        total = Resources()
        for shape in here:
            total = total + shape.requests
        over = {key for key, amount in total.extended if amount > node.allocatable.get(key)}
        over |= {"pods"} if len(here) > node.max_pods else set()
        over |= {"cpu"} if total.cpu_milli > node.allocatable.cpu_milli else set()
        over |= {"memory"} if total.memory_bytes > node.allocatable.memory_bytes else set()
        over |= {"disk"} if total.ephemeral_bytes > node.allocatable.ephemeral_bytes else set()
        ports = [port for shape in here for port in shape.host_ports]
        if any(conflict(a, b) for i, a in enumerate(ports) for b in ports[:i]):
            over.add("ports")
        return over


def selected(node: Node, shape: PodShape) -> bool:
    """nodeSelector, required node affinity and the volumes' affinity."""
    if any(node.labels.get(key) != value for key, value in shape.node_selector):
        return False
    if shape.affinity_terms is not None and not any_term(node, shape.affinity_terms):
        return False
    return all(any_term(node, terms) for terms in shape.volume_terms)


def any_term(node: Node, terms: Iterable[NodeSelectorTerm]) -> bool:
    """Terms are ORed; an empty one matches nothing."""
    return any(
        (term.expressions or term.fields)
        and all(meets(node.labels.get(rule.key), rule) for rule in term.expressions)
        and all(_field(node, rule) for rule in term.fields)
        for term in terms
    )


def meets(value: str | None, requirement: Requirement) -> bool:
    """One expression against one label."""
    wanted = list(requirement.values)
    if requirement.operator == "Exists":
        return value is not None
    if requirement.operator == "DoesNotExist":
        return value is None
    if requirement.operator == "NotIn":
        return value is None or value not in wanted
    if value is None:
        return False
    if requirement.operator == "In":
        return value in wanted
    try:
        mine, (limit,) = int(value), map(int, wanted)
    except ValueError:
        return False
    return mine > limit if requirement.operator == "Gt" else mine < limit


def _field(node: Node, requirement: Requirement) -> bool:
    if requirement.key != "metadata.name" or len(requirement.values) != 1:
        return False
    same = node.name == requirement.values[0]
    return {"In": same, "NotIn": not same}.get(requirement.operator, False)


def tolerated(taints: Iterable[Taint], shape: PodShape) -> bool:
    """Every taint that excludes is tolerated; ours always is."""
    return all(
        taint.effect == "PreferNoSchedule"
        or (taint.key == "slinky.slurm.net/managed-node" and taint.value == OURS)
        or (taint.key == "slinky.slurm.net/drained" and taint.effect == "NoSchedule")
        or any(toleration.tolerates(taint) for toleration in shape.tolerations)
        for taint in taints
    )


def fits(node: Node, here: list[PodShape], requests: Resources) -> bool:
    """A pod asks only for what it names; what it doesn't name may be overcommitted already."""
    used = Resources()
    for shape in here:
        used = used + shape.requests
    have = node.allocatable
    pairs = [
        (requests.cpu_milli, have.cpu_milli - used.cpu_milli),
        (requests.memory_bytes, have.memory_bytes - used.memory_bytes),
        (requests.ephemeral_bytes, have.ephemeral_bytes - used.ephemeral_bytes),
        *((amount, have.get(key) - used.get(key)) for key, amount in requests.extended),
    ]
    return len(here) < node.max_pods and all(ask <= left for ask, left in pairs if ask > 0)


def conflict(port: HostPort, other: HostPort) -> bool:
    """Two pods cannot have both on one node."""
    if (port.port, port.protocol) != (other.port, other.protocol):
        return False
    everywhere = ("", "0.0.0.0")
    return (
        port.host_ip in everywhere or other.host_ip in everywhere or port.host_ip == other.host_ip
    )


def how_many(cluster: Cluster, name: NodeName, shape: PodShape) -> int:
    """Pods of the shape that the node takes now, one after the other."""
    cluster, count = cluster.copy(), 0
    while cluster.failure(name, shape, now=True) == "FITS" and count < 1000:
        cluster.pods[PodUid(f"more-{count}")] = (name, shape, False)
        count += 1
    return count


def without(cluster: Cluster, *, pods: Iterable[PodUid]) -> Cluster:
    """The cluster after these pods have gone."""
    cluster = cluster.copy()
    for pod in pods:
        cluster.pods.pop(pod, None)
    return cluster


def changed(cluster: Cluster, name: NodeName, **fields: object) -> Cluster:
    """The cluster with one node changed."""
    cluster = cluster.copy()
    cluster.nodes[name] = replace(cluster.nodes[name], **fields)  # type: ignore[arg-type]
    return cluster
