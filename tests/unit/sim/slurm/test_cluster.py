"""The life of jobs and nodes, as time goes by."""

import contextlib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.sim.slurm import errors, invariants
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.errors import Refused
from bridge.sim.slurm.partition import Partition
from tests.unit.sim.slurm.builders import NOW, a_cluster, a_request, add_node, add_slurmd, submit


def test_a_job_that_fits_starts_at_once() -> None:
    """With no delay configured the decision falls with the next look at the cluster."""
    cluster = a_cluster()
    job = submit(cluster, cpus_per_task=2)
    assert (job.state, job.nodes, job.start_s) == ("RUNNING", ("n0",), NOW)


def test_decisions_take_the_time_they_are_told() -> None:
    """`decision_delay_s` lies between a change and what is decided on it."""
    cluster = a_cluster(decision_delay_s=0.5)
    job = submit(cluster)
    assert job.pending
    assert cluster.next_due() == NOW + 0.5
    cluster.advance(NOW + 0.5)
    assert (job.state, job.start_s) == ("RUNNING", NOW + 0.5)


def test_every_change_is_told_at_its_time() -> None:
    """Whoever watches hears of each state of each job once, in order, whoever caused it."""
    cluster = a_cluster(leaves=(1,))
    told: list[tuple[float, int, str]] = []
    cluster.watch(lambda change: told.append((change.at_s - NOW, change.job_id, change.state)))
    first = submit(cluster, cpus_per_task=4, time_limit=1)
    second = submit(cluster, cpus_per_task=4)
    cluster.advance(NOW + 99)
    cluster.cancel(second.id, NOW + 100)
    assert told == [
        (0, first.id, "PENDING"),
        (0, first.id, "RUNNING"),
        (0, second.id, "PENDING"),
        (60, first.id, "TIMEOUT"),
        (60, second.id, "RUNNING"),
        (100, second.id, "CANCELLED"),
    ]


def test_time_limit_ends_a_job_at_its_moment() -> None:
    """However late one looks, the job ended at its limit and the next started then."""
    cluster = a_cluster(leaves=(1,))
    limited = submit(cluster, cpus_per_task=4, time_limit={"set": True, "number": 1})
    behind = submit(cluster, cpus_per_task=4)
    cluster.advance(NOW + 1000)
    assert (limited.state, limited.reason, limited.end_s) == ("TIMEOUT", "TimeLimit", NOW + 60)
    assert (behind.state, behind.start_s) == ("RUNNING", NOW + 60)


def test_a_longer_limit_replaces_the_shorter() -> None:
    """A job whose limit was raised outlives the old one."""
    cluster = a_cluster()
    job = submit(cluster, time_limit={"set": True, "number": 1})
    cluster.set_limit(job, 5, NOW + 10)
    cluster.advance(NOW + 299)
    assert job.running
    cluster.advance(NOW + 300)
    assert job.state == "TIMEOUT"


def test_ended_jobs_are_forgotten_after_min_job_age() -> None:
    """Until then they can be read, afterwards their id is invalid."""
    cluster = a_cluster(min_job_age_s=30)
    job = submit(cluster)
    cluster.cancel(job.id, NOW)
    cluster.advance(NOW + 29)
    assert cluster.job(job.id) is job
    cluster.advance(NOW + 30)
    with pytest.raises(Refused) as refused:
        cluster.job(job.id)
    assert refused.value.number == errors.INVALID_JOB_ID


def test_a_node_that_goes_down_ends_its_jobs() -> None:
    """NODE_FAIL for every job with a share there, also on its other nodes."""
    cluster = a_cluster()
    wide = submit(cluster, tasks=2, cpus_per_task=4)
    cluster.node_down(cluster.node("n1"), NOW + 1)
    assert (wide.state, wide.reason, wide.exit.signal) == ("NODE_FAIL", "NodeDown", 1)
    assert not cluster.node("n0").jobs


