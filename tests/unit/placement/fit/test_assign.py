"""Slots onto granted nodes: feasible whenever possible, never too much, near in rank."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.gang import Assignment, Gang, Shortfall
from bridge.model.ids import GangId, NodeName, PodUid, SlurmJobId, SlurmNodeName
from bridge.model.job import Allocation, Gres, NodeGrant
from bridge.model.resources import Resources
from bridge.model.scheduling import HostPort, PodShape, Taint
from bridge.placement.fit import ranks
from bridge.placement.fit.assign import assign
from bridge.placement.table import NodeTable, Snapshot
from bridge.placement.topology import Fabric
from tests.builders import a_gang, a_node, app, beside
from tests.unit.placement import clusters, oracle
from tests.unit.placement.oracle import OURS, Cluster

HOST = "kubernetes.io/hostname"
"""A key whose labels are kept in a column of their own."""
MAP = {"nvidia.com/gpu": "gpu"}
"""EFA stays Kubernetes' own: Slurm's grants say nothing about it."""


@dataclass(frozen=True)
class Case:
    """A cluster, a grant on some of its nodes, and a gang."""

    cluster: Cluster
    grants: tuple[NodeGrant, ...]
    gang: Gang

    def assign(
        self,
        *,
        taken: Mapping[int, NodeName] | None = None,
        cluster: Cluster | None = None,
    ) -> Assignment | Shortfall:
        """Ask the core."""
        cluster = cluster or self.cluster
        return assign(
            clusters.table_of(cluster).snapshot(),
            Allocation(SlurmJobId(1), self.grants),
            self.gang,
            by_slurm_name={SlurmNodeName(name): name for name in cluster.nodes},
            resource_map=MAP,
            taken=taken,
        )

    def granted(self, name: NodeName) -> int:
        """Slots that the grant holds on a node, by hand."""
        requests, most = self.gang.shape.requests, 0
        for grant in self.grants:
            if str(grant.node) == str(name):
                gpus = sum(gres.count for gres in grant.gres)
                while (
                    most < 1000
                    and (most + 1) * max(1, -(-requests.cpu_milli // 1000)) <= grant.cpus
                    and (most + 1) * requests.memory_bytes <= grant.memory_mib << 20
                    and (most + 1) * requests.get(clusters.GPU) <= gpus
                ):
                    most += 1
        return most

    def room(self, name: NodeName) -> int:
        """Slots that a node takes now, by hand."""
        if name not in self.cluster.nodes:
            return 0
        return min(self.granted(name), oracle.how_many(self.cluster, name, self.gang.shape))


def _case(
    cluster: Cluster, shape: PodShape, grants: list[NodeGrant], count: int, surplus: int
) -> Case:
    """Grants on the cluster's nodes; a gang that fits just so, with room, or not quite."""
    names = sorted(cluster.nodes)[:count]
    on_nodes = [
        replace(grant, node=SlurmNodeName(name)) for name, grant in zip(names, grants, strict=False)
    ]
    case = Case(cluster, tuple(reversed(on_nodes)), replace(a_gang("g"), shape=shape))
    total = sum(case.room(name) for name in names)
    return replace(case, gang=replace(case.gang, size=min(8, max(1, total + surplus))))


def cases(
    cluster: st.SearchStrategy[Cluster], shape: st.SearchStrategy[PodShape], *, most: int
) -> st.SearchStrategy[Case]:
    """`most`: by how many slots the gang may be larger than what fits."""
    grant = st.builds(
        lambda cpus, memory, gpus: NodeGrant(
            SlurmNodeName("node-99"), cpus, memory << 10, (Gres("gpu", "h100", gpus),)
        ),
        st.integers(1, 6), st.integers(2, 16), st.integers(2, 8),
    )  # fmt: skip
    return st.builds(
        _case, cluster, shape, st.lists(grant, min_size=6, max_size=6),
        st.integers(1, 6), st.sampled_from((0, 0, -1, -3, most)),
    )  # fmt: skip


plain = clusters.clusters(clusters.good_nodes, clusters.plain_shapes, least=2)
FITTING = cases(plain, clusters.plain_shapes, most=0)
"""Cases that mostly fit."""
ANY = cases(plain, clusters.plain_shapes, most=1) | cases(
    clusters.clusters(shape=clusters.plain_shapes, least=1), clusters.shapes, most=1
)


