"""A gang's pods beside each other and beside others: against kube-scheduler's own filters."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.gang import Assignment, Gang, Role, Shortfall
from bridge.model.ids import GangId, NodeName, PodUid, SlurmJobId, SlurmNodeName
from bridge.model.job import Allocation, NodeGrant
from bridge.model.node import Node
from bridge.model.pod_identity import PodIdentity
from bridge.model.resources import Resources
from bridge.model.scheduling import PodSelector, PodShape, PodTerm, Requirement, SpreadConstraint
from bridge.placement.fit.assign import assign
from bridge.placement.fit.chosen import Chosen, choose, why_never
from bridge.placement.fit.neighbours import Kind
from bridge.placement.table import NodeTable
from tests.builders import a_gang, a_node, app, beside, spread_by, to_app
from tests.unit.placement import clusters, oracle, pod_terms
from tests.unit.placement.oracle import Cluster


@dataclass(frozen=True)
class Case:
    """A cluster, CPUs granted on some of its nodes, and what each slot asks for and is."""

    cluster: Cluster
    cpus: Mapping[NodeName, int]
    slots: tuple[tuple[PodShape, PodIdentity], ...]

    def assign(self, cluster: Cluster | None = None, **more: Any) -> Assignment | Shortfall:
        """Ask the core."""
        cluster = cluster or self.cluster
        roles = tuple(Role("", 1, shape, who) for shape, who in self.slots)
        shape, who = self.slots[0]
        gang = Gang(
            GangId("g"), "team", "Job", "train", len(self.slots), shape, identity=who,
            roles=roles if len(set(self.slots)) > 1 else (),
        )  # fmt: skip
        grants = tuple(
            NodeGrant(SlurmNodeName(name), cpus, 1 << 20, ()) for name, cpus in self.cpus.items()
        )
        return assign(
            clusters.table_of(cluster).snapshot(),
            Allocation(SlurmJobId(1), grants),
            gang,
            by_slurm_name={SlurmNodeName(name): name for name in cluster.nodes},
            resource_map={},
            shapes=gang.shapes if gang.is_mixed else None,
            **more,
        )

    def granted(self, nodes: tuple[NodeName, ...]) -> bool:
        """Whether the grants hold the slots there; each takes one CPU."""
        return all(nodes.count(name) <= self.cpus.get(name, 0) for name in nodes)


def orders(case: Case, cluster: Cluster, places: Mapping[int, NodeName]) -> bool:
    """Whether kube-scheduler, as the oracle plays it, binds all slots there in some order."""
    if not places:
        return True
    for slot, name in places.items():
        shape, who = case.slots[slot]
        if cluster.failure(name, shape, now=True, who=who) == "FITS":
            after = with_pod(cluster, slot, name, shape, who)
            rest = {other: node for other, node in places.items() if other != slot}
            if orders(case, after, rest):
                return True
    return False


def with_pod(
    cluster: Cluster, slot: int, name: NodeName, shape: PodShape, who: PodIdentity
) -> Cluster:
    """The cluster after the pod of the slot was bound."""
    after = cluster.copy()
    after.pods[PodUid(f"slot-{slot}")] = (name, shape, False)
    after.who[PodUid(f"slot-{slot}")] = who
    return after


def is_spread(case: Case, nodes: tuple[NodeName, ...]) -> bool:
    """Whether, in the end, no domain with a pod that a constraint counts has too many of them."""
    after = case.cluster
    for slot, name in enumerate(nodes):
        after = with_pod(after, slot, name, *case.slots[slot])
    for slot, name in enumerate(nodes):
        shape, who = case.slots[slot]
        node = after.nodes[name]
        for seen in (shape, pod_terms.pinned(shape, node)):
            for constraint in seen.spread:
                counts = pod_terms.spread_counts(after, seen, constraint, who)
                least = min(counts.values(), default=0)
                if len(counts) < constraint.min_domains:
                    least = 0
                itself = pod_terms.labels_match(constraint.selector, who)
                most = counts.get(node.labels.get(constraint.topology_key, ""), 0)
                if itself and most - least > constraint.max_skew:
                    return False
    return True


def every_way(case: Case) -> Iterator[tuple[NodeName, ...]]:
    """All assignments within the grants that can be bound in some order and are spread well."""

    def extend(nodes: tuple[NodeName, ...]) -> Iterator[tuple[NodeName, ...]]:
        if len(nodes) == len(case.slots):
            if is_spread(case, nodes) and orders(case, case.cluster, dict(enumerate(nodes))):
                yield nodes
            return
        for name in case.cpus:
            longer = (*nodes, name)
            if name in case.cluster.nodes and case.granted(longer):
                yield from extend(longer)

    yield from extend(())


ROOMY = st.builds(
    lambda node: replace(node, allocatable=Resources(cpu_milli=64_000)), clusters.domain_nodes
)

HOST = "kubernetes.io/hostname"
APPS = st.sampled_from([app("a"), app("b")])
SELECTORS = st.sampled_from(
    [to_app("a"), to_app("b"), PodSelector(("team",), (Requirement("app", "Exists"),))]
)
KEYS = st.sampled_from((HOST, "zone", "zone", "rack"))
TERMS = st.lists(st.builds(PodTerm, KEYS, SELECTORS), max_size=1).map(tuple)
SPREADS = st.lists(
    st.builds(
        SpreadConstraint, KEYS, st.integers(1, 2), SELECTORS, st.sampled_from((1, 1, 2)),
        st.sampled_from(("Honor", "Ignore")),
    ),
    max_size=2,
).map(tuple)  # fmt: skip
ONE_CPU = Resources(cpu_milli=1000)
SHAPES = st.builds(
    lambda affinity, anti_affinity, spread, which: PodShape(
        requests=ONE_CPU,
        pod_affinity=affinity if which in (0, 3) else (),
        pod_anti_affinity=anti_affinity if which in (1, 3) else (),
        spread=spread if which in (2, 3) else (),
    ),
    TERMS, TERMS, SPREADS, st.integers(0, 3),
)  # fmt: skip


def _racks(racks: list[str], pods: list[tuple[int, PodIdentity, PodShape, int]]) -> Cluster:
    """Nodes of two racks in each zone, some of them without labels, and pods on them."""
    names = [NodeName(f"node-{number}") for number in range(len(racks))]
    nodes = {
        name: Node(
            name=name, uid=name, resource_version="1", allocatable=Resources(cpu_milli=64_000),
            labels={HOST: name} | ({"zone": rack[0], "rack": rack} if rack else {}),
        )
        for name, rack in zip(names, racks, strict=True)
    }  # fmt: skip
    cluster = Cluster(nodes)
    for number, (at, who, shape, ending) in enumerate(pods):
        pod = PodUid(f"pod-{number}")
        cluster.pods[pod] = (names[at % len(names)], replace(shape, pod_affinity=()), False)
        cluster.who[pod] = who
        cluster.ending |= {pod} if not ending else set()
    return cluster


def _case(
    cluster: Cluster,
    cpus: list[int],
    kinds: list[tuple[PodShape, PodIdentity]],
    counts: list[int],
    alone: bool,
) -> Case:
    kinds = kinds[:1] if alone else kinds
    kinds = [(clusters.spread_in(shape, "team"), replace(who, namespace="team"))
             for shape, who in kinds]  # fmt: skip
    slots = [kind for kind, count in zip(kinds, counts, strict=False) for _ in range(count)]
    granted = dict(zip(sorted(cluster.nodes), cpus, strict=False))
    return Case(cluster, granted, tuple(slots[:4]))


ODD = st.builds(
    _case,
    clusters.populated(
        clusters.clusters(ROOMY, clusters.with_terms(clusters.small_shapes, most=1), least=2)
    ),
    st.lists(st.integers(0, 3), min_size=4, max_size=4),
    st.lists(
        st.tuples(clusters.with_terms(clusters.small_shapes, most=1), clusters.identities),
        min_size=2, max_size=2,
    ),
    st.lists(st.integers(1, 3), min_size=2, max_size=2),
    st.booleans(),
)  # fmt: skip
"""Terms of all forms, most of which nobody meets."""
USUAL = st.builds(
    _case,
    st.builds(
        _racks,
        st.lists(st.sampled_from(("a1", "a2", "b1", "b1", "c1", "")), min_size=2, max_size=5),
        st.lists(
            st.tuples(st.integers(0, 4), APPS, SHAPES, st.integers(0, 4)), max_size=3
        ),
    ),
    st.lists(st.integers(1, 3), min_size=4, max_size=5),
    st.lists(st.tuples(SHAPES, APPS), min_size=2, max_size=2),
    st.lists(st.integers(1, 4), min_size=2, max_size=2),
    st.booleans(),
)  # fmt: skip
"""Terms about the gang's own pods and those of another app, by zone, rack and node."""
CASES = ODD | USUAL


