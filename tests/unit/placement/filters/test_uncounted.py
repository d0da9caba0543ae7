"""What Slurm does not count is asked of the nodes all the same."""

from dataclasses import replace

import pytest

from bridge.model.node import Node
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
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
        snapshot, shape, classes(snapshot).keys(), counted=lambda name: name == "gpu"
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
    _, names = uncounted.able(snapshot, shape, classes(snapshot).keys(), counted=lambda _: False)
    assert len(names) == 64
    assert "rich" not in names
