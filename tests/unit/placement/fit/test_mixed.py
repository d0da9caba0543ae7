"""Gangs whose slots ask for different things: against trying everything."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from bridge.model.gang import Assignment, Role, Shortfall
from bridge.model.ids import NodeName, PodUid, SlurmJobId, SlurmNodeName
from bridge.model.job import Allocation, Gres, NodeGrant
from bridge.model.resources import Resources
from bridge.model.scheduling import (
    HostPort,
    PodSelector,
    PodShape,
    Requirement,
    SpreadConstraint,
)
from bridge.placement.fit import ranks
from bridge.placement.fit.assign import assign
from bridge.placement.table import NodeTable
from bridge.placement.topology import Fabric
from tests.builders import a_gang, a_node, app, beside
from tests.unit.placement import clusters
from tests.unit.placement.oracle import OURS, Cluster

MAP = {"nvidia.com/gpu": "gpu"}
GPU = clusters.GPU


@dataclass(frozen=True)
class Case:
    """A cluster, grants on its nodes, and what each slot asks for."""

    cluster: Cluster
    grants: tuple[NodeGrant, ...]
    shapes: tuple[PodShape, ...]

    def assign(
        self,
        cluster: Cluster | None = None,
        *,
        taken: Mapping[int, NodeName] | None = None,
    ) -> Assignment | Shortfall:
        """Ask the core."""
        cluster = cluster or self.cluster
        return assign(
            clusters.table_of(cluster).snapshot(),
            Allocation(SlurmJobId(1), self.grants),
            a_gang("g", size=len(self.shapes)),
            by_slurm_name={SlurmNodeName(name): name for name in cluster.nodes},
            resource_map=MAP, taken=taken, shapes=self.shapes,
        )  # fmt: skip

    def nodes(self) -> list[NodeName]:
        """Those granted and known."""
        return [
            node for grant in self.grants if (node := NodeName(grant.node)) in self.cluster.nodes
        ]

    def granted(self, name: NodeName, shapes: Iterable[PodShape]) -> bool:
        """Whether the grant on a node holds pods of these shapes together."""
        cpus = memory = gpus = 0
        for shape in shapes:
            cpus += max(1, -(-shape.requests.cpu_milli // 1000))
            memory += shape.requests.memory_bytes
            gpus += shape.requests.get(GPU)
        grant = next(grant for grant in self.grants if str(grant.node) == name)
        return (
            cpus <= grant.cpus
            and memory <= grant.memory_mib << 20
            and gpus <= sum(gres.count for gres in grant.gres)
        )

    def fits(self, cluster: Cluster, places: Mapping[int, NodeName], slot: int) -> bool:
        """Whether a slot may go to its place beside the others that are in the cluster."""
        name = places[slot]
        here = [self.shapes[other] for other, node in places.items() if node == name]
        return self.granted(name, here) and (
            cluster.failure(name, self.shapes[slot], now=True) == "FITS"
        )

    def possible(self, cluster: Cluster, places: dict[int, NodeName], slot: int = 0) -> bool:
        """By trying every node for every slot."""
        if slot == len(self.shapes):
            return True
        for name in self.nodes():
            places[slot] = name
            if self.fits(cluster, places, slot):
                cluster.pods[PodUid(f"slot-{slot}")] = (name, self.shapes[slot], False)
                if self.possible(cluster, places, slot + 1):
                    return True
                del cluster.pods[PodUid(f"slot-{slot}")]
            del places[slot]
        return False

    def greedy(self) -> list[NodeName] | None:
        """Ranks in order onto nodes in topology order, the next one when a node is full."""
        names = self.nodes()
        snapshot = clusters.table_of(self.cluster).snapshot()
        queue = [names[place] for place in Fabric(snapshot).order(names)]
        cluster, places = self.cluster.copy(), dict[int, NodeName]()
        for slot, shape in enumerate(self.shapes):
            while queue:
                places[slot] = queue[0]
                if self.fits(cluster, places, slot):
                    break
                del places[slot]
                queue.pop(0)
            else:
                return None
            cluster.pods[PodUid(f"slot-{slot}")] = (queue[0], shape, False)
        return list(places.values())


host_ports = st.builds(
    HostPort, st.just(80), st.just("TCP"), st.sampled_from(("", "10.0.0.1", "10.0.0.2"))
)
shapes = st.builds(
    PodShape,
    requests=clusters.resources(3),
    host_ports=st.lists(host_ports, max_size=1).map(tuple),
)
grants = st.builds(
    lambda cpus, memory, gpus: NodeGrant(
        SlurmNodeName(""), cpus, memory << 10, (Gres("gpu", "h100", gpus),)
    ),
    st.integers(1, 5), st.integers(2, 8), st.integers(1, 5),
)  # fmt: skip


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Two to three nodes, two to three kinds of slots, sometimes a node that is in no state."""
    good = clusters.good_nodes | clusters.good_nodes | clusters.nodes
    cluster = draw(clusters.clusters(good, clusters.plain_shapes, least=2))
    names = sorted(cluster.nodes)[:3]
    granted = [replace(draw(grants), node=SlurmNodeName(name)) for name in names]
    kinds = draw(st.lists(shapes, min_size=2, max_size=3))
    slots = draw(st.lists(st.sampled_from(kinds), min_size=2, max_size=6))
    return Case(cluster, tuple(granted), tuple(slots))


