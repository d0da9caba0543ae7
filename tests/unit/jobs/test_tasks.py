"""Pods of several shapes as tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.jobs import tasks
from bridge.jobs.tasks import Limits, Plan, Tasks
from bridge.model.gang import Gang, Role
from bridge.model.resources import Resources
from bridge.model.scheduling import NodeSelectorTerm, PodShape, Requirement
from tests.builders import a_gang, beside

GI = 1 << 30


def shape(cpu: int, memory_gi: int, gpu: int = 0, **fields: object) -> PodShape:
    extended = (("nvidia.com/gpu", gpu),) if gpu else ()
    requests = Resources(cpu * 1000, memory_gi * GI, 0, extended)
    return replace(PodShape(requests), **fields)  # type: ignore[arg-type]


LAUNCHER, WORKER = shape(1, 2), shape(64, 512, 8)


def gang_of(*roles: tuple[int, PodShape]) -> Gang:
    made = tuple(Role(f"role-{at}", count, one) for at, (count, one) in enumerate(roles))
    return replace(
        a_gang("g", size=sum(role.count for role in made), shape=made[0].shape), roles=made
    )


@dataclass(frozen=True)
class Nodes:
    """Nodes of one size. `pools`: which have which label "pool", and how many there are of each."""

    most_cpus: int = 10_000
    pools: Mapping[str, int] = field(default_factory=lambda: {"cpu": 99, "gpu": 99})

    def can_run(self, shape: PodShape) -> bool:
        return shape.requests.cpu_milli <= self.most_cpus * 1000

    def takes_all_of(self, shape: PodShape, other: PodShape) -> bool:
        if shape.volume_terms != other.volume_terms:
            return False
        return self._pools(shape) <= self._pools(other)

    def can_hold(self, components: Sequence[Tasks], *, alone: bool) -> bool:
        """One task on a node, as if all were large."""
        pools = {pool for one in components for pool in self._pools(one.shape)}
        return sum(one.count for one in components) <= sum(self.pools[pool] for pool in pools)

    def _pools(self, shape: PodShape) -> set[str]:
        return set(dict(shape.node_selector).values() or self.pools)


def plan(gang: Gang, *, alone: bool = False, nodes: Nodes = Nodes()) -> Plan:
    return tasks.plan(
        gang, limits=Limits(), counted=frozenset({"nvidia.com/gpu"}), alone=alone, nodes=nodes
    )


def test_a_gang_of_one_shape_is_so_many_tasks() -> None:
    """Also where two roles ask for the same."""
    assert plan(a_gang("g", size=3, shape=WORKER)).components == (Tasks(3, WORKER),)
    same = plan(gang_of((1, WORKER), (2, WORKER)))
    assert (same.how, sum(one.count for one in same.components)) == ("alike", 3)
    assert not str(same)


def test_a_small_launcher_rides_along() -> None:
    """Each worker's task has room for it; one CPU in sixty-five is held in vain."""
    found = plan(gang_of((1, LAUNCHER), (8, WORKER)))
    assert found.components == (Tasks(8, shape(65, 514, 8)),)
    assert found.how == "riding"
    assert str(found) == "small pods ride along in the others' tasks, 1% of cpu unused"


def test_it_does_not_ride_where_no_node_has_room_for_both() -> None:
    """Nodes are as large as a worker: the launcher is a component of its own."""
    found = plan(gang_of((1, LAUNCHER), (8, WORKER)), nodes=Nodes(most_cpus=64))
    assert found.how == "het"
    assert set(found.components) == {Tasks(1, LAUNCHER), Tasks(8, WORKER)}


def test_slots_whose_volumes_are_in_different_places_are_components() -> None:
    """Slots of one place are tasks of one, whatever their ranks."""
    in_a, in_b = ((NodeSelectorTerm((Requirement("zone", "In", (name,)),)),) for name in ("a", "b"))
    gang = replace(
        a_gang("g", size=3, shape=WORKER), volume_terms=((0, (in_a,)), (1, (in_b,)), (2, (in_a,)))
    )
    found = plan(gang)
    assert found.how == "het"
    assert set(found.components) == {
        Tasks(2, replace(WORKER, volume_terms=(in_a,))),
        Tasks(1, replace(WORKER, volume_terms=(in_b,))),
    }


def test_pods_of_nearly_one_size_are_all_as_large_as_the_largest() -> None:
    """A task for each, and the waste is told."""
    found = plan(gang_of((2, shape(10, 9)), (2, shape(9, 10))))
    assert found.components == (Tasks(4, shape(10, 10)),)
    assert str(found) == "every task is as large as the largest pod, 5% of cpu unused"


def test_nothing_rides_where_each_pod_has_its_node() -> None:
    """`exclusive`: a launcher beside a worker would share its node."""
    assert plan(gang_of((1, LAUNCHER), (8, WORKER)), alone=True).how == "het"


