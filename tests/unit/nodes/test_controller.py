"""What one pass over the nodes does, and when the next one comes."""

from dataclasses import dataclass, field
from typing import Any, cast

import structlog

from bridge.clock import SystemClock
from bridge.nodes import definition
from bridge.nodes.controller import NodeController
from bridge.slurm import (
    InvalidRequest,
    NodeDefinition,
    Partition,
    SlurmError,
    SlurmNode,
    Unavailable,
)
from bridge.state.cluster import Cluster
from bridge.state.slurm_side import SlurmSide
from bridge.telemetry import Metrics, OutageLog
from tests.builders import SCHEDULER, a_node


@dataclass
class Slurm:
    """Knows no node, and fails to register these."""

    refused: dict[str, SlurmError]
    asked: list[str] = field(default_factory=list)

    async def list_nodes(self) -> tuple[SlurmNode, ...]:
        return ()

    async def list_partitions(self) -> tuple[Partition, ...]:
        return ()

    async def configuration(self) -> dict[str, object]:
        return {}

    async def create_node(self, node: NodeDefinition) -> None:
        self.asked.append(node.name)
        if node.name in self.refused:
            raise self.refused[node.name]


@dataclass
class Recorder:
    """Keeps events."""

    notes: list[str] = field(default_factory=list)

    def emit(self, *, note: str, **_: object) -> None:
        self.notes.append(note)


def controller(slurm: Slurm, recorder: Recorder, *names: str) -> NodeController:
    cluster = Cluster(scheduler_name=SCHEDULER)
    for name in names:
        cluster.upsert_node(a_node(name))
    metrics, clock = Metrics(), SystemClock()
    return NodeController(
        cluster=cluster,
        slurm_side=SlurmSide(),
        client=cast("Any", slurm),
        kube=cast("Any", None),
        recorder=cast("Any", recorder),
        rules=definition.Rules(cluster="0123456789abcdef"),
        scheduler_name=SCHEDULER,
        interval_s=5.0,
        outage=OutageLog("slurm", logger=structlog.get_logger(), clock=clock, metrics=metrics),
        metrics=metrics,
        changed=lambda: None,
        classes_in_use=frozenset,
        clock=clock,
    )


NEVER = InvalidRequest("registering a node: no such topology")


async def test_a_node_that_slurm_refuses_calls_for_no_further_pass() -> None:
    """Else all nodes would be listed again at once, for ever; its admin is told once."""
    slurm, recorder = Slurm({"bad": NEVER}), Recorder()
    nodes = controller(slurm, recorder, "bad")
    assert [await nodes.reconcile() for _ in range(2)] == [False, False]
    assert slurm.asked == ["bad", "bad"]
    assert recorder.notes == ["Slurm refused node bad: registering a node: no such topology"]


async def test_a_node_that_was_registered_is_looked_at_again() -> None:
    """Beside one that was refused, too."""
    slurm = Slurm({"bad": NEVER})
    assert await controller(slurm, Recorder(), "bad", "good").reconcile()
    assert set(slurm.asked) == {"bad", "good"}


async def test_a_node_that_could_not_be_registered_for_now_is_tried_again() -> None:
    """Soon: nothing is wrong with it."""
    slurm = Slurm({"late": Unavailable("registering a node: no answer")})
    assert await controller(slurm, Recorder(), "late").reconcile()