def test_a_busy_node_is_not_removed() -> None:
    """2016 while a job is on it; afterwards it goes, and its slot is used again."""
    cluster = a_cluster()
    job = submit(cluster)
    with pytest.raises(Refused) as refused:
        cluster.remove_node("n0", NOW)
    assert refused.value.number == errors.NODES_BUSY
    cluster.cancel(job.id, NOW)
    cluster.remove_node("n0", NOW)
    add_node(cluster, "new")
    assert [node.name for node in cluster.table] == ["new", "n1"]


def test_shrink_loses_the_freed_nodes_without_a_sink() -> None:
    """slurmctld tells nodes where nobody listens: some seconds later they don't respond."""
    cluster = a_cluster(lost_after_s=9.5)
    job = submit(cluster, tasks=2, cpus_per_task=4)
    cluster.shrink(job, ["n0"], NOW)
    cluster.advance(NOW + 9)
    assert cluster.node("n1").usable
    cluster.advance(NOW + 10)
    assert not cluster.node("n1").usable
    assert submit(cluster, NOW + 11, cpus_per_task=4).pending
    cluster.remove_node("n1", NOW + 12)
    add_node(cluster, "n1", cpus=4)
    cluster.advance(NOW + 12)
    assert [job.nodes for job in cluster.running] == [("n0",), ("n1",)]


def test_shrink_leaves_the_freed_nodes_usable_with_a_sink() -> None:
    """With one slurmd that answers for all external nodes nothing is lost."""
    cluster = a_cluster(sink=True)
    job = submit(cluster, tasks=2, cpus_per_task=4)
    cluster.shrink(job, ["n0"], NOW)
    cluster.advance(NOW + 60)
    assert cluster.node("n1").usable
    assert submit(cluster, NOW + 61, cpus_per_task=4).nodes == ("n1",)


def test_a_slurmd_elsewhere_is_no_sink() -> None:
    """Only who listens at the address and the port of a node answers for it."""
    cluster = a_cluster()
    for place in ("NodeAddr=127.0.0.1 Port=7000", "NodeAddr=127.0.0.2"):
        name = place[-4:].strip(".")
        cluster.add_nodes(f"NodeName={name} {place} CPUs=1 State=UNKNOWN Feature=none", NOW)
    job = submit(cluster, tasks=2, cpus_per_task=4)
    cluster.shrink(job, ["n0"], NOW)
    cluster.advance(NOW + 60)
    assert not cluster.node("n1").usable


@pytest.mark.parametrize("sink", [True, False])
def test_a_suspended_job_keeps_all_but_its_cpus(sink: bool) -> None:
    """Others start on its CPUs at once, while its memory and devices stay its; without a sink its
    nodes are lost."""
    cluster = a_cluster(leaves=(1,), gpus=2, sink=sink)
    job = submit(cluster, cpus_per_task=4, tres_per_task="gres/gpu:1")
    cluster.suspend(job.id, NOW + 1)
    assert (job.state, job.nodes, job.over) == ("SUSPENDED", ("n0",), False)
    other = submit(cluster, NOW + 2, cpus_per_task=3, tres_per_task="gres/gpu:1")
    assert other.running
    assert submit(cluster, NOW + 2, tres_per_task="gres/gpu:1").pending
    cluster.cancel(job.id, NOW + 3)
    cluster.advance(NOW + 3)
    assert [job.nodes for job in cluster.running] == [("n0",), ("n0",)]
    invariants.validate(cluster)
    cluster.advance(NOW + 60)
    assert cluster.node("n0").responding == sink


@pytest.mark.parametrize("sink", [True, False])
def test_preemption_with_grace_ends_the_job_later(sink: bool) -> None:
    """The victim keeps its node through the grace; without a sink that node is lost to all."""
    partitions = (
        Partition("slurm-bridge", default=True, grace_time_s=20),
        Partition("high", priority_tier=10),
    )
    cluster = a_cluster(leaves=(1,), partitions=partitions, sink=sink)
    low = submit(cluster, cpus_per_task=4)
    high = submit(cluster, NOW + 1, cpus_per_task=4, partition="high")
    assert (low.state, low.preempt_s, low.end_s) == ("RUNNING", NOW + 1, NOW + 21)
    cluster.advance(NOW + 20)
    assert low.running
    cluster.advance(NOW + 22)
    assert low.state == "PREEMPTED"
    assert high.state == ("RUNNING" if sink else "PENDING")