@given(ANY)
def test_a_placement_is_found_exactly_when_there_is_one(case: Case) -> None:
    """Assigned if and only if the nodes' slots, counted by hand, suffice; every slot once, only on
    granted nodes, within the grant and within each node in every dimension."""
    result = case.assign()
    total = sum(case.room(NodeName(grant.node)) for grant in case.grants)
    assert isinstance(result, Assignment) == (total >= case.gang.size)
    if not isinstance(result, Assignment):
        return
    assert len(result.nodes) == case.gang.size
    after = case.cluster.copy()
    for slot, name in enumerate(result.nodes):
        assert after.failure(name, case.gang.shape, now=True) == "FITS"
        after.pods[PodUid(f"slot-{slot}")] = (name, case.gang.shape, False)
    for name, count in Counter(result.nodes).items():
        assert count <= case.granted(name)
        assert after.overcommitted(name) <= case.cluster.overcommitted(name)


def distance(snapshot: Snapshot, nodes: Sequence[NodeName]) -> int:
    """The rank distance."""
    return ranks.rank_distance(Fabric(snapshot), nodes)


def greedy(case: Case, snapshot: Snapshot, taken: Mapping[int, NodeName]) -> list[NodeName]:
    """Ranks in order onto nodes in topology order, the next when one is full."""
    names = [NodeName(grant.node) for grant in case.grants]
    here = Counter(taken.values())
    left = {n: min(case.room(n), case.granted(n) - here[n]) for n in names}
    queue = [names[place] for place in Fabric(snapshot).order(names)]
    placed = []
    for slot in range(case.gang.size):
        if slot in taken:
            placed.append(taken[slot])
            continue
        while left[queue[0]] <= 0:
            queue.pop(0)
        left[queue[0]] -= 1
        placed.append(queue[0])
    return placed


@given(FITTING)
def test_rank_distance_is_never_worse_than_the_greedy(case: Case) -> None:
    """Neighbouring ranks are at least as near as the obvious rule puts them."""
    result = case.assign()
    if not isinstance(result, Assignment):
        return
    snapshot = clusters.table_of(case.cluster).snapshot()
    assert distance(snapshot, result.nodes) <= distance(snapshot, greedy(case, snapshot, {}))


@given(FITTING, st.data())
def test_taken_slots_stay_and_the_rest_is_no_worse_than_the_greedy(
    case: Case, data: st.DataObject
) -> None:
    """Some pods run already: their slots keep their nodes, the others fit beside them."""
    first = case.assign()
    if not isinstance(first, Assignment):
        return
    slots = data.draw(st.sets(st.integers(0, case.gang.size - 1), min_size=1))
    taken = {slot: first.nodes[slot] for slot in slots}
    cluster = case.cluster.copy()
    for slot, name in taken.items():
        cluster.pods[PodUid(f"slot-{slot}")] = (name, case.gang.shape, False)
    result = case.assign(taken=taken, cluster=cluster)
    assert isinstance(result, Assignment)
    assert {slot: result.nodes[slot] for slot in slots} == taken
    assert all(count <= case.granted(name) for name, count in Counter(result.nodes).items())
    for slot, name in enumerate(result.nodes):
        if slot not in slots:
            assert cluster.failure(name, case.gang.shape, now=True) == "FITS"
            cluster.pods[PodUid(f"late-{slot}")] = (name, case.gang.shape, False)
    snapshot = clusters.table_of(case.cluster).snapshot()
    after = replace(case, cluster=oracle.without(
        cluster, pods=[PodUid(f"late-{slot}") for slot in range(case.gang.size)]
    ))  # fmt: skip
    baseline = greedy(after, snapshot, taken)
    assert distance(snapshot, result.nodes) <= distance(snapshot, baseline)


@given(ANY, st.randoms(use_true_random=False))
def test_the_order_of_nodes_pods_and_grants_changes_nothing(
    case: Case, dice: random.Random
) -> None:
    """Permuted rows and grants give the same assignment, to the node."""
    nodes, pods = list(case.cluster.nodes.items()), list(case.cluster.pods.items())
    grants = list(case.grants)
    dice.shuffle(nodes)
    dice.shuffle(pods)
    dice.shuffle(grants)
    cluster = replace(case.cluster, nodes=dict(nodes), pods=dict(pods))
    other = replace(case, cluster=cluster, grants=tuple(grants))
    result, again = case.assign(), other.assign()
    if isinstance(result, Shortfall):
        assert isinstance(again, Shortfall)
        assert (result.for_now, set(result.nodes)) == (again.for_now, set(again.nodes))
    else:
        assert result == again


