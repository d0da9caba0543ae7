"""kube-scheduler's filters for terms about other pods, once more: pod by pod, as its Go code goes.

Written from the plugins interpodaffinity and podtopologyspread of Kubernetes 1.36; named after
their functions where that helps. Shares no code with `bridge.placement`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.model.ids import PodUid
from bridge.model.node import Node
from bridge.model.pod_identity import PodIdentity
from bridge.model.scheduling import (
    NodeSelectorTerm,
    PodSelector,
    PodShape,
    PodTerm,
    Requirement,
    SpreadConstraint,
)
from tests.unit.placement import oracle

if TYPE_CHECKING:
    from tests.unit.placement.oracle import Cluster

Pair = tuple[str, str]
"""A topology key and a value of it."""


def failure(cluster: "Cluster", node: Node, shape: PodShape, who: PodIdentity) -> str:
    """Which of the two plugins' checks the node fails first; "FITS" if none."""
    if not satisfies_affinity(cluster, node, shape, who):
        return "AFFINITY"
    if not satisfies_anti_affinity(cluster, node, shape, who):
        return "ANTI_AFFINITY"
    for seen in (shape, pinned(shape, node)):
        if not satisfies_spread(cluster, node, seen, who):
            return "SPREAD"
    return "FITS"


def pinned(shape: PodShape, node: Node) -> PodShape:
    """As kube-scheduler sees the pod once the bridge has pinned it to the node."""
    here = Requirement("metadata.name", "In", (node.name,))
    terms = shape.affinity_terms
    if terms is None:
        return replace(shape, affinity_terms=(NodeSelectorTerm(fields=(here,)),))
    narrowed = (
        replace(term, fields=(*term.fields, here)) if term.expressions or term.fields else term
        for term in terms
    )
    return replace(shape, affinity_terms=tuple(narrowed))


def placed(cluster: "Cluster") -> Iterator[tuple[PodUid, Node, PodShape]]:
    """The pods on nodes that exist."""
    for pod, (name, shape, _) in cluster.pods.items():
        if name in cluster.nodes:
            yield pod, cluster.nodes[name], shape


def satisfies_affinity(cluster: "Cluster", node: Node, shape: PodShape, who: PodIdentity) -> bool:
    """satisfyPodAffinity, with the counts of getIncomingAffinityAntiAffinityCounts."""
    counts: Counter[Pair] = Counter()
    for pod, there, _ in placed(cluster):
        if pod in cluster.who and matches_all(cluster, shape.pod_affinity, cluster.who[pod]):
            for term in shape.pod_affinity:
                if term.topology_key in there.labels:
                    counts[term.topology_key, there.labels[term.topology_key]] += 1
    pods_exist = True
    for term in shape.pod_affinity:
        if term.topology_key not in node.labels:
            return False
        if not counts[term.topology_key, node.labels[term.topology_key]]:
            pods_exist = False
    return pods_exist or (not +counts and matches_all(cluster, shape.pod_affinity, who))


def matches_all(cluster: "Cluster", terms: tuple[PodTerm, ...], who: PodIdentity) -> bool:
    """podMatchesAllAffinityTerms"""
    return bool(terms) and all(incoming_matches(cluster, term.selector, who) for term in terms)


def satisfies_anti_affinity(
    cluster: "Cluster", node: Node, shape: PodShape, who: PodIdentity
) -> bool:
    """satisfyPodAntiAffinity and satisfyExistingPodsAntiAffinity."""
    for pod, there, other in placed(cluster):
        theirs = cluster.who.get(pod)
        for term in shape.pod_anti_affinity:
            meets = theirs is not None and incoming_matches(cluster, term.selector, theirs)
            if meets and same_domain(term.topology_key, node, there):
                return False
        for term in other.pod_anti_affinity:
            meets = existing_matches(cluster, term.selector, who)
            if meets and same_domain(term.topology_key, node, there):
                return False
    return True


