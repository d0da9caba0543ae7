"""Hypothesis strategies: small clusters in which everything collides, and the table of one."""

from dataclasses import replace

from hypothesis import strategies as st

from bridge import names as names_of
from bridge.model.ids import NodeName, PodUid
from bridge.model.node import Cause, Node
from bridge.model.pod_identity import PodIdentity
from bridge.model.resources import Resources
from bridge.model.scheduling import (
    HostPort,
    NodeSelectorTerm,
    PodSelector,
    PodShape,
    PodTerm,
    Requirement,
    SpreadConstraint,
    Taint,
    Toleration,
)
from bridge.placement.table import NodeTable
from tests.unit.placement.oracle import OURS, Cluster

MOST_VALUES = 2
"""Labels of more values than this are wide in test tables, so that small clusters have some."""

IGNORED = "instance-id"
SICK = Cause("KernelDeadlock=True")
KEYS = ("zone", "kind", "rank", IGNORED, "kubernetes.io/hostname")
VALUES = ("a", "b", "c", "1", "2", "10", "-3", "+4", "0x1", "")
GPU, EFA = "nvidia.com/gpu", "vpc.amazonaws.com/efa"
MIG, HUGE = "nvidia.com/mig-1g.10gb", "hugepages-2Mi"

names = st.sampled_from([NodeName(f"node-{number}") for number in (1, 2, 3, 10, 11, 20)])
pods = st.sampled_from([PodUid(f"pod-{number}") for number in range(12)])

taints = st.builds(
    Taint,
    st.sampled_from(
        ("x", "y", "node.kubernetes.io/not-ready", "karpenter.sh/disrupted",
         "slinky.slurm.net/managed-node")
    ),
    st.sampled_from(("", "v", OURS)),
    st.sampled_from(("NoSchedule", "NoExecute", "PreferNoSchedule")),
)  # fmt: skip

tolerations = st.builds(
    Toleration,
    st.sampled_from(
        ("", "x", "y", "node.kubernetes.io/not-ready", "node.kubernetes.io/unschedulable")
    ),
    st.sampled_from(("Equal", "Exists")),
    st.sampled_from(("", "v")),
    st.sampled_from(("", "NoSchedule", "NoExecute")),
)  # fmt: skip


_RARE: tuple[dict[str, int], ...] = (
    {}, {}, {}, {HUGE: 2 << 20}, {MIG: 1}, {HUGE: 4 << 20, MIG: 2}
)  # fmt: skip


def resources(most: int, least: int = 0) -> st.SearchStrategy[Resources]:
    """Amounts so small that nodes fill up; hugepages and MIG profiles now and then (always with
    `least`).
    """

    def build(cpu: int, memory: int, disk: int, gpu: int, efa: int) -> Resources:
        rare = _RARE[-1 if least else (cpu + memory + disk + gpu + efa) % len(_RARE)]
        pieces = sorted({GPU: gpu, EFA: efa, **rare}.items())
        extended = tuple((key, count) for key, count in pieces if count)
        return Resources(cpu * 500, memory << 30, disk << 30, extended)

    return st.builds(build, *[st.integers(least, most)] * 5)


requirements = st.builds(
    Requirement,
    st.sampled_from((*KEYS, "missing")),
    st.sampled_from(("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")),
    st.lists(st.sampled_from((*VALUES, "node-1")), max_size=2).map(tuple),
)
name_fields = st.builds(
    Requirement,
    st.just("metadata.name"),
    st.sampled_from(("In", "NotIn")),
    st.lists(names, min_size=1, max_size=1).map(tuple),
)
terms = st.builds(
    NodeSelectorTerm,
    st.lists(requirements, max_size=2).map(tuple),
    st.lists(name_fields, max_size=1).map(tuple),
)
host_ports = st.builds(
    HostPort, st.sampled_from((80, 81)), st.sampled_from(("TCP", "UDP")),
    st.sampled_from(("", "0.0.0.0", "10.0.0.1", "10.0.0.2")),
)  # fmt: skip