def test_terms_about_other_pods_make_no_components() -> None:
    """Slurm is not told of them, and components of a job never share a node. Pods that have to keep
    away from others get a task each."""
    near = replace(WORKER, pod_affinity=(beside("zone"),))
    same = plan(gang_of((1, WORKER), (2, near)))
    assert (same.how, same.components) == ("alike", (Tasks(3, WORKER),))
    assert plan(gang_of((1, LAUNCHER), (8, near))).how == "riding"
    far = replace(LAUNCHER, pod_anti_affinity=(beside("zone"),))
    assert plan(gang_of((1, far), (8, WORKER))).how == "het"
    assert plan(gang_of((1, far), (30, WORKER))).how == "maximum"


def test_pods_for_different_nodes_are_different_components() -> None:
    """A job has one constraint for all its tasks."""
    on_cpu_nodes = shape(1, 2, node_selector=(("pool", "cpu"),))
    on_gpu_nodes = replace(WORKER, node_selector=(("pool", "gpu"),))
    found = plan(gang_of((1, on_cpu_nodes), (8, on_gpu_nodes)))
    assert found.components == (Tasks(1, on_cpu_nodes), Tasks(8, on_gpu_nodes))
    assert str(found) == "2 components of a het job"


@pytest.mark.parametrize("launcher_first", [True, False])
def test_pods_that_may_run_anywhere_ride_where_the_others_go(*, launcher_first: bool) -> None:
    """Only the workers name a pool."""
    on_gpu_nodes = (8, replace(WORKER, node_selector=(("pool", "gpu"),)))
    roles = [(1, LAUNCHER), on_gpu_nodes]
    found = plan(gang_of(*(roles if launcher_first else reversed(roles))))
    expected = Tasks(8, shape(65, 514, 8, node_selector=(("pool", "gpu"),)))
    assert (found.how, found.components) == ("riding", (expected,))


def test_large_pods_that_may_run_anywhere_keep_all_of_their_nodes() -> None:
    """A launcher that names a pool does not take the workers there."""
    in_pool = replace(LAUNCHER, node_selector=(("pool", "cpu"),))
    assert plan(gang_of((1, in_pool), (8, WORKER))).how == "het"


def test_a_pod_that_asks_for_nothing_holds_a_cpu() -> None:
    """A CPU a task is rounding, however small the tasks are."""
    nothing, worker = shape(0, 0), shape(0, 0, 8)
    found = plan(gang_of((1, nothing), (2, worker)))
    assert (found.how, found.components) == ("riding", (Tasks(2, shape(2, 0, 8)),))


def test_what_could_never_be_placed_apart_is_placed_together_at_any_price() -> None:
    """Two nodes, both of which the workers need: half of a node is better than waiting for ever."""
    half = shape(32, 256)
    gang = gang_of((1, half), (2, WORKER))
    two = Nodes(pools={"gpu": 2})
    assert plan(gang).how == "het"
    assert plan(gang, nodes=two).components == (Tasks(2, shape(96, 768, 8)),)
    assert plan(gang, nodes=replace(two, most_cpus=64)).how == "het"


def test_a_component_is_for_the_roles_whose_pods_are_its_tasks() -> None:
    """Also where some of them ride along, and where only volumes tell slots of one role apart."""
    on_cpu_nodes = shape(1, 2, node_selector=(("pool", "cpu"),))
    gang = gang_of((1, on_cpu_nodes), (1, LAUNCHER), (8, WORKER))
    by_count = {one.count: tasks.roles_of(gang, one) for one in plan(gang).components}
    assert by_count == {1: ("role-0",), 8: ("role-1", "role-2")}
    in_a = ((NodeSelectorTerm((Requirement("zone", "In", ("a",)),)),),)
    apart = replace(gang_of((1, on_cpu_nodes), (2, WORKER)), volume_terms=((1, in_a),))
    found = [tasks.roles_of(apart, one) for one in plan(apart).components]
    assert found == [("role-0",), ("role-1",), ("role-1",)]


SHAPES = st.builds(shape, st.integers(1, 64), st.integers(1, 64), st.integers(0, 8))


@given(
    roles=st.lists(st.tuples(st.integers(0, 6), SHAPES), min_size=1, max_size=4).filter(
        lambda roles: sum(count for count, _ in roles)
    ),
    alone=st.booleans(),
)
def test_the_tasks_always_hold_what_the_pods_ask(
    roles: list[tuple[int, PodShape]], *, alone: bool
) -> None:
    """In all, for each resource; and each pod fits into some task."""
    found = plan(gang_of(*roles), alone=alone)
    for name in ("cpu_milli", "memory_bytes"):
        held = sum(one.count * getattr(one.shape.requests, name) for one in found.components)
        asked = sum(count * getattr(one.requests, name) for count, one in roles)
        assert held >= asked
        if found.how in ("het", "alike"):
            assert held == asked
    gpus = sum(one.count * one.shape.requests.get("nvidia.com/gpu") for one in found.components)
    assert gpus >= sum(count * one.requests.get("nvidia.com/gpu") for count, one in roles)
    for count, one in roles:
        assert not count or any(
            task.shape.requests.at_least(one.requests) == task.shape.requests
            for task in found.components
        )
    assert found.is_rounding or found.waste <= (0.1 if found.how in ("riding", "maximum") else 0.0)
