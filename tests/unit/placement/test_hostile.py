"""What no sane cluster has: absurd amounts, nodes of nothing, doubles, things that vanish."""

from dataclasses import replace

import numpy as np
import pytest

from bridge.model.gang import Assignment, Shortfall
from bridge.model.ids import NodeName, PodUid, SlurmJobId, SlurmNodeName
from bridge.model.job import Allocation, Gres, NodeGrant
from bridge.model.node import Node
from bridge.model.resources import Resources
from bridge.model.scheduling import (
    HostPort,
    NodeSelectorTerm,
    PodShape,
    Requirement,
    Taint,
    Toleration,
)
from bridge.placement.filters import check_node, feasible
from bridge.placement.fit.assign import assign
from bridge.placement.score import score
from bridge.placement.table import NodeTable
from tests.builders import a_gang, a_node
from tests.unit.placement.oracle import OURS

GPU = "nvidia.com/gpu"
ABSURD = 10**30
N = NodeName("n")


def table(*nodes: Node) -> NodeTable:
    """A table of these nodes."""
    made = NodeTable(scheduler_name=OURS)
    for node in nodes:
        made.upsert(node)
    return made


def of(amount: int, *names: str) -> Resources:
    """The same amount of everything."""
    return Resources(amount, amount, amount, tuple((name, amount) for name in sorted(names)))


def place(
    nodes: NodeTable, shape: PodShape, *grants: NodeGrant, size: int = 1, **more: object
) -> Assignment | Shortfall:
    """Onto these grants; Slurm's names are Kubernetes' own unless told otherwise."""
    known = {grant.node: NodeName(grant.node) for grant in grants}
    return assign(
        nodes.snapshot(), Allocation(SlurmJobId(1), grants), a_gang("g", size=size, shape=shape),
        **{"by_slurm_name": known, "resource_map": {GPU: "gpu"}, **more},  # type: ignore[arg-type]
    )  # fmt: skip


def grant(name: str = "n", cpus: int = 64, memory_mib: int = 1 << 20, gpus: int = 8) -> NodeGrant:
    """What Slurm gives on a node."""
    return NodeGrant(SlurmNodeName(name), cpus, memory_mib, (Gres("gpu", "", gpus),))


@pytest.mark.parametrize("has", [2**49, 2**52, 2**56, 2**63, ABSURD])
@pytest.mark.parametrize("asked", [2**52 + 1, 2**56 + 1, 2**63 + 1, ABSURD + 1])
def test_more_than_a_node_has_never_fits(has: int, asked: int) -> None:
    """Amounts are cut somewhere, but never so that more fits than there is."""
    nodes = table(replace(a_node("n"), allocatable=of(has, GPU)))
    answer = feasible(nodes.snapshot(), PodShape(requests=of(asked, GPU)), now=False)
    if asked > has:
        assert not answer.mask.any()
    nodes.occupy(PodUid("p"), N, PodShape(requests=of(asked, GPU)))
    if asked >= has:
        assert check_node(nodes.snapshot(), PodShape(requests=of(1)), N) is not None


def test_a_thousand_absurd_pods_do_not_wrap_around() -> None:
    """What they hold together stays beyond what the node has, and goes when they go."""
    nodes = table(a_node("n"))
    shape = PodShape(requests=of(ABSURD, GPU))
    for number in range(1000):
        nodes.occupy(PodUid(f"p{number}"), N, shape, daemon=number % 2 == 0)
        if number in (7, 255, 511, 999):
            snapshot = nodes.snapshot()
            assert not feasible(snapshot, PodShape(requests=of(1)), now=True).mask.any()
            assert (snapshot.used >= snapshot.daemon_used).all()
    for number in range(1000):
        nodes.vacate(PodUid(f"p{number}"))
    assert check_node(nodes.snapshot(), PodShape(requests=Resources(1, 1)), N) is None
    assert not nodes.snapshot().used.any()