@given(cases())
def test_a_placement_is_found_exactly_when_there_is_one(case: Case) -> None:
    """Assigned if and only if some dealing fits; then within every dimension of both sides, and
    ranks no further apart than by the greedy rule."""
    result = case.assign()
    assert isinstance(result, Assignment) == case.possible(case.cluster.copy(), {})
    if not isinstance(result, Assignment):
        assert result.nodes or "the grant holds" in result.reason
        return
    after, places = case.cluster.copy(), dict[int, NodeName]()
    for slot, name in enumerate(result.nodes):
        places[slot] = name
        assert case.fits(after, places, slot)
        after.pods[PodUid(f"slot-{slot}")] = (name, case.shapes[slot], False)
    greedy = case.greedy()
    if greedy is not None:
        fabric = Fabric(clusters.table_of(case.cluster).snapshot())
        assert ranks.rank_distance(fabric, result.nodes) <= ranks.rank_distance(fabric, greedy)


# -- cases by hand ---------------------------------------------------------------------------------

LAYER = "topology.k8s.aws/network-node-layer-"
WORKER = PodShape(requests=Resources(cpu_milli=4000, extended=((GPU, 4),)))
LEADER = PodShape(requests=Resources(cpu_milli=1000))


def table(*names: str) -> NodeTable:
    """Eight-GPU nodes named <rack><number>, a rack is a leaf."""
    made = NodeTable(scheduler_name=OURS)
    for name in names:
        labels = {f"{LAYER}1": "spine", f"{LAYER}2": name[0], "rack": name[0], "host": name}
        made.upsert(a_node(name, gpu=8, labels=labels))
    return made


