"""Who starts first, who makes room, who may overtake."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.sim.slurm import reserved, scheduler
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.job import Job
from tests.unit.sim.slurm.builders import NOW, a_cluster, submit


def _filled() -> tuple[Cluster, Job]:
    cluster = a_cluster(leaves=(1,))
    return cluster, submit(cluster, cpus_per_task=4)


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.sampled_from(["slurm-bridge", "high"]), st.sampled_from([5, 7, 9])),
        min_size=2,
        max_size=8,
    )
)
def test_order_is_tier_then_priority_then_age(wishes: list[tuple[str, int]]) -> None:
    """Jobs of one node each start one after the other in exactly that order."""
    cluster = a_cluster(leaves=(1,))
    holder = submit(cluster, cpus_per_task=4, partition="high", priority=99)
    jobs = [
        submit(cluster, cpus_per_task=4, partition=partition, priority=priority)
        for partition, priority in wishes
    ]
    expected = sorted(
        jobs, key=lambda job: (job.request.partition != "high", -job.priority, job.id)
    )
    started = []
    running, now = holder, NOW
    for _ in jobs:
        now += 1
        cluster.cancel(running.id, now)
        cluster.advance(now)
        (running,) = cluster.running
        started.append(running)
    assert started == expected


def test_the_first_waits_for_resources_the_others_for_priority() -> None:
    """Only the head of a partition's queue is told that resources are missing."""
    cluster, _ = _filled()
    first, second = submit(cluster, cpus_per_task=4), submit(cluster, cpus_per_task=4)
    assert (first.reason, second.reason) == ("Resources", "Priority")


def test_a_higher_tier_takes_the_oldest_jobs_node() -> None:
    """Of two victims that would do, the older goes; the preemptor starts when it is gone."""
    cluster = a_cluster(leaves=(2,))
    older, younger = submit(cluster, cpus_per_task=4), submit(cluster, cpus_per_task=4)
    high = submit(cluster, NOW + 1, cpus_per_task=4, partition="high")
    assert (older.state, younger.state) == ("PREEMPTED", "RUNNING")
    assert (high.nodes, older.preempt_s, older.end_s) == (("n0",), NOW + 1, NOW + 1)


def test_one_wide_victim_rather_than_two_narrow_ones() -> None:
    """The job that holds most of the nodes in question goes, not all that are older."""
    cluster = a_cluster(leaves=(4,))
    submit(cluster, cpus_per_task=4, partition="high")
    wide = submit(cluster, cpus_per_task=4, tasks=2)
    narrow = submit(cluster, cpus_per_task=4)
    high = submit(cluster, NOW + 1, cpus_per_task=4, tasks=2, partition="high")
    assert (wide.state, narrow.state, high.nodes) == ("PREEMPTED", "RUNNING", ("n1", "n2"))


def test_who_was_taken_away_in_vain_is_spared() -> None:
    """A job on one node that does not help stays, when a wider one alone is enough."""
    cluster = a_cluster(leaves=(3,))
    narrow = submit(cluster, cpus_per_task=4)
    wide = submit(cluster, cpus_per_task=2, tasks=4)
    high = submit(cluster, NOW + 1, cpus_per_task=2, tasks=3, partition="high")
    assert (narrow.state, wide.state) == ("RUNNING", "PREEMPTED")
    assert high.nodes == ("n1", "n2")


def test_backfill_preempts_for_a_job_behind_a_stuck_one() -> None:
    """The head of the higher tier waits for more than there is to take; the next one takes it."""
    cluster = a_cluster(leaves=(2,))
    submit(cluster, cpus_per_task=4, partition="high")
    low = submit(cluster, cpus_per_task=4)
    stuck = submit(cluster, cpus_per_task=4, tasks=2, partition="high")
    behind = submit(cluster, cpus_per_task=2, partition="high")
    cluster.advance(NOW + 3)
    assert (stuck.state, low.state, behind.nodes) == ("PENDING", "PREEMPTED", ("n1",))