@pytest.mark.parametrize("max_pods", [-5, 0, 2**40, 2**63, ABSURD])
def test_a_count_of_pods_of_any_size(max_pods: int) -> None:
    """A node that says it takes 10^30 pods, or less than none, harms nobody."""
    nodes = table(*(replace(a_node(name), max_pods=max_pods) for name in ("n", "m")))
    nothing = PodShape()
    assert feasible(nodes.snapshot(), nothing, now=True).mask.sum() == (2 if max_pods > 0 else 0)
    assert isinstance(place(nodes, nothing, grant()), Assignment) == (max_pods > 0)


def test_negative_amounts_are_nothing() -> None:
    """Neither does a node lend, nor a pod bring."""
    nodes = table(replace(a_node("n"), allocatable=Resources(-8, -8, -8, ((GPU, -8),))))
    assert not feasible(nodes.snapshot(), PodShape(requests=of(1)), now=True).mask.any()
    nodes = table(a_node("n", gpu=8))
    nodes.occupy(PodUid("p"), N, PodShape(requests=of(-ABSURD, GPU)))
    assert check_node(nodes.snapshot(), PodShape(requests=of(9, GPU)), N) is not None


def test_a_node_of_nothing_takes_nothing() -> None:
    """No CPU, no memory, no place for a pod: every question has an answer."""
    empty = replace(a_node("n"), allocatable=Resources(), max_pods=0, labels={})
    snapshot = table(empty).snapshot()
    assert feasible(snapshot, PodShape(), now=True).summary() == "1 node: 0 pods in all, 1 asked"
    assert score(snapshot, PodShape(requests=of(1, GPU)), [N]).tolist() == [0]
    short = place(table(empty), PodShape(), grant())
    assert isinstance(short, Shortfall)
    assert not short.for_now


def test_a_pod_of_nothing_takes_a_place_and_a_core() -> None:
    """In Kubernetes it counts as a pod, in Slurm as one CPU."""
    nodes = table(replace(a_node("n"), max_pods=2))
    assert place(nodes, PodShape(), grant(cpus=2, gpus=0), size=2) == Assignment((N, N))
    assert isinstance(place(nodes, PodShape(), grant(cpus=1), size=2), Shortfall)
    assert isinstance(place(nodes, PodShape(), grant(cpus=9), size=3), Shortfall)
    assert place(nodes, PodShape(), grant(), size=0) == Assignment(())


def test_scores_of_absurd_pods() -> None:
    """A request beyond 64 bits is no reason to fail."""
    nodes = table(a_node("n", gpu=8), a_node("m", gpu=0))
    scores = score(nodes.snapshot(), PodShape(requests=of(ABSURD, GPU)), [N, NodeName("m")])
    assert scores.tolist() == [10, 10]


@pytest.mark.parametrize(
    "bad",
    [grant(cpus=-1), grant(gpus=-8), grant(memory_mib=-5), grant(cpus=0, memory_mib=0, gpus=0)],
)
def test_grants_of_less_than_nothing_hold_nothing(bad: NodeGrant) -> None:
    """Whatever Slurm answers: no slot, and no slot less elsewhere."""
    shape = PodShape(requests=Resources(1000, 1 << 20, 0, ((GPU, 1),)))
    nodes = table(a_node("n", gpu=8), a_node("m", gpu=8))
    assert isinstance(place(nodes, shape, bad), Shortfall)
    good = grant("m", cpus=2)
    assert place(nodes, shape, bad, good, size=2) == Assignment((NodeName("m"),) * 2)
    other = replace(shape, requests=Resources(1000))
    both = place(nodes, shape, bad, good, size=2, shapes=[shape, other])
    assert both == Assignment((NodeName("m"),) * 2)


def test_grants_without_end_are_cut_by_the_node() -> None:
    """10^30 of everything from Slurm: the node's own amounts decide."""
    nodes = table(a_node("n", gpu=8))
    shape, other = (PodShape(requests=Resources(extended=((GPU, n),))) for n in (3, 2))
    boundless = grant(cpus=ABSURD, memory_mib=ABSURD, gpus=ABSURD)
    assert isinstance(place(nodes, shape, boundless, size=2), Assignment)
    assert isinstance(place(nodes, shape, boundless, size=3), Shortfall)
    mixed = place(nodes, shape, boundless, size=3, shapes=[shape, shape, other])
    assert mixed == Assignment((N,) * 3)
    three = place(nodes, shape, boundless, size=3, shapes=[shape] * 3)
    assert isinstance(three, Shortfall)
    absurd = PodShape(requests=of(ABSURD, GPU))
    assert isinstance(place(nodes, absurd, boundless, size=2, shapes=[absurd, other]), Shortfall)


