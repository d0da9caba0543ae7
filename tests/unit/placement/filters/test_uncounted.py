"""What Slurm does not count is asked of the nodes all the same."""

from dataclasses import replace

import numpy as np
import pytest

from bridge.model.ids import NodeName, PodUid
from bridge.model.node import Node
from bridge.model.resources import Resources
from bridge.model.scheduling import HostPort, PodShape
from bridge.placement.filters import uncounted
from bridge.placement.filters.classes import class_of, classes
from bridge.placement.table import NodeTable
from tests.builders import GI, SCHEDULER, TOLERATION, a_node


def node(name: str, *, pool: str, disk_gi: int = 0, **extended: int) -> Node:
    base = a_node(name, labels={"pool": pool})
    more = tuple(sorted((key.replace("_", "-"), count) for key, count in extended.items()))
    amounts = replace(base.allocatable, ephemeral_bytes=disk_gi * GI, extended=more)
    return replace(base, allocatable=amounts)


NODES = [
    node("a1", pool="a", disk_gi=100, hugepages_2Mi=GI, gpu=8),
    node("a2", pool="a", disk_gi=10, gpu=2),
    node("b1", pool="b", disk_gi=10, gpu=8),
]


@pytest.mark.parametrize(
    ("requests", "pools", "excluded"),
    [
        (Resources(cpu_milli=1000), "ab", ()),
        (Resources(extended=(("hugepages-2Mi", GI),)), "a", ("a2",)),
        (Resources(ephemeral_bytes=50 * GI), "a", ("a2",)),
        (Resources(ephemeral_bytes=5 * GI), "ab", ()),
        (Resources(extended=(("gpu", 8),)), "ab", ()),
        (Resources(extended=(("gpu", 8), ("hugepages-2Mi", 1))), "a", ("a2",)),
        (Resources(extended=(("example.com/odd", 1),)), "", ()),
        (Resources(cpu_milli=10**9), "", ()),
    ],
)
def test_classes_and_nodes_that_cannot_give_it_are_left_out(
    requests: Resources, pools: str, excluded: tuple[str, ...]
) -> None:
    """Whole classes by their name, single nodes by theirs; GPUs are Slurm's to count."""
    table = NodeTable(class_ignore_keys=(), scheduler_name=SCHEDULER)
    for listed in NODES:
        table.upsert(listed)
    snapshot = table.snapshot()
    shape = PodShape(requests=requests, tolerations=(TOLERATION,))
    left, names = uncounted.able(
        snapshot, shape, classes(snapshot).keys(), resource_map={"gpu": "gpu"}
    )
    wanted = {"a": NODES[0].name, "b": NODES[2].name}
    assert left == {class_of(snapshot, wanted[pool]) for pool in pools}
    assert names == excluded


def test_no_more_than_64_nodes_are_named() -> None:
    """3,000 names would cost slurmctld 0.3 MB in every job."""
    table = NodeTable(class_ignore_keys=(), scheduler_name=SCHEDULER)
    table.upsert(node("rich", pool="a", disk_gi=100))
    for number in range(100):
        table.upsert(node(f"poor-{number}", pool="a", disk_gi=1))
    snapshot = table.snapshot()
    shape = PodShape(requests=Resources(ephemeral_bytes=50 * GI), tolerations=(TOLERATION,))
    _, names = uncounted.able(snapshot, shape, classes(snapshot).keys(), resource_map={})
    assert len(names) == 64
    assert "rich" not in names


TPU = "example.com/tpu"


def tpus(count: int) -> PodShape:
    return PodShape(
        requests=Resources(cpu_milli=1000, extended=((TPU, count),)), tolerations=(TOLERATION,)
    )


def pool(*names: str, pool: str = "a", tpu: int = 4) -> NodeTable:
    table = NodeTable(scheduler_name=SCHEDULER)
    for name in names:
        table.upsert(node(name, pool=pool, **{TPU: tpu}))
    return table


