"""docs/pods.md's table of where each condition of a pod is kept: it says what is done."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bridge.jobs import dependencies, jobspec, tasks
from bridge.jobs.builder import JobBuilder
from bridge.jobs.full_nodes import FullNodes
from bridge.jobs.node_constraints import NodeConstraints
from bridge.model.devices import ResourceMap
from bridge.model.gang import Shortfall
from bridge.model.ids import NodeName, PodUid, SlurmJobId, SlurmNodeName
from bridge.model.job import Allocation, Gres, JobSpec, NodeGrant
from bridge.model.node import Node
from bridge.model.pod_identity import PodIdentity
from bridge.model.resources import Resources
from bridge.model.scheduling import HostPort, NodeSelectorTerm, PodShape, Requirement, Taint
from bridge.names import HOSTNAME_LABEL
from bridge.placement.filters.classes import class_of
from bridge.placement.fit.assign import assign
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState
from tests.builders import SCHEDULER, TOLERATION, a_gang, a_node, app, beside, spread_by

DOCS = Path(__file__).parents[3] / "docs" / "pods.md"
TPU = "example.com/tpu"
MAP = ResourceMap({"nvidia.com/gpu": "gpu"})
PLAIN = PodShape(requests=Resources(cpu_milli=1000), tolerations=(TOLERATION,))
ON_GOOD = NodeSelectorTerm((Requirement("is", "In", ("good",)),))
PORT = (HostPort(80),)


def table() -> dict[str, tuple[str, str]]:
    """condition → (asked of Slurm, checked before the pin), as the docs have it."""
    section = DOCS.read_text().split("## Where each condition is kept")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    return {what: (asked, checked) for what, asked, checked in rows if what != "condition"}


@dataclass
class Case:
    """A pod that suits node `good`, and not node `bad`."""

    pod: PodShape
    bad: Callable[[Node], Node] = lambda node: node
    """What is wrong with the node."""
    held: PodShape | None = None
    """What another pod on it holds or says."""
    who: PodIdentity = field(default_factory=app)

    def cluster(self) -> KubeState:
        """The two nodes and the other pod."""
        found = KubeState(scheduler_name=SCHEDULER)
        for name in ("good", "bad"):
            node = a_node(name, labels={HOSTNAME_LABEL: name, "is": name})
            more = (*node.allocatable.extended, (TPU, 4))
            node = replace(node, allocatable=replace(node.allocatable, extended=more))
            found.upsert_node(self.bad(node) if name == "bad" else node)
        if self.held is not None:
            found.table.occupy(PodUid("p"), NodeName("bad"), self.held, identity=app())
        return found


_TPUS = replace(PLAIN, requests=Resources(cpu_milli=1000, extended=((TPU, 4),)))
_GPUS = replace(PLAIN, requests=Resources(cpu_milli=1000, extended=(("nvidia.com/gpu", 8),)))
CASES = {
    "CPUs, memory, devices that Slurm has as GRES": Case(_GPUS, held=_GPUS),
    "node selector, required node affinity": Case(replace(PLAIN, node_selector=(("is", "good"),))),
    "taints": Case(PLAIN, lambda node: replace(node, taints=(Taint("x", "y", "NoSchedule"),))),
    "where its volumes can be reached": Case(replace(PLAIN, volume_terms=((ON_GOOD,),))),
    "huge pages, ephemeral storage, devices that Slurm does not have, the number of pods": Case(
        _TPUS, held=_TPUS
    ),
    "host ports": Case(replace(PLAIN, host_ports=PORT), held=replace(PLAIN, host_ports=PORT)),
    "required pod affinity": Case(
        replace(PLAIN, pod_affinity=(beside("zone"),)),
        lambda node: replace(node, labels={**node.labels, "zone": "b"}),
    ),
    "required pod anti-affinity, its own and that of pods which run": Case(
        PLAIN, held=replace(PLAIN, pod_anti_affinity=(beside(HOSTNAME_LABEL),))
    ),
    "topology spread with DoNotSchedule": Case(
        replace(PLAIN, spread=(spread_by(HOSTNAME_LABEL),)), held=PLAIN
    ),
    "nodes that are cordoned, not ready, or being deleted": Case(
        PLAIN, lambda node: replace(node, unschedulable=True)
    ),
}
KEPT_BY_NOBODY = {"preferred terms, ScheduleAnyway"}
"""They do not get as far as a shape (tests/unit/kube/objects/test_pods)."""


def _job(case: Case, cluster: KubeState) -> JobSpec:
    snapshot = cluster.table.snapshot()
    features = {class_of(snapshot, NodeName(name)) for name in ("good", "bad")}
    slurm = SlurmState()
    slurm.features = frozenset(name for name in features if name)
    made = NodeConstraints(cluster=cluster, slurm_state=slurm, resource_map=MAP)
    return JobBuilder(
        cluster_uid="c",
        node_constraints=made,
        full_nodes=FullNodes(cluster=cluster, slurm_state=slurm, resource_map=MAP),
        slurm_state=slurm,
        rules=jobspec.Rules("p", 1024, resource_map=MAP),
        limits=tasks.Limits(),
        resolve=dependencies.nobody,
    ).build(a_gang("g", size=1, shape=case.pod, identity=case.who), 1, ())


def _leaves_out_bad(spec: JobSpec, cluster: KubeState) -> bool:
    name = class_of(cluster.table.snapshot(), NodeName("bad"))
    of_class = name is not None and name in spec.constraints
    is_named = SlurmNodeName("bad") in spec.excluded_nodes
    return is_named or not (of_class or "bad" in spec.required_nodes)


@pytest.mark.parametrize("what", CASES)
def test_the_table_says_what_is_asked_of_slurm_and_what_is_checked(what: str) -> None:
    """A job that could be on the wrong node is one that says nothing of the condition."""
    asked, checked = table()[what]
    case = CASES[what]
    cluster = case.cluster()
    if what == "required pod affinity":
        good = cluster.nodes[NodeName("good")]
        cluster.upsert_node(
            replace(good, labels={**good.labels, "zone": "a"}, resource_version="2")
        )
        cluster.table.occupy(PodUid("p"), NodeName("good"), PLAIN, identity=app())
    spec = _job(case, cluster)
    assert _leaves_out_bad(spec, cluster) == (asked == "as nodes")
    if asked == "as amounts":
        assert spec.gres_per_task == "gres/gpu:8"
    bad = NodeGrant(SlurmNodeName("bad"), 64, 1 << 20, (Gres("gpu", "", 8),))
    found = assign(
        cluster.table.snapshot(),
        Allocation(SlurmJobId(1), (bad,)),
        a_gang("g", size=1, shape=case.pod, identity=case.who),
        by_slurm_name=cluster.by_slurm_name,
        resource_map=MAP,
    )
    assert isinstance(found, Shortfall) == (checked == "yes")


def test_the_table_has_a_row_for_each_condition() -> None:
    """And for nothing else."""
    assert table().keys() == CASES.keys() | KEPT_BY_NOBODY
    assert {table()[what] for what in KEPT_BY_NOBODY} == {("no", "no")}
