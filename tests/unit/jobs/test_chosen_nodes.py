"""Jobs of gangs whose pods have terms about each other, from the gang to what Slurm is asked."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from bridge.jobs import dependencies, jobspec, tasks
from bridge.jobs.builder import JobBuilder
from bridge.jobs.full_nodes import FullNodes
from bridge.jobs.node_constraints import NodeConstraints
from bridge.model.devices import ResourceMap
from bridge.model.gang import Gang, JobParameters
from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.job import JobSpec
from bridge.model.resources import Resources
from bridge.model.scheduling import NodeSelectorTerm, PodShape, Requirement
from bridge.placement.filters.classes import class_of
from bridge.state.slurm_facts import Capacities, NodeFacts, NodeGroup, NodeKind, PartitionFacts
from bridge.state.slurm_state import SlurmState
from tests.builders import a_gang, app, beside, spread_by
from tests.unit.jobs.test_full_nodes import PLAIN, Zones

SPREAD = replace(PLAIN, spread=(spread_by("zone"),))


def build(gang: Gang, slurm: SlurmState | None = None) -> JobSpec:
    """The gang's job, on two nodes of 64 CPUs in each of two zones."""
    zones, slurm, map_ = Zones(), slurm or SlurmState(), ResourceMap({})
    slurm.features = frozenset(zones.where.classes)
    return JobBuilder(
        cluster_uid="c",
        node_constraints=NodeConstraints(cluster=zones.state, slurm_state=slurm, resource_map=map_),
        full_nodes=FullNodes(cluster=zones.state, slurm_state=slurm, resource_map=map_),
        slurm_state=slurm,
        rules=jobspec.Rules("p", 1024),
        limits=tasks.Limits(),
        resolve=dependencies.nobody,
    ).build(gang, 0, ())


def in_slurm(busy: Mapping[str, int] | None = None) -> SlurmState:
    """The four nodes as Slurm has them: all in partition p, those of zone b in q too, and fast."""
    snapshot = Zones().state.table.snapshot()
    groups = []
    for zone, extra, partitions in (("a", "slow", {"p"}), ("b", "fast", {"p", "q"})):
        of_zone = class_of(snapshot, NodeName(f"{zone}1"))
        assert of_zone is not None
        features = frozenset({of_zone, extra})
        groups.append(NodeGroup(features, frozenset(partitions), 64, 1 << 20, count=2))
    return SlurmState(
        nodes=NodeFacts(tuple(NodeKind(group.features) for group in groups)),
        capacities=Capacities(
            groups=tuple(groups),
            group_of={SlurmNodeName(f"{z}{n}"): at for at, z in enumerate("ab") for n in (1, 2)},
            busy_cpus={SlurmNodeName(name): cpus for name, cpus in (busy or {}).items()},
        ),
    )


def a_web_gang(size: int, shape: PodShape = SPREAD, *, cpu_milli: int = 1000) -> Gang:
    shape = replace(shape, requests=Resources(cpu_milli=cpu_milli))
    return replace(a_gang("g", size=size, shape=shape), identity=app())


def _in_zone(name: str) -> tuple[tuple[NodeSelectorTerm, ...], ...]:
    here = Requirement(key="zone", operator="In", values=(name,))
    return ((NodeSelectorTerm(expressions=(here,)),),)


def test_pods_whose_volumes_hold_them_in_zones_are_one_gang_to_their_terms() -> None:
    """Two in each zone are spread well. Either half alone would find no place."""
    of_slot = tuple(enumerate(map(_in_zone, ("a", "a", "b", "b"))))
    job = build(replace(a_web_gang(4), volume_terms=of_slot))
    assert [one.tasks for one in (job, *job.also)] == [2, 2]


TOGETHER = replace(PLAIN, pod_affinity=(beside("zone"),))


@pytest.mark.parametrize(
    ("parameters", "nodes", "each"),
    [
        (JobParameters(exclusive=True), ("a1", "a2"), 1),
        (JobParameters(min_nodes=2), ("a1", "a2"), 1),
        (JobParameters(cpu_per_task=40), ("a1", "a2"), 1),
        (JobParameters(cpu_per_task=32), ("a1",), 2),
        (JobParameters(constraints="fast"), ("b1",), 2),
        (JobParameters(partition="q"), ("b1",), 2),
    ],
)
def test_chosen_nodes_are_those_that_slurm_can_give_the_job(
    parameters: JobParameters, nodes: tuple[str, ...], each: int
) -> None:
    """The job gets no others, and Kubernetes does not know what its annotations ask for."""
    job = build(replace(a_web_gang(2, TOGETHER), parameters=parameters), in_slurm())
    assert (job.required_nodes, job.tasks_per_node) == (nodes, each)
    assert job.min_nodes == job.max_nodes == len(nodes)


def test_no_more_nodes_are_chosen_than_the_job_may_have() -> None:
    """By its annotation or by its partition; but for a gang that needs more of them."""
    for most, count in ((2, 2), (3, 2), (4, 4), (1, 4)):
        gang = replace(a_web_gang(4), parameters=JobParameters(max_nodes=most))
        assert len(build(gang).required_nodes) == count
    slurm = in_slurm()
    slurm.partitions = PartitionFacts(max_nodes={"p": 2})
    assert len(build(a_web_gang(4), slurm).required_nodes) == 2


def test_small_pods_are_whole_cores_in_slurm() -> None:
    """Kubernetes has room for 128 of them on a node, Slurm for 64."""
    job = build(a_web_gang(100, TOGETHER, cpu_milli=500), in_slurm())
    assert (job.required_nodes, job.tasks_per_node) == (("a1", "a2"), 64)


@pytest.mark.parametrize(
    ("busy", "parameters", "nodes"),
    [
        ({"a1": 64}, JobParameters(), ("a2", "b1")),
        ({"a1": 1}, JobParameters(), ("a1", "b1")),
        ({"a1": 1}, JobParameters(exclusive=True), ("a2", "b1")),
        ({"a1": 64, "a2": 64}, JobParameters(), ("a1", "b1")),
    ],
)
def test_nodes_that_jobs_hold_are_chosen_last(
    busy: dict[str, int], parameters: JobParameters, nodes: tuple[str, ...]
) -> None:
    """To Kubernetes they look free: an exclusive job's pod is small, or has not come yet."""
    gang = replace(a_web_gang(2), parameters=parameters)
    assert build(gang, in_slurm(busy)).required_nodes == nodes


@pytest.mark.parametrize(
    "parameters", [JobParameters(reservation="r"), JobParameters(constraints="[fast|slow]")]
)
def test_slurm_chooses_where_only_slurm_knows_which_nodes_go_together(
    parameters: JobParameters,
) -> None:
    """A job would wait for ever for nodes beside its reservation."""
    job = build(replace(a_web_gang(2), parameters=parameters), in_slurm())
    assert job.required_nodes == ()