def test_nobody_is_preempted_in_vain() -> None:
    """A higher job that no set of victims could make room for ends nobody."""
    cluster = a_cluster(leaves=(2,))
    low = submit(cluster, cpus_per_task=4)
    equal = submit(cluster, cpus_per_task=4, partition="high")
    high = submit(cluster, NOW + 1, cpus_per_task=4, tasks=2, partition="high")
    assert low.running
    assert equal.running
    assert high.pending


def test_a_waiting_higher_tier_keeps_the_nodes_from_the_lower() -> None:
    """The main scheduler leaves nodes of a stopped partition to nobody below, and says so."""
    cluster = a_cluster(leaves=(1,))
    submit(cluster, cpus_per_task=4, partition="high")
    high = submit(cluster, cpus_per_task=4, partition="high")
    low = submit(cluster, cpus_per_task=4)
    assert (high.reason, high.description) == ("Resources", "")
    assert (low.reason, low.description) == ("Resources", scheduler.ALL_UNAVAILABLE)


def test_no_usable_node_is_told_apart_from_no_suitable_one() -> None:
    """All nodes away: Resources with Slurm's sentence; only those it needs: ReqNodeNotAvail."""
    cluster = a_cluster(leaves=(2,))
    for name in ("n0", "n1"):
        cluster.node(name).drain = True
    cluster.node_changed(NOW)
    job = submit(cluster)
    assert (job.reason, job.description) == ("Resources", scheduler.ALL_UNAVAILABLE)
    cluster.node("n1").drain = False
    cluster.node_changed(NOW + 1)
    bound = submit(cluster, NOW + 1, required_nodes=["n0"])
    assert (bound.reason, bound.description) == ("ReqNodeNotAvail", reserved.NODE_NOT_AVAILABLE)
    assert job.nodes == ("n1",)


def test_a_job_larger_than_its_partition_stops_nobody() -> None:
    """PartitionConfig is not a reason to wait for: jobs behind it start."""
    cluster = a_cluster(leaves=(2,))
    large = submit(cluster, tasks=9, priority=10)
    small = submit(cluster, priority=5)
    assert (large.reason, small.state) == ("PartitionConfig", "RUNNING")


def test_backfill_fills_the_time_before_a_planned_start() -> None:
    """With limits: what ends in time may go first, what doesn't waits; each gets its estimate."""
    cluster = a_cluster(leaves=(2,))
    holder = submit(cluster, cpus_per_task=4, time_limit=10)
    big = submit(cluster, cpus_per_task=4, tasks=2, time_limit=10)
    late = submit(cluster, time_limit=30)
    short = submit(cluster, time_limit=5)
    cluster.advance(NOW + 2)
    assert short.nodes == ("n1",)
    assert (big.start_s, big.planned) == (holder.end_s, ("n0", "n1"))
    assert late.pending
    assert late.start_s >= big.start_s + 600


def test_estimates_use_nodes_that_nobody_ahead_keeps() -> None:
    """Three nodes come free at once, two are kept: the third job is told that same moment."""
    cluster = a_cluster(leaves=(3,))
    holder = submit(cluster, cpus_per_task=4, tasks=3, time_limit=40)
    waiting = [submit(cluster, cpus_per_task=4, time_limit=minutes) for minutes in (40, 60, 20)]
    cluster.advance(NOW + 2)
    assert [job.start_s for job in waiting] == [holder.end_s] * 3
    assert [job.planned for job in waiting] == [("n0",), ("n1",), ("n2",)]


def test_without_limits_small_jobs_overtake_a_big_one() -> None:
    """A start beyond the backfill window reserves nothing."""
    cluster = a_cluster(leaves=(2,))
    submit(cluster, cpus_per_task=4)
    big = submit(cluster, cpus_per_task=4, tasks=2)
    small = submit(cluster)
    cluster.advance(NOW + 2)
    assert small.running
    assert (big.state, big.planned) == ("PENDING", ())
    assert big.start_s > NOW + 364 * 86400


def test_jobs_due_to_start_are_found_however_late_one_looks() -> None:
    """A chain of limited jobs runs through in one `advance`, each at its own time."""
    cluster = a_cluster(leaves=(1,))
    chain = [submit(cluster, cpus_per_task=4, time_limit=1) for _ in range(5)]
    cluster.advance(NOW + 270)
    assert [job.start_s - NOW for job in chain] == [0, 60, 120, 180, 240]