@given(CASES)
def test_a_place_is_found_exactly_when_kube_scheduler_has_one(case: Case) -> None:
    """What is found can be bound pod by pod in some order and is spread well in the end; nothing is
    found only where trying everything finds nothing."""
    result = case.assign()
    if isinstance(result, Assignment):
        assert case.granted(result.nodes)
        assert is_spread(case, result.nodes)
        assert orders(case, case.cluster, dict(enumerate(result.nodes)))
    else:
        assert next(every_way(case), None) is None


@given(CASES)
def test_only_pods_that_are_being_deleted_are_waited_for(case: Case) -> None:
    """`for_now` if and only if the gang would fit without them: whatever else is in the way stays
    for as long as it likes, and the grant goes back."""
    result = case.assign()
    if isinstance(result, Shortfall):
        gone = oracle.without(case.cluster, pods=case.cluster.ending)
        assert result.for_now == isinstance(case.assign(gone), Assignment)


@given(USUAL, st.integers(2, 4))
def test_nodes_are_chosen_on_which_a_gang_can_be(case: Case, size: int) -> None:
    """A grant of as many pods on each of them as are said takes the gang. That there are none, now
    or ever, is said only where trying everything finds none."""
    shape, who = case.slots[0]
    everywhere = dict.fromkeys(case.cluster.nodes, size)
    case = replace(case, slots=((shape, who),) * size, cpus=everywhere)
    snapshot, nodes = clusters.table_of(case.cluster).snapshot(), list(case.cluster.nodes)
    room = np.full(len(nodes), size)
    found = choose(snapshot, Kind(shape, who), size, nodes, resource_map={}, in_slurm=(room, room))
    if isinstance(found, Chosen):
        granted = dict.fromkeys(found.names, found.tasks_per_node)
        answer = replace(case, cpus=granted).assign()
        assert isinstance(answer, Assignment) or answer.for_now
    elif found:
        gone = oracle.without(case.cluster, pods=case.cluster.ending)
        assert next(every_way(replace(case, cluster=gone)), None) is None
    if why_never(snapshot, Kind(shape, who), size, nodes):
        empty = oracle.without(case.cluster, pods=list(case.cluster.pods))
        assert next(every_way(replace(case, cluster=empty)), None) is None


