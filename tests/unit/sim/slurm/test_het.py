"""Het jobs, as the real slurmctld was seen to treat them."""

import pytest

from bridge.sim.slurm import errors, invariants
from bridge.sim.slurm.errors import Refused
from bridge.sim.slurm.job import Job
from tests.unit.sim.slurm.builders import NOW, a_cluster, a_request, submit, submit_het


def _states(jobs: list[Job]) -> list[str]:
    return [job.state for job in jobs]


def test_components_start_in_one_moment_on_nodes_of_their_own() -> None:
    """Also where both would fit on one; listed as `1+0`, `2+1`."""
    cluster = a_cluster()
    jobs = submit_het(cluster, {}, {"cpus_per_task": 2})
    assert [job.nodes for job in jobs] == [("n0",), ("n1",)]
    assert [job.start_s for job in jobs] == [NOW, NOW]
    assert [job.label for job in jobs] == ["1+0", "2+1"]
    invariants.validate(cluster)


def test_none_starts_without_the_others() -> None:
    """Three components on two nodes wait for Resources, each with its plan; others wait behind."""
    cluster = a_cluster()
    jobs = submit_het(cluster, *({"time_limit": 90} for _ in range(3)))
    behind = submit(cluster, NOW + 2, time_limit=1)
    assert _states(jobs) == ["PENDING"] * 3
    assert [job.reason for job in (*jobs, behind)] == [*["Resources"] * 3, "Priority"]
    assert [job.planned for job in jobs] == [("n0",), ("n1",), ("n0",)]
    assert jobs[2].start_s >= NOW + 90 * 60
    assert behind.start_s >= NOW + 90 * 60


def test_what_is_left_of_a_het_job_never_starts() -> None:
    """Once a component was cancelled the rest waits until it is cancelled too."""
    cluster = a_cluster()
    jobs = submit_het(cluster, {}, {}, {})
    cluster.cancel(jobs[2].id, NOW + 1)
    cluster.advance(NOW + 60)
    assert _states(jobs) == ["PENDING", "PENDING", "CANCELLED"]


def test_a_held_component_holds_all() -> None:
    """They start when it is released."""
    cluster = a_cluster()
    jobs = submit_het(cluster, {}, {"hold": True})
    cluster.advance(NOW + 60)
    assert _states(jobs) == ["PENDING", "PENDING"]
    cluster.hold(jobs[1], held=False)
    cluster.touched(jobs[1], NOW + 61)
    cluster.advance(NOW + 62)
    assert _states(jobs) == ["RUNNING", "RUNNING"]


def test_the_first_stands_for_all() -> None:
    """Cancelled, it takes all with it; another component goes alone."""
    cluster = a_cluster(leaves=(3,))
    jobs = submit_het(cluster, {}, {}, {})
    cluster.cancel(jobs[1].id, NOW + 1)
    assert _states(jobs) == ["RUNNING", "CANCELLED", "RUNNING"]
    cluster.cancel(jobs[0].id, NOW + 2)
    assert _states(jobs) == ["CANCELLED"] * 3
    with pytest.raises(Refused) as refused:
        cluster.cancel(jobs[0].id, NOW + 3)
    assert refused.value.number == errors.ALREADY_DONE


def test_a_time_limit_ends_its_component_only() -> None:
    """Also where it is the first."""
    cluster = a_cluster()
    jobs = submit_het(cluster, {"time_limit": 1}, {})
    cluster.advance(NOW + 90)
    assert _states(jobs) == ["TIMEOUT", "RUNNING"]


def test_a_lost_node_ends_all() -> None:
    """NODE_FAIL for every component."""
    cluster = a_cluster()
    jobs = submit_het(cluster, {}, {})
    cluster.node_down(cluster.node("n1"), NOW + 1)
    assert _states(jobs) == ["NODE_FAIL", "NODE_FAIL"]


@pytest.mark.parametrize("node", ["n0", "n1"])
def test_a_preempted_component_takes_all_with_it(node: str) -> None:
    """Whichever it is."""
    cluster = a_cluster()
    jobs = submit_het(cluster, {}, {})
    high = submit(cluster, NOW + 1, partition="high", required_nodes=[node], shared=["none"])
    cluster.advance(NOW + 2)
    assert _states(jobs) == ["PREEMPTED", "PREEMPTED"]
    assert high.nodes == (node,)


def test_components_make_room_by_preemption() -> None:
    """What stands in their way ends, then they start together."""
    cluster = a_cluster()
    low = submit(cluster, tasks=2, cpus_per_task=4)
    jobs = submit_het(cluster, {"partition": "high"}, {"partition": "high"}, now=NOW + 1)
    cluster.advance(NOW + 10)
    assert (low.state, *_states(jobs)) == ("PREEMPTED", "RUNNING", "RUNNING")


def test_a_wrong_component_leaves_no_job() -> None:
    """All are looked at before the first is made."""
    cluster = a_cluster(gpus=2)
    too_many = {"tres_per_task": "gres/gpu:3"}
    rows = [(a_request(cluster, **one), None, False) for one in ({}, too_many)]
    with pytest.raises(Refused) as refused:
        cluster.submit_het(rows, NOW)
    assert refused.value.number == errors.NODE_CONFIGURATION_UNAVAILABLE
    assert not cluster.jobs
