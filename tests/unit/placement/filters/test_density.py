"""How many pods of one shape a node can hold at most."""

from dataclasses import replace

import pytest

from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from bridge.placement.filters import pod_selectors
from bridge.placement.filters.density import density
from bridge.placement.table import NodeTable
from tests.builders import SCHEDULER, TOLERATION, PodBuilder, a_node, a_pod, app, beside


@pytest.mark.parametrize(
    ("pod", "most"),
    [
        (a_pod().asking(gpu=8), 1),
        (a_pod().asking(gpu=3), 2),
        (a_pod().asking(cpu=1), 64),
        (a_pod().asking(cpu=1.5), 32),
        (a_pod().asking(gpu=1, memory_gi=200), 2),
        (a_pod().asking(gpu=9), 0),
        (a_pod(), 64),
    ],
)
def test_the_scarcest_resource_of_the_largest_node_decides(pod: PodBuilder, most: int) -> None:
    """CPUs counted whole per pod, one where it asks for none."""
    table = NodeTable(scheduler_name=SCHEDULER)
    table.upsert(a_node("small", cpu=4, gpu=2))
    table.upsert(a_node("large"))
    assert density(table.snapshot(), pod.build().shape).most == most


@pytest.mark.parametrize(("memory_mib", "tight"), [(125_000, True), (124_992, False), (100, False)])
def test_pods_that_fill_a_node_by_memory_are_told_of(memory_mib: int, *, tight: bool) -> None:
    """Eight pods of an eighth of the node: 125,000 MiB by 12 CPUs is no whole number."""
    table = NodeTable(scheduler_name=SCHEDULER)
    base = a_node("n", cpu=96)
    whole = replace(base.allocatable, memory_bytes=1_000_000 << 20)
    table.upsert(replace(base, allocatable=whole))
    shape = PodShape(Resources(12_000, memory_mib << 20), tolerations=(TOLERATION,))
    found = density(table.snapshot(), shape)
    assert (found.most, found.memory_is_tight) == (8, tight)


def test_pods_that_keep_away_from_themselves_are_alone_in_a_domain() -> None:
    """And on a node that is in no domain as many as fit, a CPU each."""
    table = NodeTable(scheduler_name=SCHEDULER)
    table.upsert(a_node("n", labels={"host": "n"}))
    snapshot = table.snapshot()
    alone = PodShape(pod_anti_affinity=(beside("host"),))
    for who, keys, most in ((app(), ("host",), 1), (app("other"), (), 64), (None, (), 64)):
        assert pod_selectors.keys_apart(snapshot.namespaces, alone, who) == keys
        assert density(snapshot, alone, keys).most == most
    assert density(snapshot, alone, ("rack",)).most == 64
