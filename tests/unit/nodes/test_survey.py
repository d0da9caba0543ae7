"""What an admin reads of both sides' nodes."""

from dataclasses import replace

import pytest

from bridge import names
from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.job import Gres
from bridge.model.node import Cause, Node
from bridge.model.scheduling import Taint
from bridge.nodes import definition
from bridge.nodes.survey import Row, survey
from bridge.placement.filters.classes import class_of
from bridge.slurm import SlurmNode
from bridge.state.kube_state import KubeState
from tests.builders import SCHEDULER, a_node, a_pod

RULES = definition.Rules(
    cluster="0123456789abcdef", topology="fabric:root", resource_map={"nvidia.com/gpu": "gpu"}
)
LEAF = {f"{names.AWS_NETWORK_LAYER_PREFIX}1": "leaf-a"}
NODE = replace(a_node("n1", labels=LEAF), taints=(Taint.managed(SCHEDULER),))


def surveyed(
    node: Node | None = NODE,
    *,
    foreign_gpus: int = 0,
    registered: bool = True,
    also: tuple[str, ...] = (),
    **changes: object,
) -> list[Row]:
    """The rows, where Slurm has the node as it was registered, but for the changes."""
    cluster = KubeState(scheduler_name=SCHEDULER)
    cluster.upsert_node(NODE)
    node_class = class_of(cluster.table.snapshot(), NodeName("n1"))
    assert node_class is not None
    known = SlurmNode(
        SlurmNodeName("n1"), frozenset({"IDLE", "EXTERNAL"}), cpus=64, memory_mib=512 << 10,
        gres=(Gres("gpu", "", 8),), topology="fabric:root:leaf-a",
        features=(node_class, definition.cluster_feature(RULES.cluster), "slurm-bridge", *also),
    )  # fmt: skip
    if node is None:
        cluster.remove_node(NodeName("n1"))
    else:
        cluster.upsert_node(replace(node, resource_version="2"))
    if foreign_gpus:
        cluster.upsert_other(a_pod("theirs").asking(gpu=foreign_gpus).bound("n1").build())
    known = replace(known, **changes)  # type: ignore[arg-type]
    return rows_of(cluster, *([known] if registered else []), gres_names=frozenset({"gpu"}))


def rows_of(
    cluster: KubeState, *known: SlurmNode, gres_names: frozenset[str] | None = None
) -> list[Row]:
    """The rows, where Slurm has these nodes."""
    return survey(
        cluster=cluster,
        slurm_nodes={node.name: node for node in known},
        rules=RULES,
        scheduler_name=SCHEDULER,
        gres_names=gres_names,
    )


def test_sides_that_agree_are_told_once() -> None:
    """Each amount is one number, and nothing is to do."""
    (row,) = surveyed()
    assert row == Row(
        "n1", "Ready", "IDLE", "64", str(512 << 10), "gpu:8", "fabric:root:leaf-a", ""
    )


@pytest.mark.parametrize(
    ("node", "changes", "column", "shows", "to_do"),
    [
        (NODE, {"registered": False}, "slurm", "not registered", "is registered"),
        (NODE, {"cpus": 96}, "cpus", "64, Slurm 96",
         "leaves Slurm: it has less to give than Slurm knows: registered again"),
        (NODE, {"cpus": 96, "allocated_cpus": 1}, "slurm", "IDLE",
         "is drained: it has less to give than Slurm knows: registered again once it is idle"),
        (NODE, {"gres": ()}, "devices", "gpu:8, Slurm none",
         "leaves Slurm: it has more devices than Slurm knows: registered again"),
        (NODE, {"foreign_gpus": 2}, "devices", "gpu:6, Slurm gpu:8",
         "leaves Slurm: it has less to give than Slurm knows: registered again"),
        (NODE, {"topology": ""}, "topology", "fabric:root:leaf-a, Slurm none",
         "moves to fabric:root:leaf-a"),
        (replace(NODE, unschedulable=True), {}, "kubernetes", "Ready, cordoned",
         "is drained: cordoned in Kubernetes"),
        (NODE, {"states": frozenset({"IDLE", "EXTERNAL", "DRAIN"}), "reason": "broken fan"},
         "slurm", "IDLE+DRAIN (broken fan)",
         "an admin has taken it out of use in Slurm; the bridge leaves it so; gets the taint of "
         "nodes drained in Slurm; gets the condition Drained=True"),
        (replace(NODE, taints=()), {}, "kubernetes", "Ready", "gets the taint of managed nodes"),
        (None, {}, "kubernetes", "", "leaves Slurm: its Kubernetes node is deleted or lost its "
         "label"),
    ],
)  # fmt: skip
def test_what_differs_is_shown_beside_what_is_done_about_it(
    node: Node | None, changes: dict[str, object], column: str, shows: str, to_do: str
) -> None:
    """In the words of the drain's reason and of the log."""
    (row,) = surveyed(node, **changes)  # type: ignore[arg-type]
    assert (getattr(row, column), row.to_do) == (shows, to_do)


