"""Reservations and licenses, as time goes by."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.sim.slurm import errors, invariants, reserved
from bridge.sim.slurm.errors import Refused
from bridge.sim.slurm.job import Job
from tests.unit.sim.slurm.builders import NOW, a_cluster, a_reservation, submit

DAEMON: dict[str, Any] = {"user_id": "daemon", "group_id": "daemon"}


def test_a_reservation_begins_and_ends_at_its_moments() -> None:
    """Its jobs start with it and end with it, others start the moment after."""
    cluster = a_cluster(leaves=(1,))
    name = a_reservation(cluster, "n0", after_s=120, minutes=5)
    inside = submit(cluster, reservation=name, **DAEMON)
    waiting = submit(cluster, reservation=name, cpus_per_task=4, **DAEMON)
    beside = submit(cluster)
    assert (inside.reason, beside.reason) == ("Reservation", "ReqNodeNotAvail")
    cluster.advance(NOW + 10_000)
    assert (inside.start_s, inside.end_s, inside.state) == (NOW + 120, NOW + 420, "TIMEOUT")
    assert (waiting.reason, waiting.held) == ("ReservationDeleted", True)
    assert beside.start_s == NOW + 420
    assert not list(cluster.reservations)


def test_a_held_job_of_an_ended_reservation_can_be_let_go() -> None:
    """It then is a job like any other."""
    cluster = a_cluster(leaves=(1,))
    name = a_reservation(cluster, "n0", after_s=60, minutes=1)
    job = submit(cluster, reservation=name, hold=True, **DAEMON)
    cluster.hold(job, True)
    cluster.advance(NOW + 200)
    assert (job.reason, job.request.reservation) == ("ReservationDeleted", "")
    cluster.hold(job, False)
    cluster.touched(job, NOW + 200)
    cluster.advance(NOW + 200)
    assert job.running


def test_short_jobs_run_before_a_reservation() -> None:
    """The limit decides, to the second."""
    cluster = a_cluster(leaves=(1,))
    a_reservation(cluster, "n0", after_s=600)
    just, over = submit(cluster, time_limit=10), submit(cluster, time_limit=11)
    assert just.running
    assert (over.state, over.description) == ("PENDING", reserved.NODE_NOT_AVAILABLE)


def test_the_estimate_of_a_waiting_job_is_after_the_reservation() -> None:
    """Also where the node would be free before, but not for long enough."""
    cluster = a_cluster(leaves=(1,))
    a_reservation(cluster, "n0", after_s=600, minutes=60)
    submit(cluster, cpus_per_task=4, time_limit=5)
    job = submit(cluster, cpus_per_task=4, time_limit=30)
    cluster.advance(NOW + 1)
    assert (job.start_s, job.planned) == (NOW + 4200, ("n0",))


def test_a_full_reservation_stops_only_its_own_jobs() -> None:
    """Those behind in it have the reason Priority; the partition goes on."""
    cluster = a_cluster(leaves=(2,), backfill_interval_s=1e9)
    name = a_reservation(cluster, "n0")
    first, second, third = [
        submit(cluster, reservation=name, cpus_per_task=cpus, **DAEMON) for cpus in (3, 2, 1)
    ]
    assert first.running
    assert (second.reason, third.reason) == ("Resources", "Priority")
    other = submit(cluster)
    assert other.nodes == ("n1",)


def test_a_tier_takes_no_reserved_nodes() -> None:
    """Nobody is preempted on nodes that the job may not have."""
    cluster = a_cluster(leaves=(1,))
    name = a_reservation(cluster, "n0")
    inside = submit(cluster, reservation=name, cpus_per_task=4, **DAEMON)
    high = submit(cluster, partition="high", cpus_per_task=4)
    cluster.advance(NOW + 60)
    assert (inside.state, high.reason) == ("RUNNING", "ReqNodeNotAvail")


def test_a_node_that_is_gone_reserves_nothing() -> None:
    """It may go before the reservation begins, which stays, and so do jobs of others away from the
    rest of it."""
    cluster = a_cluster(leaves=(3,))
    a_reservation(cluster, "n0", "n1", after_s=60)
    cluster.remove_node("n0", NOW)
    kept = cluster.reservations.get("r60")
    assert kept is not None
    assert list(kept.nodes) == ["n0", "n1"]
    assert submit(cluster).nodes == ("n2",)
    cluster.advance(NOW + 60)
    with pytest.raises(Refused, match="busy"):
        cluster.remove_node("n1", NOW + 60)


def test_maintenance_lies_over_a_reservation() -> None:
    """The nodes are then maintenance's, until that is over."""
    cluster = a_cluster(leaves=(2,))
    name = a_reservation(cluster, "n0", "n1", minutes=60)
    maintenance = a_reservation(cluster, "n0", after_s=1, minutes=10, flags=("MAINT",))
    cluster.advance(NOW + 1)
    inside = submit(cluster, NOW + 1, reservation=name, **DAEMON)
    worker = submit(cluster, NOW + 1, reservation=maintenance, **DAEMON)
    assert (inside.nodes, worker.nodes) == (("n1",), ("n0",))