def place(
    nodes: NodeTable,
    shapes: list[PodShape],
    *granted: str,
    cpus: int = 9,
    apps: dict[PodShape, str] | None = None,
    **more: object,
) -> Assignment | Shortfall:
    """Onto grants of nine CPUs and eight GPUs each; `apps` says which app pods of a shape are."""
    snapshot = nodes.snapshot()
    known = {SlurmNodeName(name): NodeName(name) for name in snapshot.names if name}
    gres = (Gres("gpu", "h100", 8),)
    allocation = Allocation(
        SlurmJobId(1),
        tuple(NodeGrant(SlurmNodeName(name), cpus, 1 << 20, gres) for name in granted),
    )
    gang = a_gang("g", size=len(shapes))
    if apps is not None:
        roles = tuple(Role("", 1, shape, app(apps[shape])) for shape in shapes)
        gang = replace(gang, roles=roles)
    return assign(
        snapshot, allocation, gang, by_slurm_name=known,
        resource_map=MAP, shapes=shapes, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def nodes_of(result: Assignment | Shortfall) -> list[str]:
    """The nodes of an assignment."""
    assert isinstance(result, Assignment), result
    return list(result.nodes)


def test_a_leader_rides_along_with_its_workers() -> None:
    """A small pod fits beside the GPU pods of the first node, ranks stay together."""
    shapes = [LEADER, WORKER, WORKER, WORKER, WORKER]
    assert nodes_of(place(table("a1", "a2"), shapes, "a2", "a1")) == ["a1"] * 3 + ["a2"] * 2


def test_shapes_that_are_all_one_are_no_special_case() -> None:
    """`shapes` of one kind answers as the gang's own shape would."""
    assert nodes_of(place(table("a1", "a2"), [WORKER] * 3, "a1", "a2")) == ["a1", "a1", "a2"]


def test_what_does_not_fit_is_told_by_rank_and_dimension() -> None:
    """Which slots are left over, what is short, on which node."""
    short = place(table("a1"), [LEADER, LEADER, WORKER, WORKER], "a1")
    assert short == Shortfall(
        "3 of 4 pods fit now (not rank 3); the grant holds 9 of them (9 CPUs, 1 a pod); the grant "
        "holds 2 of them (9 CPUs, 4 a pod), not all kinds together",
        for_now=False,
    )
    nodes = table("a1")
    nodes.occupy(PodUid("old"), NodeName("a1"), WORKER)
    short = place(nodes, [LEADER, WORKER, WORKER], "a1", "ghost")
    assert short == Shortfall(
        "2 of 3 pods fit now (not rank 2); a1: takes 1 of the 2 that Slurm granted there "
        "(4 of 8 nvidia.com/gpu free)",
        for_now=True,
        nodes=(NodeName("a1"),),
    )


def test_alone_on_a_node_counts_for_all_kinds() -> None:
    """`exclusive`: no two slots on one node, of whatever shape; taken ones included."""
    shapes = [LEADER, WORKER]
    assert len(set(nodes_of(place(table("a1", "a2"), shapes, "a1", "a2", one_per_node=True)))) == 2
    assert isinstance(place(table("a1"), shapes, "a1", one_per_node=True), Shortfall)
    taken = {0: NodeName("a1")}
    later = place(table("a1", "a2"), shapes, "a1", "a2", one_per_node=True, taken=taken)
    assert nodes_of(later) == ["a1", "a2"]


def test_taken_slots_use_up_the_grant_by_their_own_shape() -> None:
    """Beside a running worker there is room for a worker and a leader, not for two workers."""
    taken = {0: NodeName("a1")}
    nodes = table("a1")
    nodes.occupy(PodUid("p"), NodeName("a1"), WORKER)
    assert nodes_of(place(nodes, [WORKER, WORKER, LEADER], "a1", taken=taken)) == ["a1"] * 3
    assert isinstance(place(nodes, [WORKER, WORKER, WORKER, LEADER], "a1", taken=taken), Shortfall)
    elsewhere = place(nodes, [WORKER, LEADER], "a1", taken={0: NodeName("gone")})
    assert nodes_of(elsewhere) == ["gone", "a1"]


def test_a_slot_that_nobody_needs_takes_nothing() -> None:
    """Whatever it would ask for; the others are told of by their own ranks."""
    taken = {0: NodeName("a1"), 1: NodeName("")}
    nodes = table("a1", "a2")
    nodes.occupy(PodUid("p"), NodeName("a1"), WORKER)
    shapes = [WORKER, WORKER, LEADER, WORKER, WORKER]
    held = frozenset({PodUid("p")})
    for granted in (("a1", "a2"), ("a2", "a1")):
        found = nodes_of(place(nodes, shapes, *granted, taken=taken, holding=held))
        assert found[:2] == ["a1", ""]
        assert "" not in found[2:]
    short = place(nodes, shapes, "a1", taken=taken, holding=held)
    assert isinstance(short, Shortfall)
    assert short.reason.startswith("2 of 3 pods fit now (not rank 4)")


def test_a_pinned_pod_that_nobody_has_counted_keeps_its_room() -> None:
    """`holding` counts by amounts: what members hold is not asked for twice."""
    taken, full = {0: NodeName("a1")}, [WORKER, WORKER, LEADER]
    three = [WORKER, WORKER, WORKER, LEADER]
    nodes = table("a1")
    nodes.occupy(PodUid("daemon"), NodeName("a1"), WORKER, daemon=True)
    uncounted = place(nodes, full, "a1", taken=taken, holding=frozenset())
    assert isinstance(uncounted, Shortfall)
    nodes = table("a1")
    nodes.occupy(PodUid("p"), NodeName("a1"), WORKER)
    held = frozenset({PodUid("p")})
    assert nodes_of(place(nodes, full, "a1", taken=taken, holding=held)) == ["a1"] * 3
    assert isinstance(place(nodes, three, "a1", cpus=99, taken=taken, holding=held), Shortfall)


def test_members_together_and_apart_by_shape() -> None:
    """Workers in one rack, leaders in different racks; each kind's terms are its own."""
    workers = replace(WORKER, pod_affinity=(beside("rack", "worker"),))
    leaders = replace(LEADER, pod_anti_affinity=(beside("rack", "leader"),))
    apps = {workers: "worker", leaders: "leader"}
    every = ("a1", "b1", "b2", "c1")
    places = nodes_of(place(table(*every), [leaders, *[workers] * 4, leaders], *every, apps=apps))
    assert {name[0] for name in places[1:5]} == {"b"}
    assert places[0][0] != places[5][0]
    short = place(table("a1", "a2"), [leaders, leaders, workers], "a1", "a2", apps=apps)
    assert isinstance(short, Shortfall)
    assert "pod (anti-)affinity by rack" in short.reason
    later = place(
        table(*every), [leaders, workers, leaders], *every, apps=apps,
        taken={0: NodeName("a1")}, holding=frozenset(),
    )  # fmt: skip
    assert nodes_of(later)[2][0] != "a"


def test_workers_go_where_their_leader_goes() -> None:
    """A term about another role of the gang: the leader goes where all of its workers fit."""
    workers = replace(WORKER, pod_affinity=(beside("rack", "leader"),))
    apps = {workers: "worker", LEADER: "leader"}
    every = ("a1", "b1", "b2", "c1")
    places = nodes_of(place(table(*every), [LEADER, *[workers] * 4], *every, apps=apps))
    assert {name[0] for name in places} == {"b"}


def test_roles_that_keep_each_other_away() -> None:
    """No server on a node with a client, whichever of the two says so."""
    clients = replace(WORKER, pod_anti_affinity=(beside("host", "server"),))
    apps = {clients: "client", LEADER: "server"}
    every = ("a1", "a2")
    places = nodes_of(place(table(*every), [LEADER, clients, LEADER, clients], *every, apps=apps))
    assert places[0] == places[2] != places[1] == places[3]
    assert isinstance(place(table("a1"), [LEADER, clients], "a1", apps=apps), Shortfall)


def test_roles_are_spread_together() -> None:
    """A constraint about the pods of all roles counts them together."""
    spread = (SpreadConstraint("rack", 1, PodSelector(("team",), (Requirement("app", "Exists"),))),)
    workers, leaders = replace(WORKER, spread=spread), replace(LEADER, spread=spread)
    apps = {workers: "worker", leaders: "leader"}
    every = ("a1", "b1", "c1")
    places = nodes_of(place(table(*every), [leaders, *[workers] * 5], *every, apps=apps))
    assert sorted(name[0] for name in places) == ["a", "a", "b", "b", "c", "c"]