shapes = st.builds(
    PodShape,
    requests=resources(3),
    node_selector=st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=1).map(
        lambda wanted: tuple(sorted(wanted.items()))
    ),
    affinity_terms=st.none() | st.lists(terms, max_size=2).map(tuple),
    tolerations=st.lists(tolerations, max_size=2).map(tuple),
    host_ports=st.lists(host_ports, max_size=1).map(tuple),
    volume_terms=st.lists(st.lists(terms, max_size=2).map(tuple), max_size=1).map(tuple),
)
plain_shapes = st.builds(PodShape, requests=resources(2))
"""Shapes that only amounts can keep away."""


def _node(
    name: NodeName,
    labels: dict[str, str],
    hostname: bool,
    layers: list[str],
    states: tuple[int, int, int, int],
    **fields: object,
) -> Node:
    labels = labels | ({"kubernetes.io/hostname": name} if hostname else {})
    labels |= {f"topology.k8s.aws/network-node-layer-{n}": s for n, s in enumerate(layers, 1)}
    return Node(
        name=name,
        uid=f"uid-{name}",
        resource_version="1",
        labels=labels,
        unschedulable=states[0] == 0,
        ready=states[1] > 0,
        deleting=states[2] == 0,
        causes=(SICK,) if states[3] == 0 else (),
        **fields,  # type: ignore[arg-type]
    )


nodes = st.builds(
    _node,
    names,
    st.dictionaries(st.sampled_from(KEYS[:4]), st.sampled_from(VALUES), max_size=4),
    st.booleans(),
    st.lists(st.sampled_from(("s1", "s2")), max_size=3),
    st.tuples(*(st.integers(0, most) for most in (9, 9, 19, 9))),
    taints=st.lists(taints, max_size=2).map(tuple),
    allocatable=resources(8),
    max_pods=st.integers(0, 4),
)
"""Nodes in any state; mostly in a good one."""

good_nodes = st.builds(
    lambda name, layers, amounts, count: Node(
        name=name, uid=name, resource_version="1",
        labels={f"topology.k8s.aws/network-node-layer-{n}": s for n, s in enumerate(layers, 1)},
        allocatable=amounts, max_pods=count,
    ),
    names,
    st.tuples(st.sampled_from(("s1", "s2")), st.sampled_from(("l1", "l2"))),
    resources(12, least=4),
    st.integers(2, 6),
)  # fmt: skip
"""Nodes that only amounts can make unfit."""


def a_table() -> NodeTable:
    """An empty table as all tests use it."""
    return NodeTable(
        class_ignore_keys=(IGNORED,), scheduler_name=OURS, class_most_values=MOST_VALUES
    )


def table_of(cluster: Cluster) -> NodeTable:
    """The cluster, as the core keeps it."""
    table = a_table()
    for node in cluster.nodes.values():
        table.upsert(node)
    for namespace, labels in cluster.namespaces.items():
        table.set_namespace(namespace, labels)
    for pod, (name, shape, daemon) in cluster.pods.items():
        identity, ending = cluster.who.get(pod), pod in cluster.ending
        table.occupy(pod, name, shape, daemon=daemon, identity=identity, ending=ending)
    return table


PODS_OF = {"app": ("a", "b"), "tier": ("x", ""), names_of.COMPLETION_INDEX: ("0", "1")}
NAMESPACES = {"team": {"org": "x"}, "other": {"org": "y"}, "bare": {}}

identities = st.builds(
    PodIdentity.of,
    st.sampled_from(("team", "team", "other", "bare", "unknown")),
    st.fixed_dictionaries(
        {}, optional={key: st.sampled_from(values) for key, values in PODS_OF.items()}
    ),
)
"""Pods of few kinds, some of them numbered, one namespace unknown to Kubernetes."""