@given(USUAL, st.data())
def test_slots_that_have_their_place_count(case: Case, data: st.DataObject) -> None:
    """Some pods are pinned, and the table knows them or not: the others are right beside them."""
    first = case.assign()
    if not isinstance(first, Assignment):
        return
    order = data.draw(st.permutations(range(len(case.slots))))
    known = data.draw(st.integers(0, len(order)))
    bound = bound_in_order(case, first.nodes, order[:known])
    taken = {slot: first.nodes[slot] for slot in order[: data.draw(st.integers(known, len(order)))]}
    result = case.assign(
        bound, taken=taken, holding=frozenset(PodUid(f"slot-{slot}") for slot in order[:known])
    )
    if isinstance(result, Assignment):
        assert {slot: result.nodes[slot] for slot in taken} == taken
        assert case.granted(result.nodes)
        places = {slot: node for slot, node in enumerate(result.nodes) if slot not in order[:known]}
        assert orders(case, bound, places)


def bound_in_order(case: Case, nodes: tuple[NodeName, ...], slots: Sequence[int]) -> Cluster:
    """The cluster after these slots were bound."""
    cluster = case.cluster
    for slot in slots:
        cluster = with_pod(cluster, slot, nodes[slot], *case.slots[slot])
    return cluster


# -- cases by hand ---------------------------------------------------------------------------------