def test_two_names_for_one_node_are_one_node() -> None:
    """Granted twice, and under two names in Slurm: what it grants adds up, what it has does not."""
    nodes = table(a_node("n", gpu=8))
    shape = PodShape(requests=Resources(extended=((GPU, 4),)))
    twice = (grant(gpus=4), grant(gpus=4))
    assert place(nodes, shape, *twice, size=2) == Assignment((N, N))
    aliases = {SlurmNodeName("a"): N, SlurmNodeName("b"): N}
    pair = (grant("a"), grant("b"))
    assert isinstance(place(nodes, shape, *pair, size=2, by_slurm_name=aliases), Assignment)
    assert isinstance(place(nodes, shape, *pair, size=3, by_slurm_name=aliases), Shortfall)


def test_a_node_that_vanished_since_is_told_by_name() -> None:
    """Slurm's grant is older than the snapshot: some nodes are gone, or were never known."""
    nodes = table(a_node("n", gpu=8), a_node("m", gpu=8))
    shape = PodShape(requests=Resources(extended=((GPU, 8),)))
    nodes.remove(NodeName("m"))
    for shapes in (None, [shape, PodShape()]):
        short = place(nodes, shape, grant(), grant("m"), size=2, shapes=shapes)
        if shapes is None:
            assert short == Shortfall(
                "1 of 2 pods fit now; m: not known to Kubernetes", False, (NodeName("m"),)
            )
        else:
            assert short == Assignment((N, N))
    taken = {0: NodeName("m"), 5: NodeName("never"), -1: NodeName("gone")}
    assert place(nodes, shape, grant(), grant("m"), size=2, taken=taken) == (
        Assignment((NodeName("m"), N))
    )


def test_a_node_comes_back_with_the_pods_it_had() -> None:
    """Deleted and created again under its name: what pods hold there is remembered."""
    nodes = table(a_node("n", gpu=8))
    shape = PodShape(requests=Resources(extended=((GPU, 8),)), host_ports=(HostPort(80),))
    nodes.occupy(PodUid("p"), N, shape)
    nodes.remove(N)
    assert nodes.snapshot().row(N) == -1
    nodes.upsert(replace(a_node("n", gpu=8), uid="another"))
    assert check_node(nodes.snapshot(), shape, N) is not None
    nodes.vacate(PodUid("p"))
    assert check_node(nodes.snapshot(), shape, N) is None


@pytest.mark.parametrize("operator", ["Gt", "Lt"])
@pytest.mark.parametrize("value", ["9" * 5000, "-" + "9" * 5000, "+", "", "1e3", "١", "0x10"])
def test_numbers_that_are_none_match_nothing(operator: str, value: str) -> None:
    """Kubernetes compares 64-bit integers; anything else fails, on either side."""
    nodes = table(a_node("n", labels={"rank": "7"}), a_node("m", labels={"rank": value}))
    wanted = Requirement("rank", operator, (value,))  # type: ignore[arg-type]
    shape = PodShape(affinity_terms=(NodeSelectorTerm((wanted,)),))
    assert feasible(nodes.snapshot(), shape, now=True).names() == []


def test_numbers_with_many_zeros_are_numbers() -> None:
    """Leading zeros without end are still a 64-bit integer, as in Go."""
    nodes = table(a_node("n", labels={"rank": "7"}))
    wanted = Requirement("rank", "Gt", ("0" * 5000 + "6",))
    shape = PodShape(affinity_terms=(NodeSelectorTerm((wanted,)),))
    assert feasible(nodes.snapshot(), shape, now=True).names() == ["n"]