def test_a_pending_job_whose_feature_vanished_is_held_until_touched() -> None:
    """BadConstraints takes the priority away; any accepted update gives a new one."""
    cluster = a_cluster(leaves=())
    add_node(cluster, "a", feature="class-a", cpus=4)
    add_node(cluster, "b", feature="class-b", cpus=4)
    submit(cluster, cpus_per_task=4, constraints="class-a")
    job = submit(cluster, cpus_per_task=4, constraints="class-a")
    cluster.node("a").features = ("class-c",)
    cluster.node_changed(NOW + 1)
    cluster.advance(NOW + 1)
    assert (job.reason, job.priority) == ("BadConstraints", 0)
    cluster.node("b").features = ("class-a",)
    cluster.node_changed(NOW + 2)
    cluster.advance(NOW + 2)
    assert job.pending
    cluster.touched(job, NOW + 3)
    cluster.advance(NOW + 3)
    assert job.nodes == ("b",)


def test_after_a_loss_of_state_ids_begin_anew() -> None:
    """Nodes and jobs are gone, and the next job has an id that another one had."""
    cluster = a_cluster()
    first = submit(cluster, time_limit=1)
    submit(cluster, cpus_per_task=4)
    cluster.lose_state()
    assert not len(cluster.table)
    add_node(cluster, "n0", cpus=4)
    again = submit(cluster, NOW + 1)
    assert (again.id, again.state) == (first.id, "RUNNING")
    cluster.advance(NOW + 1000)
    assert again.running
    invariants.validate(cluster)


def test_nodesets_are_counted_when_a_node_is_registered() -> None:
    """A feature that an update brings makes a node part of a partition only then."""
    partitions = (Partition("slurm-bridge", default=True, feature="bridge"),)
    cluster = a_cluster(leaves=(), partitions=partitions)
    add_node(cluster, "n0", cpus=4)
    job = submit(cluster)
    assert job.reason == "PartitionConfig"
    cluster.node("n0").features = ("bridge",)
    cluster.node_changed(NOW + 1)
    cluster.advance(NOW + 1)
    assert job.pending
    add_node(cluster, "n1", cpus=4)
    cluster.advance(NOW + 2)
    assert job.nodes == ("n0",)


def test_a_limit_beyond_the_partitions_waits_for_ever() -> None:
    """PartitionTimeLimit stops the job, not those behind it."""
    partitions = (Partition("slurm-bridge", default=True, max_time_min=60, default_time_min=30),)
    cluster = a_cluster(partitions=partitions)
    long = submit(cluster, time_limit=90)
    normal = submit(cluster)
    assert (long.state, long.reason) == ("PENDING", "PartitionTimeLimit")
    assert (normal.state, normal.request.time_limit_min) == ("RUNNING", 30)


def test_a_partitions_default_memory() -> None:
    """A job that names no memory gets the partition's default, else whole nodes."""
    partitions = (
        Partition("slurm-bridge", default=True),
        Partition("small", default_memory_per_cpu_mib=1024),
    )
    cluster = a_cluster(leaves=(1,), partitions=partitions)
    submit(cluster, partition="small", cpus_per_task=2, memory_per_cpu=None)
    whole = submit(cluster, memory_per_cpu=None)
    assert cluster.node("n0").memory_used_mib == 2048
    assert whole.pending


