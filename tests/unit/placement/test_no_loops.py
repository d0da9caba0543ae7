"""Query paths do not loop over nodes in Python: the work of the interpreter is counted."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.steps import steps
from bridge import names
from bridge.model.ids import NodeName, PodUid, SlurmJobId, SlurmNodeName
from bridge.model.job import Allocation, Gres, NodeGrant
from bridge.model.pod_identity import PodIdentity
from bridge.model.resources import Resources
from bridge.model.scheduling import HostPort, NodeSelectorTerm, PodShape, Requirement
from bridge.placement.filters import check_node, feasible
from bridge.placement.filters.classes import class_of, feasible_classes
from bridge.placement.fit.assign import assign
from bridge.placement.score import score_rows
from bridge.placement.table import NodeTable, Snapshot
from tests.builders import a_gang, a_node, app, beside, spread_by
from tests.unit.placement.oracle import OURS

LAYER = "topology.k8s.aws/network-node-layer-"
SHAPE = PodShape(
    requests=Resources(cpu_milli=4000, extended=(("nvidia.com/gpu", 2),)),
    node_selector=(("zone", "z1"),),
    affinity_terms=(
        NodeSelectorTerm((Requirement("kubernetes.io/hostname", "NotIn", ("n3",)),)),
        NodeSelectorTerm(fields=(Requirement("metadata.name", "In", ("n5",)),)),
    ),
    host_ports=(HostPort(80),),
)
NARROW = PodShape(requests=SHAPE.requests, node_selector=SHAPE.node_selector)
BESIDE = PodShape(
    pod_affinity=(beside("zone"),),
    pod_anti_affinity=(beside("kubernetes.io/hostname"),),
    spread=(spread_by("zone"), spread_by("kubernetes.io/hostname")),
)
SPREAD = PodShape(requests=SHAPE.requests, spread=(spread_by("zone", "nobody"),))
GANG = a_gang("g", size=16, shape=PodShape(requests=SHAPE.requests))
GRANT = Allocation(
    SlurmJobId(1),
    tuple(NodeGrant(SlurmNodeName(f"n{n}"), 64, 1 << 20, (Gres("gpu", "", 8),)) for n in range(4)),
)
BY_NAME = {SlurmNodeName(f"n{n}"): NodeName(f"n{n}") for n in range(4)}


def cluster(size: int) -> NodeTable:
    """The same few kinds of nodes and switches, whatever the size."""
    table = NodeTable(scheduler_name=OURS)
    for number in range(size):
        labels = {
            "kubernetes.io/hostname": f"n{number}",
            "zone": f"z{number % 3}",
            "rack": f"r{number % 2}",
            f"{LAYER}1": "s",
            f"{LAYER}2": f"l{number % 4}",
        }
        table.upsert(a_node(f"n{number}", labels=labels))
        if number % 2:
            keeper = replace(SHAPE, pod_anti_affinity=(beside("rack", "away"),))
            shape = keeper if number % 4 == 1 else SHAPE
            who = PodIdentity.of("team", {"app": "train", names.COMPLETION_INDEX: str(number % 8)})
            table.occupy(PodUid(f"p{number}"), NodeName(f"n{number}"), shape, identity=who)
    return table


QUERIES: dict[str, Callable[[Snapshot], object]] = {
    "feasible ever": lambda snapshot: feasible(snapshot, SHAPE, now=False),
    "feasible now": lambda snapshot: feasible(snapshot, SHAPE, now=True),
    "summary": lambda snapshot: feasible(snapshot, SHAPE, now=True).summary(),
    "check node": lambda snapshot: check_node(snapshot, SHAPE, NodeName("n5")),
    "beside other pods": lambda snapshot: feasible(
        snapshot, BESIDE, now=True, identity=app()
    ).summary(),
    "kept away": lambda snapshot: feasible(
        snapshot, PodShape(), now=True, identity=app("away")
    ).summary(),
    "class of": lambda snapshot: class_of(snapshot, NodeName("n5")),
    "feasible classes": lambda snapshot: feasible_classes(snapshot, NARROW),
    "score": lambda snapshot: score_rows(
        snapshot, SHAPE, feasible(snapshot, SHAPE, now=True).mask.nonzero()[0],
        near=snapshot.rows([NodeName("n1")]),
    ),
    "assign": lambda snapshot: assign(
        snapshot, GRANT, GANG, by_slurm_name=BY_NAME, resource_map={"nvidia.com/gpu": "gpu"}
    ),
    "assign, shapes that differ": lambda snapshot: assign(
        snapshot, GRANT, GANG, by_slurm_name=BY_NAME, resource_map={"nvidia.com/gpu": "gpu"},
        shapes=[PodShape(), *[GANG.shape] * 15],
    ),
    "assign, spread": lambda snapshot: assign(
        snapshot, GRANT, replace(GANG, shape=SPREAD, identity=app()), by_slurm_name=BY_NAME,
        resource_map={"nvidia.com/gpu": "gpu"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_costs_the_interpreter_the_same_at_any_size(name: str) -> None:
    """Twenty times the nodes: not one more line or call, cold or warm."""
    QUERIES[name](cluster(60).snapshot())  # what numpy imports at its first use is not ours
    costs = []
    for size in (60, 1200):
        snapshot = cluster(size).snapshot()
        cold = steps(lambda: QUERIES[name](snapshot))  # noqa: B023
        warm = steps(lambda: QUERIES[name](snapshot))  # noqa: B023
        costs.append((cold, warm))
    assert costs[0] == costs[1]
    assert costs[0][0] > 10


def test_updating_a_node_and_taking_a_snapshot_costs_the_same_at_any_size() -> None:
    """One changed node or pod, then a snapshot: no loop over the others."""
    costs = []
    for size in (60, 1200):
        table = cluster(size)
        kept = [table.snapshot()]

        def change(table: NodeTable = table, kept: list[Snapshot] = kept) -> None:
            table.upsert(a_node("n7", gpu=4, labels={"zone": "z1"}))
            table.occupy(PodUid("new"), NodeName("n8"), SHAPE)
            kept[:] = [table.snapshot()]

        def undo(table: NodeTable = table, kept: list[Snapshot] = kept) -> None:
            table.upsert(a_node("n7", labels={"zone": "z1"}))
            table.vacate(PodUid("new"))
            kept[:] = [table.snapshot()]

        costs.append([steps(step) for step in (change, undo, change)])
    assert costs[0] == costs[1]


def test_the_counter_sees_a_loop() -> None:
    """A loop over nodes would be seen: the measure itself is tested."""
    few, many = (cluster(size).snapshot() for size in (60, 1200))
    loops = [steps(lambda: [str(name) for name in snapshot.names]) for snapshot in (few, many)]  # noqa: B023
    assert loops[1] > 10 * loops[0]