@given(ANY)
def test_waiting_is_advised_exactly_when_it_can_help(case: Case) -> None:
    """`for_now` if and only if the gang would fit were all passing pods and states gone. Pods that
    nobody ends pass in what Slurm counts: it has taken them off the node for the gang's sake."""
    result = case.assign()
    if not isinstance(result, Shortfall):
        return
    passing_pods = [pod for pod, held in case.cluster.pods.items() if not held[2]]
    empty = oracle.without(case.cluster, pods=passing_pods)
    for pod in passing_pods:
        if pod not in case.cluster.ending:
            name, shape, _ = case.cluster.pods[pod]
            uncounted = tuple(one for one in shape.requests.extended if one[0] not in MAP)
            kept = Resources(ephemeral_bytes=shape.requests.ephemeral_bytes, extended=uncounted)
            empty.pods[pod] = name, replace(shape, requests=kept), False
    for name, node in empty.nodes.items():
        passing = tuple(t for t in node.taints if not t.key.startswith(("node.", "karpenter.sh")))
        empty = oracle.changed(empty, name, taints=passing)
    ported = bool(case.gang.shape.host_ports)
    room = 0
    for grant in case.grants:
        name = NodeName(grant.node)
        if name in empty.nodes:
            most = replace(case, cluster=empty).room(name)
            room += min(most, 1) if ported else most
    assert result.for_now == (room >= case.gang.size)
    assert result.nodes or "the grant holds" in result.reason


def optimum(case: Case, snapshot: Snapshot) -> int:
    """The least rank distance of all dealings, by trying them all."""
    names = [NodeName(grant.node) for grant in case.grants if case.room(NodeName(grant.node))]
    between = {(a, b): distance(snapshot, [a, b]) for a in names for b in names}
    left = {name: case.room(name) for name in names}
    best = 10**9

    def deal(last: NodeName | None, slots: int, so_far: int) -> None:
        nonlocal best
        if so_far >= best:
            return
        if not slots:
            best = so_far
            return
        for name in names:
            if left[name]:
                left[name] -= 1
                deal(name, slots - 1, so_far + (between[last, name] if last else 0))
                left[name] += 1

    deal(None, case.gang.size, 0)
    return best


@given(FITTING)
def test_a_grant_that_is_just_enough_is_dealt_at_the_optimum(case: Case) -> None:
    """Where every slot of the grant is needed, no dealing at all has a lesser rank distance."""
    result = case.assign()
    total = sum(case.room(NodeName(grant.node)) for grant in case.grants)
    if isinstance(result, Assignment) and total == case.gang.size:
        snapshot = clusters.table_of(case.cluster).snapshot()
        assert distance(snapshot, result.nodes) == optimum(case, snapshot)


@dataclass(frozen=True)
class Racks:
    """Nodes by name with their rack (None: in none), slots granted on each, and a gang."""

    racks: tuple[str | None, ...]
    room: tuple[int, ...]
    size: int
    anti_affinity_keys: tuple[str, ...]
    affinity_keys: tuple[str, ...]

    def labels(self, place: int) -> dict[str, str]:
        """Racks a and b are in one zone."""
        rack = self.racks[place]
        zone = {} if rack is None else {"rack": rack, "zone": {"a": "x", "b": "x"}.get(rack, "y")}
        return {HOST: f"n{place}"} | zone

    def allowed(self, places: Sequence[int]) -> bool:
        """The definition: no two places in one domain of `apart`, all in one of `together`."""
        nodes = [self.labels(place) for place in places]
        apart = [
            [labels[key] for labels in nodes if key in labels] for key in self.anti_affinity_keys
        ]
        together = [{labels.get(key) for labels in nodes} for key in self.affinity_keys]
        return all(len(set(domains)) == len(domains) for domains in apart) and all(
            len(domains) == 1 and None not in domains for domains in together
        )

    def possible(self) -> bool:
        """By trying all dealings."""
        every = [place for place, room in enumerate(self.room) for _ in range(room)]
        return any(map(self.allowed, combinations(every, self.size)))


_KEYS = (((), ("rack",)), ((), ("zone", "rack")), ((HOST,), ("zone",)), (("rack",), ()),
         ((HOST, "zone"), ()), (("zone", "rack"), ()))  # fmt: skip