_SIZES = st.fixed_dictionaries(
    {"tasks": st.integers(1, 6), "cpus_per_task": st.integers(1, 4)},
    optional={
        "tres_per_task": st.sampled_from(["gres/gpu:1", "gres/gpu:h100:2", "gres/gpu:3"]),
        "memory_per_cpu": st.just(None),
        "nodes": st.sampled_from(["1", "2"]),
        "minimum_nodes": st.integers(1, 3),
        "tasks_per_node": st.integers(1, 2),
        "shared": st.just(["none"]),
        "partition": st.just("high"),
        "time_limit": st.integers(1, 4),
        "required_nodes": st.sampled_from([["n0"], ["n1", "n4"]]),
        "excluded_nodes": st.sampled_from([["n0"], ["n2", "n3"]]),
        "licenses": st.sampled_from(["matlab:2", "matlab,ansys"]),
    },
)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), _SIZES),
        st.tuples(st.just("het"), st.lists(_SIZES, min_size=1, max_size=3)),
        st.tuples(st.just("script"), st.sampled_from(["sleep 40", "exit 1", "sleep infinity"])),
        st.tuples(st.sampled_from(["cancel", "requeue", "signal"]), st.integers(0, 20)),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 1.0, 30.0, 61.0])),
        st.tuples(st.sampled_from(["drain", "resume", "down", "replace"]), st.integers(0, 5)),
        st.tuples(st.just("shrink"), st.integers(0, 5)),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(steps=_STEPS, delay=st.sampled_from([0.0, 0.4]))
@example(
    steps=[
        ("submit", {"tasks": 1, "cpus_per_task": 1}),
        ("submit", {"tasks": 1, "cpus_per_task": 1, "partition": "high", "required_nodes": ["n0"],
                    "excluded_nodes": ["n2", "n3"], "memory_per_cpu": None}),
    ],
    delay=0.0,
)  # fmt: skip
def test_nothing_is_given_twice_or_lost(steps: list[tuple[str, Any]], delay: float) -> None:
    """Under any order of events no node gives more than it has, and what ends gives all back."""
    licenses = {"matlab": 3, "ansys": 1}
    cluster = a_cluster(leaves=(2, 3, 1), gpus=4, licenses=licenses, decision_delay_s=delay)
    add_slurmd(cluster, "native", cpus=2)
    now = NOW
    for what, value in steps:
        with contextlib.suppress(Refused):
            now = _step(cluster, what, value, now)
        invariants.validate(cluster)
    for job in [*cluster.waiting, *cluster.running]:
        with contextlib.suppress(Refused):  # preempted meanwhile, by one that was to be cancelled
            cluster.cancel(job.id, now)
    cluster.advance(now + 100)
    invariants.validate(cluster)
    assert not cluster.jobs
    assert not any(cluster.licenses.used.values())
    assert not any(node.jobs or any(node.used.values()) for node in cluster.table)


def _step(cluster: Cluster, what: str, value: Any, now: float) -> float:
    if what == "wait":
        cluster.advance(now + value)
        return now + float(value)
    if what == "submit":
        cluster.submit(a_request(cluster, **value), now)
    elif what == "het":
        cluster.submit_het([(a_request(cluster, **one), None, False) for one in value], now)
    elif what == "script":
        cluster.submit(a_request(cluster, flags=[], script=f"#!/bin/sh\n{value}\n"), now)
    elif what == "cancel":
        cluster.cancel(value, now)
    elif what == "requeue":
        cluster.requeue(value, now)
    elif what == "signal":
        cluster.signal(value, "TERM", now)
    elif what == "shrink":
        if value < len(cluster.running):
            job = cluster.running[value]
            cluster.shrink(job, list(job.nodes[:1]), now)
    else:
        _change_node(cluster, what, f"n{value}", now)
    return now


def _change_node(cluster: Cluster, what: str, name: str, now: float) -> None:
    node = cluster.node(name)
    if what == "replace":
        cluster.remove_node(name, now)
        add_node(cluster, name, cpus=4, gpus=4)
    elif what == "down":
        cluster.node_down(node, now)
    else:
        node.drain = what == "drain"
        node.down = node.down and node.drain
        cluster.node_changed(now)