def without(*nodes: str, classes: tuple[str, ...] = (), room: int) -> uncounted.Full:
    rows = np.zeros(0, dtype=np.intp)  # they do not count when two are compared
    return uncounted.Full(frozenset(classes), tuple(map(NodeName, nodes)), room, 0, rows)


def full(table: NodeTable, shape: PodShape, *left_out: str) -> uncounted.Full:
    snapshot = table.snapshot()
    return uncounted.full(
        snapshot, shape, classes(snapshot).keys(), tuple(map(NodeName, left_out)), resource_map={}
    )


def test_nodes_that_are_full_of_it_are_named() -> None:
    """Room is counted in pods, over all other nodes."""
    table = pool("n1", "n2", "n3")
    assert full(table, tpus(2)) == without(room=6)
    table.occupy(PodUid("p"), NodeName("n2"), tpus(3))
    assert full(table, tpus(2)) == without("n2", room=4)
    assert full(table, tpus(2), "n1") == without("n2", room=2)
    table.vacate(PodUid("p"))
    assert not full(table, tpus(2)).limits


def test_a_class_of_full_nodes_is_left_out_as_a_class() -> None:
    """However many nodes it has."""
    table = pool(*(f"n{number}" for number in range(100)))
    table.upsert(node("free", pool="b", **{TPU: 4}))
    for number in range(100):
        table.occupy(PodUid(f"p{number}"), NodeName(f"n{number}"), tpus(4))
    class_a = class_of(table.snapshot(), NodeName("n0")) or ""
    assert full(table, tpus(1)) == without(classes=(class_a,), room=4)


def test_no_more_than_64_full_nodes_are_named() -> None:
    """The others show when Slurm grants them."""
    table = pool(*(f"n{number:03}" for number in range(100)))
    for number in range(1, 100):
        table.occupy(PodUid(f"p{number}"), NodeName(f"n{number:03}"), tpus(4))
    found = full(table, tpus(1))
    assert (len(found.nodes), found.nodes[0], found.room) == (64, "n001", 4)


def test_room_of_a_pod_that_is_being_ended_is_worth_waiting_for() -> None:
    """That of a daemon pod comes back, and is not."""
    table = pool("n1")
    table.occupy(PodUid("p"), NodeName("n1"), tpus(4), ending=True)
    assert full(table, tpus(4)).room == 1
    table.occupy(PodUid("p"), NodeName("n1"), tpus(4), ending=True, daemon=True)
    assert full(table, tpus(4)).room == 0


def test_host_ports_and_the_count_of_pods_are_room_too() -> None:
    """A port is one pod's; a node takes only so many pods, whatever they ask for."""
    table = NodeTable(scheduler_name=SCHEDULER)
    table.upsert(replace(node("n1", pool="a"), max_pods=2))
    table.upsert(replace(node("n2", pool="a"), max_pods=9))
    web = PodShape(host_ports=(HostPort(80),), tolerations=(TOLERATION,))
    table.occupy(PodUid("web"), NodeName("n2"), web)
    assert full(table, web) == without("n2", room=1)
    plain = PodShape(tolerations=(TOLERATION,))
    for name in "ab":
        table.occupy(PodUid(name), NodeName("n1"), plain)
    assert full(table, plain) == without("n1", room=8)


def test_what_slurm_counts_is_taken_by_pods_that_it_does_not_know() -> None:
    """Those with a job are Slurm's to count."""
    table = NodeTable(scheduler_name=SCHEDULER)
    table.upsert(a_node("n1", gpu=8))
    shape = PodShape(requests=Resources(extended=(("nvidia.com/gpu", 4),)))
    table.occupy(PodUid("with-a-job"), NodeName("n1"), shape)
    snapshot = table.snapshot()
    rows = snapshot.rows([NodeName("n1")])
    known = {"nvidia.com/gpu": "gpu"}
    assert uncounted.room(snapshot, shape, rows, known).tolist() == [2]
    table.occupy(PodUid("other"), NodeName("n1"), shape, stays=True)
    assert uncounted.room(table.snapshot(), shape, rows, known).tolist() == [1]
