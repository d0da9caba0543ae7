"""What a job is asked for is what its pods need: a grant of exactly that can always be placed."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bridge.jobs import jobspec, tasks
from bridge.model.devices import ResourceMap
from bridge.model.gang import Assignment, Gang, Role
from bridge.model.ids import NodeName, SlurmJobId, SlurmNodeName
from bridge.model.job import Allocation, Gres, JobIdentity, JobSpec, NodeGrant
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from bridge.placement.fit.assign import assign
from bridge.placement.table import NodeTable
from bridge.slurm import gres as slurm_gres
from bridge.state.slurm_facts import PartitionFacts
from tests.builders import SCHEDULER, TOLERATION, a_gang, a_node

GPU = "nvidia.com/gpu"
MAP = ResourceMap({GPU: "gpu"})
MOST_NODES = 40


class LargeNodes:
    """More and larger nodes than anything asks for."""

    def can_run(self, shape: PodShape) -> bool:
        return True

    def takes_all_of(self, shape: PodShape, other: PodShape) -> bool:
        return True

    def can_hold(self, components: Sequence[tasks.Tasks], *, alone: bool) -> bool:
        return True


def _table() -> NodeTable:
    table = NodeTable(scheduler_name=SCHEDULER)
    for number in range(MOST_NODES):
        table.upsert(a_node(f"n{number}", cpu=10_000, memory_gi=100_000, gpu=1_000))
    return table


SNAPSHOT = _table().snapshot()

shapes = st.builds(
    lambda cpu_milli, memory_bytes, gpus: PodShape(
        Resources(cpu_milli, memory_bytes, 0, ((GPU, gpus),) if gpus else ()),
        tolerations=(TOLERATION,),
    ),
    st.sampled_from((0, 1, 999, 1000, 1001, 3500, 8000)),
    st.integers(0, 1 << 33),
    st.integers(0, 3),
)
roles = st.lists(st.tuples(st.integers(1, 5), shapes), min_size=1, max_size=3)
limits = st.sampled_from((tasks.Limits(), tasks.Limits(1.0, 0.0), tasks.Limits(0.0, 1.0)))


def gang_of(made: Sequence[tuple[int, PodShape]]) -> Gang:
    size = sum(count for count, _ in made)
    gang = a_gang("g", size=size, shape=made[0][1])
    if len(made) == 1:
        return gang
    return replace(gang, roles=tuple(Role(str(at), *one) for at, one in enumerate(made)))


def component(gang: Gang, one: tasks.Tasks, *, rounds_down: bool) -> JobSpec:
    return jobspec.build(
        replace(gang, size=one.count, shape=one.shape, roles=()),
        identity=JobIdentity("c", gang.id, 0, gang.owner),
        rules=jobspec.Rules("p", 1024, resource_map=MAP),
        partitions=PartitionFacts(),
        where=jobspec.Where(classes=("class-a",), round_memory_down=rounds_down),
    )


def grant(spec: JobSpec, node: str, count: int) -> NodeGrant:
    """So many tasks of the job on a node, as Slurm counts them."""
    memory_mib = spec.memory_mib_per_node or (spec.memory_mib_per_cpu or 0) * (
        spec.cpus_per_task * count
    )
    devices = [
        Gres(item.name, item.type, item.count * count)
        for item in slurm_gres.parse(spec.gres_per_task)
    ]
    return NodeGrant(SlurmNodeName(node), spec.cpus_per_task * count, memory_mib, tuple(devices))


@given(roles, limits, st.booleans(), st.data())
def test_a_grant_of_what_was_asked_can_be_placed(
    made: list[tuple[int, PodShape]], limit: tasks.Limits, rounds_down: bool, data: st.DataObject
) -> None:
    """However Slurm deals the tasks, and whichever way the pods became tasks."""
    gang = gang_of(made)
    plan = tasks.plan(gang, limits=limit, counted=MAP, alone=False, nodes=LargeNodes())
    grants: list[NodeGrant] = []
    for one in plan.components:
        spec = component(gang, one, rounds_down=rounds_down and plan.tasks_are_pods)
        left = spec.tasks
        while left:
            count = data.draw(st.integers(1, left))
            grants.append(grant(spec, f"n{len(grants)}", count))
            left -= count
    placed = assign(
        SNAPSHOT,
        Allocation(SlurmJobId(1), tuple(grants)),
        gang,
        by_slurm_name={one.node: NodeName(one.node) for one in grants},
        resource_map=MAP,
        shapes=gang.shapes if gang.is_mixed else None,
    )
    assert isinstance(placed, Assignment), placed