"""Keys of anti-affinity, and keys of affinity."""


@given(
    st.builds(
        lambda racks, room, size, keys: Racks(tuple(racks), tuple(room), size, *keys),
        st.lists(st.sampled_from(("a", "b", "c", None)), min_size=5, max_size=5),
        st.lists(st.integers(0, 3), min_size=5, max_size=5),
        st.integers(1, 4),
        st.sampled_from(_KEYS),
    )
)
def test_members_together_and_apart_exactly(racks: Racks) -> None:
    """A dealing that keeps to affinity among members is found if and only if there is one."""
    table = NodeTable(scheduler_name=OURS)
    grants = []
    for number, room in enumerate(racks.room):
        table.upsert(a_node(f"n{number}", labels=racks.labels(number)))
        gres = (Gres("gpu", "", room),)
        grants.append(NodeGrant(SlurmNodeName(f"n{number}"), 64, 1 << 20, gres))
    gang = gpus(
        1,
        racks.size,
        pod_anti_affinity=tuple(map(beside, racks.anti_affinity_keys)),
        pod_affinity=tuple(map(beside, racks.affinity_keys)),
    )
    result = place(table, gang, *grants)
    assert isinstance(result, Assignment) == racks.possible()
    if isinstance(result, Assignment):
        places = [int(name[1:]) for name in result.nodes]
        assert racks.allowed(places)
        assert all(count <= racks.room[place] for place, count in Counter(places).items())


# -- cases by hand ---------------------------------------------------------------------------------


LAYER = "topology.k8s.aws/network-node-layer-"


def leaves(*names: str, gpu: int = 8, **fields: object) -> NodeTable:
    """Nodes named <leaf><number>: the first letter is the leaf."""
    table = NodeTable(scheduler_name=OURS)
    for name in names:
        labels = {f"{LAYER}1": "spine", f"{LAYER}2": name[0], "rack": name[0]}
        table.upsert(replace(a_node(name, gpu=gpu, labels=labels), **fields))  # type: ignore[arg-type]
    return table


def place(
    table: NodeTable, gang: Gang, *granted: NodeGrant | str, **more: object
) -> Assignment | Shortfall:
    """Assign onto whole nodes, or onto given grants."""
    grants = tuple(
        NodeGrant(SlurmNodeName(grant), 64, 1 << 20, (Gres("gpu", "h100", 8),))
        if isinstance(grant, str)
        else grant
        for grant in granted
    )
    snapshot = table.snapshot()
    known = {SlurmNodeName(name): NodeName(name) for name in snapshot.names[snapshot.layout.alive]}
    allocation = Allocation(SlurmJobId(1), grants)
    return assign(
        snapshot, allocation, gang, by_slurm_name=known, resource_map=MAP,
        **more,  # type: ignore[arg-type]
    )  # fmt: skip


def gpus(count: int, size: int, **fields: object) -> Gang:
    """A gang whose pods want GPUs."""
    requests = Resources(extended=(("nvidia.com/gpu", count),))
    shape = replace(PodShape(requests=requests), **fields)  # type: ignore[arg-type]
    return a_gang("g", size=size, shape=shape, identity=app())


def test_contiguous_ranks_share_a_node_then_a_leaf() -> None:
    """Twelve pods of two GPUs: four on each node, nodes of one leaf after each other."""
    result = place(leaves("a1", "b1", "a2"), gpus(2, 12), "b1", "a2", "a1")
    assert result == Assignment(tuple(NodeName(n) for n in ["a1"] * 4 + ["a2"] * 4 + ["b1"] * 4))


def test_a_whole_leaf_is_better_than_parts_of_two() -> None:
    """Where the grant has more room than needed, the nearest nodes that suffice are used."""
    table = leaves("a1", "b1", "b2", "c1")
    result = place(table, gpus(8, 2), "a1", "b1", "b2", "c1")
    assert result == Assignment((NodeName("b1"), NodeName("b2")))


def test_uneven_grants_are_filled_as_granted() -> None:
    """Slurm may give more tasks to one node than to another; both are filled."""
    uneven = [
        NodeGrant(SlurmNodeName("a1"), 1, 1 << 20, (Gres("gpu", "", 1),)),
        NodeGrant(SlurmNodeName("a2"), 5, 1 << 20, (Gres("gpu", "", 5),)),
    ]
    result = place(leaves("a1", "a2"), gpus(1, 6), *uneven)
    assert isinstance(result, Assignment)
    assert Counter(result.nodes) == {"a1": 1, "a2": 5}


