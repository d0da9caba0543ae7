"""Batch jobs: scripts, requeue, begin times."""

import math

import pytest

from bridge.sim.slurm import errors, invariants, script
from bridge.sim.slurm.errors import Refused
from bridge.sim.slurm.job import Charge
from bridge.sim.slurm.script import Exit, Script
from tests.unit.sim.slurm.builders import NOW, a_cluster, add_slurmd, submit, submit_script


@pytest.mark.parametrize(
    ("lines", "read"),
    [
        ("true", Script()),
        ("sleep 5\nsleep 0.5", Script(5.5)),
        ("exec sleep 600", Script(600.0)),
        ("sleep 3\nexit 4\nsleep 9", Script(3.0, Exit(4))),
        ("while :; do sleep 0.1; done", Script(math.inf)),
        ("sleep infinity", Script(math.inf)),
        (
            "trap 'exit 7' USR1 SIGUSR2\ntrap '' TERM\nsleep 9",
            Script(9.0, traps=(("USR1", 7), ("USR2", 7), ("TERM", None))),
        ),
    ],
)
def test_what_is_understood_of_a_script(lines: str, read: Script) -> None:
    """How long it runs, how it exits, what it does on signals."""
    assert script.parse(f"#!/bin/sh\n{lines}\n") == read


@pytest.mark.parametrize(
    ("signal", "state", "reason", "end"),
    [
        ("USR1", "FAILED", "NonZeroExitCode", Exit(7)),
        ("USR2", "FAILED", "RaisedSignal", Exit(signal=12)),
        ("TERM", "RUNNING", "None", Exit()),
        ("CONT", "RUNNING", "None", Exit()),
    ],
)
def test_a_signal_does_what_the_script_says(
    signal: str, state: str, reason: str, end: Exit
) -> None:
    """A trap, or the signal's own effect; the node is not lost by it."""
    cluster = a_cluster(leaves=())
    add_slurmd(cluster, "n0")
    job = submit_script(cluster, "trap 'exit 7' USR1", "trap '' TERM", "sleep 600")
    cluster.signal(job.id, signal, NOW + 5)
    cluster.advance(NOW + 20)
    assert (job.state, job.reason, job.exit) == (state, reason, end)
    assert cluster.node("n0").usable


def test_a_waiting_job_takes_no_signal() -> None:
    """2020, until it runs."""
    cluster = a_cluster(leaves=())
    add_slurmd(cluster, "n0")
    job = submit_script(cluster, "sleep 60", begin_time=int(NOW) + 60)
    with pytest.raises(Refused) as refused:
        cluster.signal(job.id, "USR1", NOW + 1)
    assert refused.value.number == errors.JOB_NOT_ALTERABLE


def test_scripts_run_where_a_slurmd_is() -> None:
    """An external job may be there too; when all slurmds are busy a batch job waits."""
    cluster = a_cluster(leaves=(1,))
    add_slurmd(cluster, "native", cpus=1)
    first, second = (submit_script(cluster, "sleep 60") for _ in range(2))
    assert (first.nodes, second.state) == (("native",), "PENDING")
    assert submit(cluster, required_nodes=["native"], nodes="1").pending
    cluster.advance(NOW + 60)
    assert (first.state, first.end_s, second.nodes) == ("COMPLETED", NOW + 60, ("native",))


def test_a_cancelled_script_was_told_to_end() -> None:
    """SIGTERM is what it died of; one that never ran died of nothing."""
    cluster = a_cluster(leaves=())
    add_slurmd(cluster, "n0", cpus=1)
    ran, waited = (submit_script(cluster, "sleep 60") for _ in range(2))
    for job in (waited, ran):
        cluster.cancel(job.id, NOW + 1)
    assert [(job.state, job.exit) for job in (ran, waited)] == [
        ("CANCELLED", Exit(signal=15)),
        ("CANCELLED", Exit()),
    ]


def test_a_requeued_job_starts_anew() -> None:
    """Its old end is nothing to it; it waits for BeginTime, then runs as long as the first time."""
    cluster = a_cluster(leaves=(), requeue_delay_s=121)
    add_slurmd(cluster, "n0")
    job = submit_script(cluster, "sleep 200", time_limit=4)
    job.charge = Charge("physics", "normal", 3)
    cluster.requeue(job.id, NOW + 100)
    cluster.advance(NOW + 101)
    before, job = job, cluster.job(job.id)
    assert (before.state, before.end_s, before.nodes) == ("REQUEUED", NOW + 100, ("n0",))
    assert (job.state, job.reason, job.shares) == ("PENDING", "BeginTime", ())
    assert job.charge == before.charge
    assert (job.restarts, job.start_s) == (1, NOW + 221)
    assert not cluster.node("n0").jobs
    cluster.advance(NOW + 420)
    assert (job.state, job.start_s) == ("RUNNING", NOW + 221)
    cluster.advance(NOW + 421)
    assert (job.state, job.exit) == ("COMPLETED", Exit())


def test_an_ended_job_that_is_requeued_is_not_forgotten() -> None:
    """MinJobAge counts from its last end."""
    cluster = a_cluster(leaves=(), min_job_age_s=30, requeue_delay_s=121)
    add_slurmd(cluster, "n0")
    job = submit_script(cluster, "exit 1")
    assert job.state == "FAILED"
    cluster.requeue(job.id, NOW + 10, hold=True)
    cluster.advance(NOW + 300)
    job = cluster.job(job.id)
    assert job.restarts == 1
    assert (job.reason, job.description) == ("JobHeldUser", "job requeued in held state")
    cluster.hold(job, held=False)
    cluster.touched(job, NOW + 300)
    cluster.advance(NOW + 300)
    assert (job.state, job.end_s, job.description) == ("FAILED", NOW + 300, "")
    invariants.validate(cluster)


def test_who_is_not_requeued() -> None:
    """External jobs, those that said so, those that wait, those that aren't there."""
    cluster = a_cluster(leaves=(1,))
    add_slurmd(cluster, "native")
    external = submit(cluster)
    said_no = submit_script(cluster, "sleep 60", requeue=False)
    waits = submit_script(cluster, "sleep 60", begin_time=int(NOW) + 60)
    for job_id, number in (
        (external.id, errors.BATCH_ONLY),
        (said_no.id, errors.DISABLED),
        (waits.id, errors.JOB_PENDING),
        (99, errors.INVALID_JOB_ID),
    ):
        with pytest.raises(Refused) as refused:
            cluster.requeue(job_id, NOW)
        assert refused.value.number == number


def test_a_begin_time_lets_others_pass() -> None:
    """Until then the job is in nobody's way; then it starts without anybody's doing."""
    cluster = a_cluster(leaves=(1,))
    later = submit(cluster, cpus_per_task=4, begin_time=int(NOW) + 100)
    assert (later.state, later.start_s) == ("PENDING", NOW + 100)
    now = submit(cluster, cpus_per_task=4, time_limit=1)
    assert (now.state, later.reason) == ("RUNNING", "BeginTime")
    cluster.advance(NOW + 100)
    assert (later.state, later.start_s) == ("RUNNING", NOW + 100)