def test_a_class_that_jobs_may_still_name_is_no_difference() -> None:
    """The bridge takes it off when no job does."""
    (row,) = surveyed(also=("class-old",))
    assert row.to_do == ""


def test_a_node_that_slurm_alone_has_is_shown_without_advice() -> None:
    """It is not the bridge's."""
    (row,) = surveyed(None, features=())
    assert (row.kubernetes, row.slurm, row.to_do) == ("", "IDLE", "")


def test_a_hybrid_node_is_told_as_one_and_a_second_of_the_name_is_told_why() -> None:
    """What Slurm knows is the first one's."""
    cluster = KubeState(scheduler_name=SCHEDULER)
    labels, taint = {names.SLURM_NODE_NAME_LABEL: "shared"}, Taint.managed(SCHEDULER)
    for number, name in enumerate("ab"):
        taints = () if number else (taint,)
        node = replace(a_node(name), labels=labels, created_s=float(number), taints=taints)
        cluster.upsert_node(node)
    known = SlurmNode(SlurmNodeName("shared"), frozenset({"IDLE"}), features=("a100",))
    first, second = rows_of(cluster, known)
    told = [(row.node, row.kubernetes, row.slurm) for row in (first, second)]
    assert told == [
        ("a", "Ready, hybrid", "IDLE"),
        ("b", "Ready, without the label", "not registered"),
    ]
    assert first.to_do == "gets other features"
    assert "Slurm's node shared is node a already" in second.to_do


def test_what_closes_a_node_and_until_when_it_is_there_is_shown() -> None:
    """Beside its state in Kubernetes; the bridge's own cordon is told from a person's."""
    sick = replace(NODE, causes=(Cause("KernelDeadlock=True (DockerHung)"),), end_s=1796040000)
    (row,) = surveyed(sick)
    assert row.kubernetes == ("Ready, KernelDeadlock=True (DockerHung), until 2026-11-30T12:00:00Z")
    assert row.to_do == "is drained: unhealthy in Kubernetes: KernelDeadlock=True (DockerHung)"
    note = {names.CORDONED_ANNOTATION: names.CORDON_IS_OURS}
    ours = replace(
        NODE, unschedulable=True, annotations={**NODE.annotations, **note},
        taints=(*NODE.taints, Taint.drained()),
    )  # fmt: skip
    (row,) = surveyed(ours)
    assert row.kubernetes == "Ready, cordoned by the bridge, drained in Slurm"
    assert row.to_do == "loses the taint of nodes drained in Slurm; is uncordoned"


def test_what_is_written_to_a_node_is_told_of_it_though_slurm_has_another_of_its_name() -> None:
    """Node b is node c in Slurm, and node a is node b there."""
    cluster = KubeState(scheduler_name=SCHEDULER)
    for name, slurm_name in (("a", "b"), ("b", "c")):
        labels = {names.SLURM_NODE_NAME_LABEL: slurm_name}
        node = replace(a_node(name), labels=labels, taints=(Taint.managed(SCHEDULER),))
        cluster.upsert_node(node)
    states = frozenset({"IDLE", "EXTERNAL", "DRAIN"})
    known = SlurmNode(
        SlurmNodeName("c"), states, reason="broken fan", cpus=64, memory_mib=512 << 10,
        features=(definition.cluster_feature(RULES.cluster),),
    )  # fmt: skip
    first, second = rows_of(cluster, known)
    assert (first.node, second.node) == ("a", "b")
    assert "drained in Slurm" not in first.to_do
    assert "gets the taint of nodes drained in Slurm" in second.to_do