def test_a_terminating_pod_is_waited_for() -> None:
    """What another pod holds will be free again: not now, but the grant is kept."""
    table = leaves("a1")
    table.occupy(PodUid("old"), NodeName("a1"), gpus(6, 1).shape)
    result = place(table, gpus(4, 1), "a1")
    assert result == Shortfall(
        "0 of 1 pods fit now; a1: 2 of 8 nvidia.com/gpu free", for_now=True, nodes=(NodeName("a1"),)
    )


def test_a_daemon_pod_is_not_waited_for() -> None:
    """What a DaemonSet holds never gets free: the grant is given back."""
    table = leaves("a1")
    table.occupy(PodUid("daemon"), NodeName("a1"), gpus(6, 1).shape, daemon=True)
    result = place(table, gpus(4, 1), "a1")
    assert result == Shortfall(
        "0 of 1 pods fit now; a1: 2 nvidia.com/gpu in all, 4 asked", for_now=False,
        nodes=(NodeName("a1"),),
    )  # fmt: skip


def test_a_pod_that_nobody_ends_is_not_waited_for() -> None:
    """A pod of another scheduler may run for months; once it is being deleted, it is waited for."""
    table = leaves("a1")
    table.occupy(PodUid("other"), NodeName("a1"), gpus(6, 1).shape, stays=True)
    why, node = "0 of 1 pods fit now; a1: 2 of 8 nvidia.com/gpu free", (NodeName("a1"),)
    assert place(table, gpus(4, 1), "a1") == Shortfall(why, for_now=False, nodes=node)
    table.occupy(PodUid("other"), NodeName("a1"), gpus(6, 1).shape, stays=False)
    assert place(table, gpus(4, 1), "a1") == Shortfall(why, for_now=True, nodes=node)
    table.vacate(PodUid("other"))
    assert isinstance(place(table, gpus(4, 1), "a1"), Assignment)
    assert not table.snapshot().staying.any()


@pytest.mark.parametrize(
    ("changes", "for_now", "why"),
    [
        ({"unschedulable": True}, False, "cordoned"),
        ({"taints": (Taint("x", "", "NoSchedule"),)}, False, "taint x:NoSchedule"),
        ({"deleting": True}, False, "being deleted"),
        ({"max_pods": 0}, False, "0 pods in all, 1 asked"),
        ({"ready": False}, False, "not ready"),
        (
            {"taints": (Taint("node.kubernetes.io/memory-pressure", "", "NoSchedule"),)}, True,
            "taint node.kubernetes.io/memory-pressure:NoSchedule",
        ),
    ],
)  # fmt: skip
def test_what_a_node_is_is_never_waited_for(
    changes: dict[str, object], for_now: bool, why: str
) -> None:
    """Cordon, a kubelet's silence, taints and capacity give the grant back; a state that passes
    does not."""
    result = place(leaves("a1", **changes), gpus(1, 1), "a1")  # type: ignore[arg-type]
    assert result == Shortfall(f"0 of 1 pods fit now; a1: {why}", for_now, (NodeName("a1"),))


def test_a_node_that_kubernetes_lacks_is_at_fault_under_its_slurm_name() -> None:
    """So that it can be excluded from the next job."""
    result = place(leaves("a1"), gpus(8, 2), "a1", "ghost")
    assert isinstance(result, Shortfall)
    assert (result.for_now, result.nodes) == (False, ("ghost",))
    assert "ghost: Slurm has it, Kubernetes does not" in result.reason


def test_a_node_that_slurm_does_not_name_is_said_to_be_so() -> None:
    """slurmrestd 26.05 leaves a name of more than 78 characters out of a job's allocation."""
    result = place(leaves("a1"), gpus(1, 1), "")
    assert isinstance(result, Shortfall)
    assert not result.for_now
    assert result.nodes == ()
    assert "shorter names in Slurm" in result.reason


def test_a_grant_that_is_too_small_says_so() -> None:
    """No node is at fault when Slurm simply gave less than the gang has."""
    result = place(leaves("a1"), gpus(8, 2), "a1")
    reason = "1 of 2 pods fit now; the grant holds 1 of them (8 gpu, 8 a pod)"
    assert result == Shortfall(reason, for_now=False)


