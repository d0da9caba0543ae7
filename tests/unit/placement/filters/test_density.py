"""How many pods of one shape a node can hold at most."""

import pytest

from bridge.model.scheduling import PodShape
from bridge.placement.filters.density import max_tasks_per_node
from bridge.placement.table import NodeTable
from tests.builders import SCHEDULER, PodBuilder, a_node, a_pod, app, beside


@pytest.mark.parametrize(
    ("pod", "most"),
    [
        (a_pod().asking(gpu=8), 1),
        (a_pod().asking(gpu=3), 2),
        (a_pod().asking(cpu=1), 64),
        (a_pod().asking(cpu=1.5), 32),
        (a_pod().asking(gpu=1, memory_gi=200), 2),
        (a_pod().asking(gpu=9), 0),
        (a_pod(), 110),
    ],
)
def test_the_scarcest_resource_of_the_largest_node_decides(pod: PodBuilder, most: int) -> None:
    """CPUs counted whole per pod; the count of pods is a resource too."""
    table = NodeTable(scheduler_name=SCHEDULER)
    table.upsert(a_node("small", cpu=4, gpu=2))
    table.upsert(a_node("large"))
    assert max_tasks_per_node(table.snapshot(), pod.build().shape) == most


def test_pods_that_keep_away_from_themselves_are_alone_in_a_domain() -> None:
    """And on a node that is in no domain as many as fit."""
    table = NodeTable(scheduler_name=SCHEDULER)
    table.upsert(a_node("n", labels={"host": "n"}))
    snapshot = table.snapshot()
    alone = PodShape(pod_anti_affinity=(beside("host"),))
    assert max_tasks_per_node(snapshot, alone, app()) == 1
    assert max_tasks_per_node(snapshot, alone, app("other")) == 110
    assert max_tasks_per_node(snapshot, alone) == 110
    nowhere = PodShape(pod_anti_affinity=(beside("rack"),))
    assert max_tasks_per_node(snapshot, nowhere, app()) == 110
