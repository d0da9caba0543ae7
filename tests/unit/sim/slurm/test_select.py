"""Which nodes a job gets. That the rules are Slurm's is shown by the recordings `place_*`."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.sim.slurm.errors import Refused
from tests.unit.sim.slurm.builders import NOW, a_cluster, add_node, submit


def _leaves(nodes: tuple[str, ...], sizes: tuple[int, ...]) -> list[int]:
    """How many of the nodes hang on each leaf."""
    leaf_of = [leaf for leaf, size in enumerate(sizes) for _ in range(size)]
    counts = [0] * len(sizes)
    for name in nodes:
        counts[leaf_of[int(name[1:])]] += 1
    return counts


def test_the_smallest_leaf_that_fits() -> None:
    """Two nodes come from the leaf of two, not from a larger one."""
    cluster = a_cluster(leaves=(5, 2, 3))
    assert submit(cluster, tasks=2, cpus_per_task=4).nodes == ("n5", "n6")


def test_a_job_of_one_node_takes_the_first() -> None:
    """One task looks at no switches: the first node that has room."""
    cluster = a_cluster(leaves=(5, 1))
    assert submit(cluster).nodes == ("n0",)
    assert submit(cluster, tasks=3, nodes="1").nodes == ("n0",)
    assert submit(cluster, tasks=3, nodes="1").nodes == ("n1",)


@pytest.mark.parametrize(("said", "spread"), [({}, [7, 1, 0]), ({"minimum_nodes": 8}, [0, 0, 8])])
def test_whole_gpu_gangs_need_to_say_how_many_nodes(
    said: dict[str, int], spread: list[int]
) -> None:
    """Slurm compares leaves by CPUs: without the count a leaf of seven free nodes seems enough."""
    sizes = (8, 8, 8)
    cluster = a_cluster(leaves=sizes, cpus=64, gpus=8)
    submit(cluster, tres_per_task="gres/gpu:1", required_nodes=["n3"])
    submit(cluster, tres_per_task="gres/gpu:1", required_nodes=["n9"])
    gang = submit(cluster, tasks=8, cpus_per_task=8, tres_per_task="gres/gpu:8", **said)
    assert _leaves(gang.nodes, sizes) == spread


def test_half_used_gpu_nodes_come_last() -> None:
    """Among nodes of one weight those with more free GPUs are taken first."""
    cluster = a_cluster(leaves=(4,), cpus=64, gpus=8)
    submit(cluster, tres_per_task="gres/gpu:1")
    assert submit(cluster, tasks=2, tres_per_task="gres/gpu:5").nodes == ("n1", "n2")


def test_lighter_nodes_first() -> None:
    """A node of less weight is taken even on a worse leaf."""
    cluster = a_cluster(leaves=(2, 2))
    for name in ("n0", "n1", "n2"):
        cluster.node(name).weight = 9
    cluster.node_changed(NOW)
    assert submit(cluster, tasks=2).nodes == ("n3",)
    assert submit(cluster, tasks=2, cpus_per_task=4, tasks_per_node=1).nodes == ("n0", "n1")


def test_a_node_without_topology_serves_single_node_jobs_only() -> None:
    """Jobs of several nodes can't reach it."""
    cluster = a_cluster(leaves=(1,))
    add_node(cluster, "loose", topology="", cpus=4)
    assert submit(cluster, cpus_per_task=4).nodes == ("n0",)
    assert submit(cluster, cpus_per_task=4).nodes == ("loose",)
    with pytest.raises(Refused):
        submit(cluster, tasks=2, cpus_per_task=4)


def test_brackets_take_all_nodes_from_one_alternative() -> None:
    """`[a|b]` is not satisfied by one node of each."""
    cluster = a_cluster(leaves=())
    for name, feature in (("n0", "a"), ("n1", "b"), ("n2", "b")):
        add_node(cluster, name, feature=feature, cpus=4)
    assert submit(cluster, tasks=2, cpus_per_task=4, constraints="[a|b]").nodes == ("n1", "n2")


@settings(max_examples=80)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple),
    busy=st.sets(st.integers(0, 15), max_size=6),
    tasks=st.integers(1, 10),
    cpus=st.integers(1, 4),
)
def test_a_job_starts_exactly_when_its_tasks_fit_somewhere(
    sizes: tuple[int, ...], busy: set[int], tasks: int, cpus: int
) -> None:
    """With one tree above all nodes it fits if the nodes' rooms add up to its tasks."""
    cluster = a_cluster(leaves=sizes)
    total = sum(sizes)
    for number in busy:
        if number < total:
            submit(cluster, required_nodes=[f"n{number}"], cpus_per_task=2)
    room = sum((4 - node.cpus_used) // cpus for node in cluster.table)
    try:
        job = submit(cluster, tasks=tasks, cpus_per_task=cpus)
    except Refused:
        assert total * (4 // cpus) < tasks
        return
    assert job.running == (room >= tasks)
    assert sum(share.tasks for share in job.shares) == (tasks if job.running else 0)


@settings(max_examples=80)
@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=5).map(tuple),
    tasks=st.integers(2, 5),
)
def test_whole_nodes_stay_on_one_leaf_where_one_has_room(
    sizes: tuple[int, ...], tasks: int
) -> None:
    """A gang of whole nodes takes the tightest leaf that holds it, if there is one."""
    if sum(sizes) < tasks:
        return
    cluster = a_cluster(leaves=sizes)
    job = submit(cluster, tasks=tasks, cpus_per_task=4, minimum_nodes=tasks)
    spread = _leaves(job.nodes, sizes)
    fitting = [size for size in sizes if size >= tasks]
    if fitting:
        assert spread.index(tasks) == sizes.index(min(fitting))