def test_a_node_that_takes_fewer_than_granted_says_of_what() -> None:
    """The dimension that is short on the node stands in the reason."""
    table = leaves("a1")
    table.occupy(PodUid("old"), NodeName("a1"), gpus(5, 1).shape)
    result = place(table, gpus(2, 2), "a1")
    assert result == Shortfall(
        "1 of 2 pods fit now; a1: takes 1 of the 4 that Slurm granted there "
        "(3 of 8 nvidia.com/gpu free)",
        for_now=True,
        nodes=(NodeName("a1"),),
    )


def test_many_nodes_at_fault_are_counted_not_listed() -> None:
    """A sentence names five nodes; `nodes` has all of them."""
    names = [f"a{number}" for number in range(9)]
    result = place(leaves(*names, unschedulable=True), gpus(8, 9), *names)
    assert isinstance(result, Shortfall)
    assert len(result.nodes) == 9
    assert result.reason.endswith("and 4 more nodes")


def test_exclusive_pods_get_a_node_each() -> None:
    """However much is granted there."""
    two = leaves("a1", "a2")
    together = place(two, gpus(1, 2), "a1", "a2")
    assert together == Assignment((NodeName("a1"), NodeName("a1")))
    apart = place(two, gpus(1, 2), "a1", "a2", one_per_node=True)
    assert apart == Assignment((NodeName("a1"), NodeName("a2")))
    assert isinstance(place(leaves("a1"), gpus(1, 2), "a1", one_per_node=True), Shortfall)


def test_host_ports_keep_pods_apart() -> None:
    """Two pods with one host port are never on one node."""
    gang = gpus(1, 2, host_ports=(HostPort(80),))
    assert isinstance(place(leaves("a1", "a2"), gang, "a1", "a2"), Assignment)
    short = place(leaves("a1"), gang, "a1")
    assert isinstance(short, Shortfall)
    assert not short.for_now


def test_waiting_does_not_help_against_what_stays() -> None:
    """Neither daemon pods nor the gang's own members make room by going."""
    table = leaves("a1")
    table.occupy(PodUid("daemon"), NodeName("a1"), gpus(3, 1).shape, daemon=True)
    short = place(table, gpus(4, 2), "a1")
    assert isinstance(short, Shortfall)
    assert not short.for_now
    table = leaves("a1")
    table.occupy(PodUid("member"), NodeName("a1"), gpus(8, 1).shape)
    twice = NodeGrant(SlurmNodeName("a1"), 64, 1 << 20, (Gres("gpu", "", 16),))
    short = place(table, gpus(8, 2), twice, taken={0: NodeName("a1")})
    assert isinstance(short, Shortfall)
    assert not short.for_now


def test_taken_slots_use_up_the_grant() -> None:
    """A node with free GPUs takes no more slots than Slurm granted there."""
    half = NodeGrant(SlurmNodeName("a1"), 64, 1 << 20, (Gres("gpu", "", 4),))
    table = leaves("a1", "a2")
    table.occupy(PodUid("p"), NodeName("a1"), gpus(4, 1).shape)
    taken = {0: NodeName("a1")}
    assert isinstance(place(table, gpus(4, 2), half, taken=taken), Shortfall)
    assert place(table, gpus(4, 2), half, "a2", taken=taken) == Assignment(
        (NodeName("a1"), NodeName("a2"))
    )


def test_a_taken_slot_whose_pod_is_not_in_the_table_yet_keeps_its_room() -> None:
    """With `holding` a pinned pod that nobody has counted yet is not placed over."""
    taken = {0: NodeName("a1")}
    gang = gpus(8, 2)
    twice = NodeGrant(SlurmNodeName("a1"), 64, 1 << 20, (Gres("gpu", "", 16),))
    assert isinstance(place(leaves("a1"), gang, twice, taken=taken, holding=frozenset()), Shortfall)
    table = leaves("a1", gpu=16)
    table.occupy(PodUid("p"), NodeName("a1"), gang.shape)
    kept = place(table, gang, twice, taken=taken, holding=frozenset({PodUid("p")}))
    assert kept == Assignment((NodeName("a1"), NodeName("a1")))


def test_a_complete_gang_is_answered_as_it_is() -> None:
    """All slots taken: nothing to decide, whatever the nodes look like."""
    taken = {0: NodeName("a1"), 1: NodeName("elsewhere")}
    assert place(leaves(), gpus(8, 2), "a1", taken=taken) == Assignment(
        (NodeName("a1"), NodeName("elsewhere"))
    )