pod_requirements = st.builds(
    lambda key, operator, values: Requirement(
        key, operator, tuple(sorted(values)) if operator in ("In", "NotIn") else ()
    ),
    st.sampled_from((*PODS_OF, "app", "missing")),
    st.sampled_from(("In", "In", "NotIn", "Exists", "DoesNotExist")),
    st.sets(st.sampled_from(("a", "b", "x", "0")), min_size=1, max_size=2),
)
_namespace_requirements = st.builds(
    Requirement,
    st.just("org"),
    st.sampled_from(("Exists", "DoesNotExist")),
)
pod_selectors = st.builds(
    PodSelector,
    st.sampled_from((("team",), ("team",), ("other", "team"), ())),
    st.none() | st.lists(pod_requirements, max_size=2).map(tuple),
    st.none() | st.lists(_namespace_requirements, max_size=1).map(tuple),
)
TOPOLOGY = ("kubernetes.io/hostname", "zone", "kind", "missing")
pod_terms = st.builds(PodTerm, st.sampled_from(TOPOLOGY[:3] + TOPOLOGY), pod_selectors)
spreads = st.builds(
    SpreadConstraint,
    st.sampled_from(TOPOLOGY[:3] + TOPOLOGY),
    st.integers(1, 2),
    st.builds(
        PodSelector,
        st.just(("team",)),
        st.none() | st.lists(pod_requirements, max_size=2).map(tuple),
    ),
    st.sampled_from((1, 1, 2, 3)),
    st.sampled_from(("Honor", "Ignore")),
    st.sampled_from(("Ignore", "Honor")),
)


domain_nodes = st.builds(
    lambda name, labels, hostname, tainted: Node(
        name=name, uid=name, resource_version="1",
        labels=labels | ({TOPOLOGY[0]: name} if hostname else {}),
        taints=(Taint("x", "", "NoSchedule"),) if tainted else (),
        allocatable=Resources(cpu_milli=64_000),
    ),
    names,
    st.fixed_dictionaries(
        {}, optional={"zone": st.sampled_from(("a", "b")), "kind": st.sampled_from(("1", "2"))}
    ),
    st.sampled_from((True, True, True, False)),
    st.sampled_from((False, False, False, True)),
)  # fmt: skip
"""Nodes with room for everybody, in few domains."""

small_shapes = st.builds(
    PodShape,
    requests=st.just(Resources(cpu_milli=1000)),
    node_selector=st.sampled_from(((), (), (("zone", "a"),))),
    tolerations=st.sampled_from(((Toleration("x", "Exists"),), ())),
)


def with_terms(shape: st.SearchStrategy[PodShape], *, most: int = 2) -> st.SearchStrategy[PodShape]:
    """The shapes, with terms about other pods."""
    return st.builds(
        lambda one, affinity, anti_affinity, spread: replace(
            one,
            pod_affinity=tuple(dict.fromkeys(affinity)),
            pod_anti_affinity=tuple(dict.fromkeys(anti_affinity)),
            spread=tuple(dict.fromkeys(spread)),
        ),
        shape,
        st.lists(pod_terms, max_size=most),
        st.lists(pod_terms, max_size=most),
        st.lists(spreads, max_size=most),
    )


def spread_in(shape: PodShape, namespace: str) -> PodShape:
    """The shape of a pod of this namespace: its spread constraints are about the pods there."""
    return replace(
        shape,
        spread=tuple(
            replace(one, selector=replace(one.selector, namespaces=(namespace,)))
            for one in shape.spread
        ),
    )


def populated(cluster: st.SearchStrategy[Cluster]) -> st.SearchStrategy[Cluster]:
    """The clusters, with pods that selectors meet."""
    return st.builds(
        lambda one, who: replace(
            one,
            who={pod: who[at] for at, pod in enumerate(sorted(one.pods)) if at % 5 < 4},
            namespaces=dict(NAMESPACES),
        ),
        cluster,
        st.lists(identities, min_size=12, max_size=12),
    )


def clusters(
    node: st.SearchStrategy[Node] = nodes,
    shape: st.SearchStrategy[PodShape] = shapes,
    least: int = 0,
) -> st.SearchStrategy[Cluster]:
    """A few nodes with a few pods on them, some on nodes that are not there, some being deleted."""
    return st.builds(
        lambda some, held, ending: Cluster(
            {node.name: node for node in some}, held, ending=ending & held.keys()
        ),
        st.lists(node, min_size=least, max_size=6),
        st.dictionaries(pods, st.tuples(names, shape, st.booleans()), max_size=6),
        st.sets(pods, max_size=3),
    )
