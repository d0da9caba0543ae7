"""Pods of several shapes as tasks."""

from dataclasses import replace

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


def plan(gang: Gang, *, alone: bool = False, most_cpus: int = 10_000) -> Plan:
    return tasks.plan(
        gang,
        limits=Limits(),
        counted=frozenset({"nvidia.com/gpu"}),
        alone=alone,
        can_run=lambda one: one.requests.cpu_milli <= most_cpus * 1000,
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
    found = plan(gang_of((1, LAUNCHER), (8, WORKER)), most_cpus=64)
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
    found = plan(gang_of((1, on_cpu_nodes), (8, WORKER)))
    assert found.components == (Tasks(1, on_cpu_nodes), Tasks(8, WORKER))
    assert str(found) == "2 components of a het job"


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
    assert found.waste <= (0.1 if found.how in ("riding", "maximum") else 0.0)