def test_a_slot_that_nobody_needs_takes_nothing() -> None:
    """It is on no node, and leaves what was granted for it to the others; nobody's affinity is to
    it. Where no node is left that is said."""
    taken, holding = {0: NodeName("a1"), 1: NodeName("")}, frozenset({PodUid("p")})
    rack = (beside("rack"),)
    for other, fields in (("a2", {}), ("a2", {"pod_affinity": rack}),
                          ("b1", {"pod_anti_affinity": rack})):  # fmt: skip
        table, gang = leaves("a1", other), gpus(8, 3, **fields)
        table.occupy(PodUid("p"), NodeName("a1"), gang.shape, identity=gang.identity)
        found = place(table, gang, "a1", other, taken=taken, holding=holding)
        assert found == Assignment((NodeName("a1"), NodeName(""), NodeName(other)))
        for granted in (("a1",), ()):
            short = place(table, gang, *granted, taken=taken, holding=holding)
            assert isinstance(short, Shortfall)
            assert short.reason.startswith("0 of 1 pods fit now")


def test_a_lost_rank_returns_beside_its_neighbours() -> None:
    """Without a word about its old node, an open slot goes where its neighbours in rank are."""
    table = leaves("a1", "b1")
    taken = {slot: NodeName("b1") for slot in range(3)}
    for slot, name in taken.items():
        table.occupy(PodUid(f"p{slot}"), name, gpus(2, 1).shape)
    result = place(table, gpus(2, 4), "a1", "b1", taken=taken)
    assert result == Assignment((NodeName("b1"),) * 4)


def test_together_puts_the_gang_into_one_domain() -> None:
    """Required affinity among members: one rack that takes all of them, or none."""
    table = leaves("a1", "a2", "b1", "b2", "b3")
    every = ("a1", "a2", "b1", "b2", "b3")
    gang = gpus(8, 3, pod_affinity=(beside("rack"),))
    assert place(table, gang, *every) == Assignment(tuple(map(NodeName, ("b1", "b2", "b3"))))
    short = place(table, gpus(8, 4, pod_affinity=(beside("rack"),)), *every)
    assert isinstance(short, Shortfall)
    assert not short.for_now
    assert "pod (anti-)affinity by rack" in short.reason


def test_together_stays_where_members_are() -> None:
    """A slot that comes later joins the domain of those that run."""
    table = leaves("a1", "a2", "b1", "b2")
    gang = gpus(8, 2, pod_affinity=(beside("rack"),))
    result = place(
        table, gang, "a1", "a2", "b1", "b2", taken={1: NodeName("b2")}, holding=frozenset()
    )
    assert isinstance(result, Assignment)
    assert result.nodes[0].startswith("b")


def test_apart_puts_one_pod_into_each_domain() -> None:
    """Required anti-affinity among members: no two in one rack, also beside those that run."""
    table = leaves("a1", "a2", "b1", "c1")
    every = ("a1", "a2", "b1", "c1")
    gang = gpus(1, 3, pod_anti_affinity=(beside("rack"),))
    result = place(table, gang, *every)
    assert isinstance(result, Assignment)
    assert sorted(name[0] for name in result.nodes) == ["a", "b", "c"]
    later = place(table, gang, *every, taken={0: NodeName("b1")}, holding=frozenset())
    assert isinstance(later, Assignment)
    assert sorted(name[0] for name in later.nodes) == ["a", "b", "c"]
    assert isinstance(
        place(table, gpus(1, 4, pod_anti_affinity=(beside("rack"),)), *every), Shortfall
    )
    assert isinstance(
        place(table, gpus(1, 4, pod_anti_affinity=(beside("unknown"),)), *every), Assignment
    )


def test_a_gang_of_512_is_placed_whole() -> None:
    """128 nodes of four slots each: every node full, ranks in order."""
    table = NodeTable(scheduler_name=OURS)
    for number in range(128):
        labels = {f"{LAYER}1": "s", f"{LAYER}2": f"leaf{number // 16}"}
        table.upsert(a_node(f"n{number}", labels=labels))
    names = [f"n{number}" for number in range(128)]
    result = place(table, replace(gpus(2, 512), id=GangId("big")), *reversed(names))
    assert isinstance(result, Assignment)
    assert result.nodes == tuple(NodeName(name) for name in names for _ in range(4))