def test_only_jobs_without_a_share_of_a_license_wait_for_it() -> None:
    """They hold back nobody, and start when enough is given back."""
    cluster = a_cluster(leaves=(1,), licenses={"matlab": 4})
    first = submit(cluster, licenses="matlab:3", time_limit=1)
    second = submit(cluster, licenses="matlab:2")
    third = submit(cluster, licenses="matlab")
    assert (first.state, second.reason, third.state) == ("RUNNING", "Licenses", "RUNNING")
    cluster.advance(NOW + 60)
    assert second.start_s == NOW + 60
    with pytest.raises(Refused) as refused:
        submit(cluster, licenses="matlab:5")
    assert refused.value.number == errors.INVALID_LICENSES


_JOBS = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.fixed_dictionaries(
            {"tasks": st.integers(1, 4), "cpus_per_task": st.integers(1, 4)},
            optional={
                "time_limit": st.integers(1, 8),
                "partition": st.just("high"),
                "reservation": st.sampled_from(["r120", "r0"]),
                "required_nodes": st.sampled_from([["n0"], ["n1"]]),
                "excluded_nodes": st.just(["n2"]),
                "user_id": st.just("daemon"),
            },
        ),
    ),
    max_size=25,
)


@settings(max_examples=60)
@given(jobs=_JOBS, delay=st.sampled_from([0.0, 0.4]))
def test_reserved_nodes_run_nobody_elses_jobs(
    jobs: list[tuple[int, dict[str, Any]]], delay: float
) -> None:
    """Whatever is submitted when: while a reservation lasts, only jobs that named it run there."""
    cluster = a_cluster(leaves=(2, 2), decision_delay_s=delay)
    windows = {
        a_reservation(cluster, "n0", minutes=3): ({"n0"}, NOW, NOW + 180),
        a_reservation(cluster, "n1", "n2", after_s=120, minutes=2): (
            {"n1", "n2"}, NOW + 120, NOW + 240,
        ),
    }  # fmt: skip
    made: list[tuple[Job, str]] = []
    for at, description in sorted(jobs, key=lambda one: one[0]):
        try:
            job = submit(cluster, NOW + at, **description)
        except Refused:
            continue
        made.append((job, description.get("reservation", "")))
        invariants.validate(cluster)
    cluster.advance(NOW + 3600)
    invariants.validate(cluster)
    for job, named in made:
        for name, (nodes, begin, end) in windows.items():
            if name == named and job.start_s < end:
                assert not job.shares or set(job.nodes) <= nodes
                assert not job.shares or (job.start_s >= begin and job.end_s <= end)
            elif job.shares and nodes & set(job.nodes):
                assert job.start_s >= end or job.end_s <= begin