def test_a_node_with_forty_thousand_taints() -> None:
    """The first that is not tolerated is found, wherever it stands."""
    many = tuple(Taint(f"t{number:05}", "", "NoSchedule") for number in range(40_000))
    nodes = table(replace(a_node("n"), taints=(*many, Taint("x", "", "NoSchedule"))))
    tolerations = tuple(Toleration(taint.key, "Exists") for taint in many[-3:])
    shape = PodShape(tolerations=(*tolerations, Toleration("", "Exists", "", "NoExecute")))
    assert check_node(nodes.snapshot(), shape, N) == "node n: taint t00000:NoSchedule"
    everything = PodShape(tolerations=(Toleration("x", "Exists"),))
    few = table(replace(a_node("n"), taints=(*many[:1], Taint("x", "", "NoSchedule"))))
    assert check_node(few.snapshot(), everything, N) == "node n: taint t00000:NoSchedule"


@pytest.mark.parametrize(
    ("operator", "value", "taint", "tolerated"),
    [
        ("Gt", "5", "6", True),
        ("Gt", "5", "5", False),
        ("Lt", "5", "4", True),
        ("Lt", "-5", "-6", True),
        ("Lt", "5", "5", False),
        ("Gt", "05", "6", False),
        ("Gt", "5", "+6", False),
        ("Gt", "5", "", False),
        ("Gt", "5", "9" * 5000, False),
        ("Lt", str(2**63), "4", False),
    ],
)
def test_tolerations_that_compare(operator: str, value: str, taint: str, tolerated: bool) -> None:
    """Gt and Lt compare the taint's value with the toleration's, as decimal 64-bit integers."""
    nodes = table(replace(a_node("n"), taints=(Taint("x", taint, "NoSchedule"),)))
    shape = PodShape(tolerations=(Toleration("x", operator, value),))  # type: ignore[arg-type]
    assert (check_node(nodes.snapshot(), shape, N) is None) == tolerated


def test_nothing_of_a_snapshot_overflows_quietly() -> None:
    """numpy says nothing when 64-bit integers wrap: every array stays within its bounds."""
    nodes = table(replace(a_node("n"), allocatable=of(ABSURD, GPU), max_pods=ABSURD))
    nodes.occupy(PodUid("p"), N, PodShape(requests=of(ABSURD, GPU)), daemon=True)
    snapshot = nodes.snapshot()
    for array in (snapshot.allocatable, snapshot.used, snapshot.daemon_used):
        assert array.dtype == np.int64
        assert (array >= 0).all()
        assert (array < 2**52).all()


def test_resources_that_no_node_has_take_no_memory() -> None:
    """Whoever may create a pod with a node's name may ask for thousands of resources."""
    nodes = table(a_node("n", gpu=8))
    before = nodes.snapshot().used.shape
    names = (f"example.com/x{number}" for number in range(5000))
    nodes.occupy(PodUid("p"), N, PodShape(requests=of(1, GPU, *names)))
    snapshot = nodes.snapshot()
    assert snapshot.used.shape == before
    assert snapshot.used[snapshot.resources[GPU], snapshot.row(N)] == 1


@pytest.mark.parametrize("daemon", [False, True])
def test_what_pods_hold_of_a_resource_counts_once_a_node_has_it(daemon: bool) -> None:
    """Pods may be known before their node is, and a device plugin may come later than both."""
    nodes = table(a_node("n", gpu=0), a_node("m", gpu=0))
    held = PodShape(requests=Resources(extended=((GPU, 3),)))
    nodes.occupy(PodUid("p"), N, held, daemon=daemon)
    nodes.snapshot()
    nodes.upsert(a_node("n", gpu=8))
    eight, five = (PodShape(requests=Resources(extended=((GPU, n),))) for n in (8, 5))
    assert feasible(nodes.snapshot(), five, now=True).names() == ["n"]
    assert feasible(nodes.snapshot(), eight, now=True).names() == []
    assert feasible(nodes.snapshot(), eight, now=False).names() == ([] if daemon else ["n"])
    nodes.vacate(PodUid("p"))
    assert feasible(nodes.snapshot(), eight, now=True).names() == ["n"]