def racks(**ending: bool) -> NodeTable:
    """Nodes a1, a2 of zone a, b1 of zone b; pods of app `other` on those that are named, True for
    those that are being deleted."""
    table = NodeTable(scheduler_name=oracle.OURS)
    for name in ("a1", "a2", "b1"):
        table.upsert(a_node(name, labels={HOST: name, "zone": name[0]}))
    for name, is_leaving in ending.items():
        table.occupy(
            PodUid(f"other-{name}"), NodeName(name), PodShape(), identity=app("other"),
            ending=is_leaving,
        )  # fmt: skip
    return table


def place(
    table: NodeTable, size: int, *granted: str, cpus: int = 2, **terms: object
) -> Assignment | Shortfall:
    """Place pods of app `train` that have these terms."""
    shape = replace(PodShape(requests=ONE_CPU), **terms)  # type: ignore[arg-type]
    grants = tuple(NodeGrant(SlurmNodeName(name), cpus, 1 << 20, ()) for name in granted)
    return assign(
        table.snapshot(),
        Allocation(SlurmJobId(1), grants),
        a_gang("g", size=size, shape=shape, identity=app("train")),
        by_slurm_name={SlurmNodeName(name): NodeName(name) for name in ("a1", "a2", "b1")},
        resource_map={},
    )


def test_two_pods_of_a_spread_gang_do_not_share_a_host() -> None:
    """maxSkew 1 on hostname, two pods, both slots of a grant on one host: the grant goes back, as
    two of the hosts have none."""
    spread = (spread_by(HOST, "train"),)
    assert place(racks(), 2, "a1", "a2", "b1", spread=spread) == Assignment(
        (NodeName("a1"), NodeName("a2"))
    )
    short = place(racks(), 2, "a1", spread=spread)
    assert isinstance(short, Shortfall)
    assert (short.for_now, short.nodes) == (False, ())
    assert short.reason == (
        "1 of 2 pods fit now; the grant holds 2 of them, but not with their topology spread by "
        f"{HOST} (would be 2 pods of app=train in {HOST} a1, 0 in {HOST} a2: maxSkew 1)"
    )


def test_pods_that_are_there_count_for_the_spread() -> None:
    """Zone a has two pods of the gang's app already, so zone b gets the first ones."""
    table = racks()
    for name in ("a1", "a2"):
        table.occupy(PodUid(name), NodeName(name), PodShape(), identity=app("train"))
    spread = (spread_by("zone", "train"),)
    placed = place(table, 2, "a1", "a2", "b1", cpus=9, spread=spread)
    assert placed == Assignment((NodeName("b1"),) * 2)
    alone = place(table, 1, "a1", spread=spread)
    why = "would be 3 pods of app=train in zone a, 0 in zone b: maxSkew 1"
    assert alone == Shortfall(f"0 of 1 pods fit now; a1: {why}", False, (NodeName("a1"),))


