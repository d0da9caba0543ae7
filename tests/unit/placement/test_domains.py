"""Other pods' places as requirements on a node's labels."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model.ids import NodeName
from bridge.model.node import Node
from bridge.model.scheduling import PodShape
from bridge.placement import NodeTable, domains
from bridge.placement.selectors import all_of
from tests.builders import a_node
from tests.unit.placement import clusters, oracle
from tests.unit.placement.oracle import OURS

keys = st.sampled_from(clusters.KEYS)
counts = st.dictionaries(clusters.names, st.integers(0, 3), max_size=4)


def allowed(table: NodeTable, requirement: object) -> set[str]:
    """The nodes that meet the requirement."""
    snapshot = table.snapshot()
    met = all_of(snapshot.layout.labels, [requirement], slice(None))  # type: ignore[list-item]
    return set(snapshot.names[met & snapshot.layout.alive])


@given(st.lists(clusters.nodes, max_size=6), keys, counts, st.booleans(), st.integers(1, 2))
def test_requirements_say_what_kubernetes_says(
    nodes: list[Node], key: str, matching: dict[NodeName, int], itself: bool, skew: int
) -> None:
    """Anti-affinity, affinity and spread, node by node as the documentation has them."""
    known = {node.name: node for node in nodes}
    table = clusters.a_table()
    for node in known.values():
        table.upsert(node)
    pods: dict[str, int] = {}
    for name, node in known.items():
        if key in node.labels:
            here = node.labels[key]
            pods[here] = pods.get(here, 0) + matching.get(name, 0)
    of = {name: node.labels.get(key) for name, node in known.items()}
    snapshot = table.snapshot()
    assert allowed(table, domains.anti_affinity(snapshot, key, matching)) == {
        name for name, domain in of.items() if domain is None or not pods[domain]
    }
    first = itself and not any(pods.values())
    assert allowed(table, domains.affinity(snapshot, key, matching, itself=itself)) == {
        name for name, domain in of.items() if domain is not None and (pods[domain] or first)
    }
    least = min(pods.values(), default=0)
    spread = domains.spread(snapshot, key, matching, max_skew=skew, itself=itself)
    assert allowed(table, spread) == {
        name
        for name, domain in of.items()
        if domain is not None and pods[domain] + itself - least <= skew
    }


@settings(max_examples=60)
@given(
    st.lists(clusters.nodes, max_size=6), clusters.shapes, counts,
    st.lists(keys, min_size=1, max_size=2, unique=True), st.integers(1, 3),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_spread_counts_the_nodes_that_kubernetes_counts(
    nodes: list[Node],
    shape: PodShape,
    matching: dict[NodeName, int],
    constraints: list[str],
    least_domains: int,
    honor_affinity: bool,
    honor_taints: bool,
) -> None:
    """Domains without a node that the pod may use neither count nor hold the others back."""
    known = {node.name: node for node in nodes}
    table = clusters.a_table()
    for node in known.values():
        table.upsert(node)
    snapshot, key = table.snapshot(), constraints[0]
    own = replace(shape, volume_terms=())
    eligible = {
        name
        for name, node in known.items()
        if all(one in node.labels for one in constraints)
        and (not honor_affinity or oracle.selected(node, own))
        and (not honor_taints or oracle.tolerated(node.taints, own))
    }
    among = domains.counted(
        snapshot, shape, constraints, affinity=honor_affinity, taints=honor_taints
    )
    assert set(snapshot.names[among]) == eligible
    pods: dict[str, int] = {}
    for name in eligible:
        here = known[name].labels[key]
        pods[here] = pods.get(here, 0) + matching.get(name, 0)
    least = min(pods.values(), default=0) if len(pods) >= least_domains else 0
    found = domains.spread(
        snapshot, key, matching, max_skew=1, itself=True, min_domains=least_domains, among=among
    )
    assert allowed(table, found) == {
        name
        for name, node in known.items()
        if key in node.labels and pods.get(node.labels[key], 0) + 1 - least <= 1
    }


def test_pods_on_nodes_that_are_gone_count_nowhere() -> None:
    """Only nodes that exist make domains."""
    table = NodeTable(scheduler_name=OURS)
    table.upsert(a_node("n1", labels={"zone": "a"}))
    matching = {NodeName("gone"): 5, NodeName("n1"): 0}
    assert domains.anti_affinity(table.snapshot(), "zone", matching).values == ()
