"""Where shapes may run, and what is remembered of it."""

from types import SimpleNamespace
from typing import Any, cast

from bridge.errors import BadInput
from bridge.jobs import node_constraints
from bridge.jobs.node_constraints import NodeConstraints
from bridge.model.devices import ResourceMap
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from bridge.placement.table import NodeTable
from bridge.state.slurm_state import SlurmState
from tests.builders import SCHEDULER, a_node
from tests.hostile.measured import refusal


def test_a_new_amount_each_time_is_not_remembered_for_ever() -> None:
    """Pods come and go, no two alike, while no node changes: the memory starts over."""
    table = NodeTable(scheduler_name=SCHEDULER)
    table.upsert(a_node("n"))
    cluster = cast("Any", SimpleNamespace(table=table, nodes={}))
    asked = NodeConstraints(cluster=cluster, slurm_state=SlurmState(), resource_map=ResourceMap({}))
    for milli in range(1, node_constraints._REMEMBERED + 100):
        shape = PodShape(requests=Resources(cpu_milli=milli))
        assert isinstance(refusal(lambda: asked.of(shape, ())), BadInput)  # noqa: B023
    assert len(asked._known) == 99