def test_a_pod_is_not_pinned_beside_one_that_it_keeps_away_from() -> None:
    """Two bare pods with anti-affinity to their own app: the second one's grant on the same node
    goes back at once, with the term in the reason; a pod that is being deleted is waited for."""
    table, terms = racks(), (beside(HOST, "train"),)
    table.occupy(PodUid("first"), NodeName("a1"), PodShape(), identity=app("train"))
    why = "its anti-affinity keeps it away from a pod of app=train on the node"
    for ending in (False, True):
        table.occupy(
            PodUid("first"), NodeName("a1"), PodShape(), identity=app("train"), ending=ending
        )
        assert place(table, 1, "a1", pod_anti_affinity=terms) == Shortfall(
            f"0 of 1 pods fit now; a1: {why}", ending, (NodeName("a1"),)
        )
    assert isinstance(place(table, 1, "a2", pod_anti_affinity=terms), Assignment)


def test_a_pod_is_not_pinned_beside_one_that_keeps_it_away() -> None:
    """The term is the other pod's; the gang has none itself."""
    table = racks()
    keeper = PodShape(pod_anti_affinity=(beside("zone", "train"),))
    table.occupy(PodUid("keeper"), NodeName("a1"), keeper, identity=app("other"))
    short = place(table, 2, "a1", "a2")
    why = "a pod in the same zone keeps every pod of app=train away"
    assert short == Shortfall(
        f"0 of 2 pods fit now; a1: {why}; a2: {why}", False, (NodeName("a1"), NodeName("a2"))
    )
    placed = place(table, 2, "a2", "b1")
    assert placed == Assignment((NodeName("b1"),) * 2)


def test_a_gang_goes_where_the_pods_are_that_it_wants_beside_it() -> None:
    """Affinity to another app: its zone, whatever else is granted."""
    placed = place(racks(b1=False), 2, "a1", "b1", pod_affinity=(beside("zone", "other"),))
    assert placed == Assignment((NodeName("b1"),) * 2)
    short = place(racks(), 1, "a1", pod_affinity=(beside("zone", "other"),))
    why = "no pod of app=other in the same zone"
    assert short == Shortfall(f"0 of 1 pods fit now; a1: {why}", False, (NodeName("a1"),))


def test_min_domains_allow_a_pinned_pod_no_more_than_its_skew_on_a_node() -> None:
    """Once it is pinned, kube-scheduler sees one domain, which is too few: so only the pods on the
    node itself count, and no more than maxSkew of them may be there."""
    spread = (spread_by("zone", "train", min_domains=2),)
    placed = place(racks(), 3, "a1", "a2", "b1", spread=spread)
    assert isinstance(placed, Assignment)
    assert sorted(placed.nodes) == ["a1", "a2", "b1"]
    assert isinstance(place(racks(), 4, "a1", "a2", "b1", spread=spread), Shortfall)
    ignoring = (spread_by("zone", "train", min_domains=2, node_affinity_policy="Ignore"),)
    assert isinstance(place(racks(), 4, "a1", "a2", "b1", spread=ignoring), Assignment)


def test_a_large_gang_is_spread_over_zones_and_hosts() -> None:
    """Two constraints: 64 nodes in four zones get four pods each."""
    table = NodeTable(scheduler_name=oracle.OURS)
    names = [f"n{number:02}" for number in range(64)]
    for number, name in enumerate(names):
        labels = {HOST: name, "zone": f"z{number % 4}"}
        table.upsert(a_node(name, labels=labels))
    shape = PodShape(requests=ONE_CPU, spread=(spread_by("zone"), spread_by(HOST)))
    result = assign(
        table.snapshot(),
        Allocation(
            SlurmJobId(1), tuple(NodeGrant(SlurmNodeName(name), 9, 1 << 20, ()) for name in names)
        ),
        a_gang("g", size=256, shape=shape, identity=app()),
        by_slurm_name={SlurmNodeName(name): NodeName(name) for name in names},
        resource_map={},
    )
    assert isinstance(result, Assignment)
    assert set(Counter(result.nodes).values()) == {4}
