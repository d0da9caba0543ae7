"""Where shapes may run, and what is remembered of it."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.errors import BadInput
from bridge.jobs import answers
from bridge.jobs.node_constraints import NodeConstraints
from bridge.jobs.tasks import Tasks
from bridge.model.devices import ResourceMap
from bridge.model.ids import NodeName
from bridge.model.resources import Resources
from bridge.model.scheduling import NodeSelectorTerm, PodShape, Requirement
from bridge.placement.filters.classes import classes
from bridge.placement.table import NodeTable
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState
from tests.builders import SCHEDULER, TOLERATION, a_node
from tests.hostile.measured import refusal


def test_a_new_amount_each_time_is_not_remembered_for_ever() -> None:
    """Pods come and go, no two alike, while no node changes: the memory starts over."""
    table = NodeTable(scheduler_name=SCHEDULER)
    table.upsert(a_node("n"))
    cluster = cast("Any", SimpleNamespace(table=table, nodes={}))
    asked = NodeConstraints(cluster=cluster, slurm_state=SlurmState(), resource_map=ResourceMap({}))
    for milli in range(1, answers.MOST_KEPT + 100):
        shape = PodShape(requests=Resources(cpu_milli=milli))
        assert isinstance(refusal(lambda: asked.of(shape, ())), BadInput)  # noqa: B023
    assert len(asked._known) == 99


LARGE, SMALL = (
    PodShape(requests=Resources(cpu_milli=cpus * 1000), tolerations=(TOLERATION,))
    for cpus in (64, 1)
)
IN_POOL = (("pool", "gpu"),)


def of_cluster(**pools: int) -> NodeConstraints:
    """So many nodes of 64 CPUs in each pool."""
    cluster = KubeState(scheduler_name=SCHEDULER)
    for pool, count in pools.items():
        for number in range(count):
            cluster.upsert_node(a_node(f"{pool}{number}", cpu=64, labels={"pool": pool}))
    return NodeConstraints(cluster=cluster, slurm_state=SlurmState(), resource_map=ResourceMap({}))


def test_pods_that_may_run_on_all_nodes_of_others_are_known() -> None:
    """By what nodes are, not by what is asked for; where nothing can run, nothing is said."""
    asked = of_cluster(gpu=2, cpu=1)
    in_pool, nowhere = (replace(LARGE, node_selector=(("pool", one),)) for one in ("gpu", "none"))
    huge = replace(SMALL, requests=Resources(cpu_milli=10**9))
    assert asked.takes_all_of(in_pool, SMALL)
    assert asked.takes_all_of(in_pool, huge)
    assert not asked.takes_all_of(SMALL, in_pool)
    assert not asked.takes_all_of(nowhere, SMALL)


@pytest.mark.parametrize(
    ("components", "lacking"),
    [
        ([Tasks(2, LARGE)], None),
        ([Tasks(2, LARGE), Tasks(64, SMALL)], None),
        ([Tasks(2, LARGE), Tasks(65, SMALL)], (4, 3)),
        ([Tasks(3, replace(LARGE, node_selector=IN_POOL))], (3, 2)),
        ([Tasks(2, replace(LARGE, node_selector=IN_POOL)), Tasks(1, SMALL)], None),
        ([Tasks(1, replace(LARGE, node_selector=IN_POOL)), Tasks(1, replace(SMALL,
          node_selector=IN_POOL)), Tasks(1, LARGE)], None),
        ([Tasks(1, replace(LARGE, requests=Resources(cpu_milli=65_000)))], (1, 0)),
    ],
)  # fmt: skip
def test_components_that_share_no_node_are_counted_against_the_nodes(
    components: list[Tasks], lacking: tuple[int, int] | None
) -> None:
    """Two nodes of one pool, one of another: each set of components needs its own nodes."""
    asked = of_cluster(gpu=2, cpu=1)
    assert asked.lacking(components, alone=False) == lacking
    assert asked.can_hold(components, alone=False) == (lacking is None)


def test_each_pod_alone_needs_a_node() -> None:
    """With `exclusive` a task has a node of its own."""
    assert of_cluster(gpu=2).lacking([Tasks(3, SMALL)], alone=True) == (3, 2)


def test_a_pod_whose_volume_sits_on_avoided_nodes_only_may_run_there() -> None:
    """No other node will ever do. Without the volume it waits until the nodes are no longer left
    out, and with another node in reach it goes there."""
    cluster = KubeState(scheduler_name=SCHEDULER)
    for name in ("n1", "n2", "n3"):
        cluster.upsert_node(a_node(name, labels={"disk": "yes" if name != "n3" else "no"}))
    slurm = SlurmState()
    slurm.features = frozenset(classes(cluster.table.snapshot()))
    asked = NodeConstraints(cluster=cluster, slurm_state=slurm, resource_map=ResourceMap({}))
    reach = NodeSelectorTerm((Requirement("disk", "In", ("yes",)),))
    mounts = replace(SMALL, volume_terms=((reach,),))
    assert asked.of(mounts, (NodeName("n1"), NodeName("n2"))).excluded == ()
    assert asked.of(mounts, (NodeName("n1"),)).excluded == ("n1",)
    assert asked.of(SMALL, (NodeName("n1"), NodeName("n2"), NodeName("n3"))).excluded == (
        "n1", "n2", "n3",
    )  # fmt: skip