def same_domain(key: str, node: Node, other: Node) -> bool:
    """Both have the label, with the same value."""
    return key in node.labels and node.labels[key] == other.labels.get(key)


def incoming_matches(cluster: "Cluster", selector: PodSelector, who: PodIdentity) -> bool:
    """AffinityTerm.Matches of the pod that is scheduled: its namespace selector was made a list of
    the namespaces that exist (mergeAffinityTermNamespacesIfNotEmpty), unless it selects all."""
    names = set(selector.namespaces)
    if selector.namespace_selector:
        names |= {
            name
            for name, labels in cluster.namespaces.items()
            if selector_matches(selector.namespace_selector, labels)
        }
    every = selector.namespace_selector == ()
    return (every or who.namespace in names) and labels_match(selector, who)


def existing_matches(cluster: "Cluster", selector: PodSelector, who: PodIdentity) -> bool:
    """AffinityTerm.Matches of a pod that is there already: a namespace that is not known has no
    labels (GetNamespaceLabelsSnapshot)."""
    labels = cluster.namespaces.get(who.namespace, {})
    in_namespace = who.namespace in selector.namespaces or (
        selector.namespace_selector is not None
        and selector_matches(selector.namespace_selector, labels)
    )
    return in_namespace and labels_match(selector, who)


def labels_match(selector: PodSelector, who: PodIdentity) -> bool:
    """No selector (labels.Nothing) matches nothing, an empty one everything."""
    return selector.labels is not None and selector_matches(selector.labels, who.all_labels())


def selector_matches(requirements: tuple[Requirement, ...], labels: Mapping[str, str]) -> bool:
    """labels.Selector.Matches"""
    return all(oracle.meets(labels.get(one.key), one) for one in requirements)


def satisfies_spread(cluster: "Cluster", node: Node, shape: PodShape, who: PodIdentity) -> bool:
    """Filter of PodTopologySpread, with the counts of calPreFilterState."""
    for constraint in shape.spread:
        key = constraint.topology_key
        if key not in node.labels:
            return False
        counts = spread_counts(cluster, shape, constraint, who)
        least = min(counts.values(), default=2**31 - 1)
        if len(counts) < constraint.min_domains:
            least = 0
        itself = int(labels_match(constraint.selector, who))
        if counts.get(node.labels[key], 0) + itself - least > constraint.max_skew:
            return False
    return True


def spread_counts(
    cluster: "Cluster", shape: PodShape, constraint: SpreadConstraint, who: PodIdentity
) -> dict[str, int]:
    """TpValueToMatchNum: domain → pods that count."""
    counts: dict[str, int] = {}
    for there in cluster.nodes.values():
        if all(one.topology_key in there.labels for one in shape.spread) and includes(
            there, shape, constraint
        ):
            value = there.labels[constraint.topology_key]
            counts[value] = counts.get(value, 0) + on_node(cluster, there, constraint, who)
    return counts


def includes(node: Node, shape: PodShape, constraint: SpreadConstraint) -> bool:
    """matchNodeInclusionPolicies"""
    if constraint.node_affinity_policy == "Honor" and not oracle.selected(
        node, PodShape(node_selector=shape.node_selector, affinity_terms=shape.affinity_terms)
    ):
        return False
    honor_taints = constraint.node_taints_policy == "Honor"
    return not honor_taints or oracle.tolerated(node.taints, shape)


def on_node(cluster: "Cluster", node: Node, constraint: SpreadConstraint, who: PodIdentity) -> int:
    """countPodsMatchSelector: none for an empty selector, and none that is being deleted."""
    if constraint.selector.labels == ():
        return 0
    return sum(
        there.name == node.name
        and pod not in cluster.ending
        and pod in cluster.who
        and cluster.who[pod].namespace == who.namespace
        and labels_match(constraint.selector, cluster.who[pod])
        for pod, there, _ in placed(cluster)
    )
