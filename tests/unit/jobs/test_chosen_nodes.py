"""Jobs of gangs whose pods have terms about each other, from the gang to what Slurm is asked."""

from dataclasses import replace

from bridge.jobs import dependencies, jobspec, tasks
from bridge.jobs.builder import JobBuilder
from bridge.jobs.full_nodes import FullNodes
from bridge.jobs.node_constraints import NodeConstraints
from bridge.model.devices import ResourceMap
from bridge.model.gang import Gang
from bridge.model.job import JobSpec
from bridge.model.resources import Resources
from bridge.model.scheduling import NodeSelectorTerm, PodShape, Requirement
from bridge.state.slurm_state import SlurmState
from tests.builders import a_gang, app, spread_by
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
