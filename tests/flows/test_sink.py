"""Nodes that jobs give back while they run: what a sink makes possible, and what is without one."""

import time
from collections.abc import Iterable

import pytest

from bridge.slurm import hostlist
from tests.arena import manifests
from tests.arena.api import state, wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes, condition, node_of
from tests.arena.fixtures import Begin
from tests.flows.lost_nodes import all_respond, wait_lost
from tests.flows.members import (
    JOBS,
    by_rank,
    ends,
    is_running,
    notes,
    slurm_id,
    uid,
    why_disrupted,
)


def nodes_of(arena: Arena, job_id: int) -> set[str]:
    """The nodes that the job holds."""
    return set(hostlist.expand(arena.slurm.job(job_id)["nodes"]))


def wait_holds(arena: Arena, job_id: int, nodes: Iterable[str]) -> None:
    """Until the running job holds just these nodes."""
    wanted = set(nodes)
    wait_for(f"the job holds {sorted(wanted)}", lambda: nodes_of(arena, job_id) == wanted)


def test_with_a_sink_nodes_of_pods_that_are_done_go_to_who_waits(
    arena: Arena, begin: Begin
) -> None:
    """Two of four ranks end, one after the other: the job gives both nodes back at once, the next
    pod starts on one of them, the others run on, and Slurm loses no node."""
    begin(Nodes(count=4), sink=True)
    arena.create(manifests.job("shorter", NAMESPACE, count=4, gang=True, gpus=8))
    pods = by_rank(arena, 4, job="shorter")
    job_id = slurm_id(pods[0])
    arena.create(manifests.pod("next", NAMESPACE, gpus=8))
    arena.wait_pod("next", "is queued", lambda pod: condition(pod) is not None)
    for pod in pods[2:]:
        ends(arena, pod, exit_code=0)
    next_one = arena.wait_bound("next")
    began_s = time.monotonic()
    assert node_of(next_one) in {node_of(pod) for pod in pods[2:]}
    wait_holds(arena, job_id, [node_of(pod) for pod in pods[:2]])
    gone = ", ".join(sorted(node_of(pod) for pod in pods[2:]))
    told = f"Slurm job {job_id} gave back {gone}, "

    def is_told() -> bool:
        return any(one.startswith(told) for one in notes(arena, "NodesGivenBack", owner="shorter"))

    wait_for("it is told", is_told)
    wait_lost(arena, began_s)
    assert [uid(pod) for pod in by_rank(arena, 2, job="shorter")] == [uid(pod) for pod in pods[:2]]


def test_a_sink_that_comes_and_goes_is_noticed(arena: Arena, begin: Begin) -> None:
    """A gang that was scaled down keeps its nodes, until there is a sink; then it gives them back.
    When the sink is gone again it keeps the next one. Pods that come later queue on their own."""
    begin(Nodes(count=4), sink=False)
    arena.create(manifests.job("elastic", NAMESPACE, count=4, gang=True, gpus=8))
    pods = by_rank(arena, 4, job="elastic")
    job_id, path = slurm_id(pods[0]), f"{JOBS}/elastic"
    places = [node_of(pod) for pod in pods]

    def scale(count: int) -> None:
        arena.kubernetes.patch(path, {"spec": {"parallelism": count, "completions": count}})

    scale(3)
    by_rank(arena, 3, job="elastic")
    arena.hold_for(8.0, lambda: nodes_of(arena, job_id) == set(places))
    arena.start_sink()
    wait_holds(arena, job_id, places[:3])
    arena.stop_sink()
    wait_for("the bridge has looked", lambda: "node.sink_gone" in arena.bridge.log())
    scale(2)
    by_rank(arena, 2, job="elastic")
    arena.hold_for(8.0, lambda: nodes_of(arena, job_id) == set(places[:3]))
    scale(4)
    ids = [slurm_id(pod) for pod in by_rank(arena, 4, job="elastic")]
    assert ids[:3] == [job_id] * 3, "its node was kept for the third"
    assert ids[3] != job_id
    assert all_respond(arena)


@pytest.mark.parametrize("sink", [True, False])
def test_the_grace_of_a_preemption_is_the_pods(arena: Arena, begin: Begin, sink: bool) -> None:
    """They hear of it soon and have no more time than Slurm leaves; the job ends with the last of
    them, and the other one starts before the grace is over, on the nodes that are free then."""
    dies = {manifests.DIE_SECONDS: "3"}
    high = {manifests.JOB + "partition": "high"}
    low = manifests.job(
        "low", NAMESPACE, count=2, gang=True, gpus=8, grace_s=300, pod_annotations=dies
    )
    with arena.grace("slurm-bridge", 20):
        begin(Nodes(count=2), sink=sink)
        arena.create(low)
        pods = by_rank(arena, 2, job="low")
        job_id, name = slurm_id(pods[0]), pods[0]["metadata"]["name"]
        arena.create(manifests.pod("high", NAMESPACE, gpus=8, annotations=high))
        began_s = time.monotonic()
        wait_for("Slurm preempts", lambda: arena.slurm.job(job_id)["preempt_time"]["number"])
        ending = arena.wait_pod(name, "is told", lambda pod: why_disrupted(pod)[0], seconds=4)
        assert why_disrupted(ending)[0] == "PreemptedInSlurm"
        assert f"Slurm job {job_id} makes room for another job" in why_disrupted(ending)[1]
        ending = arena.wait_pod(name, "ends", lambda pod: "deletionTimestamp" in pod["metadata"])
        assert 10 <= ending["metadata"]["deletionGracePeriodSeconds"] <= 18
        assert state(arena.slurm.job(job_id)) == "RUNNING"
        taken = node_of(arena.wait_bound("high", seconds=12))
        assert taken in {node_of(pod) for pod in pods}
        assert state(arena.slurm.job(job_id)) == "CANCELLED", "before its grace was over"
    arena.delete_pod("high")
    again = by_rank(arena, 2, job="low", seconds=60)
    if sink:
        wait_lost(arena, began_s)
    assert {slurm_id(pod) for pod in again} != {job_id}


def test_a_gang_that_an_admin_suspends_ends_and_queues_again(arena: Arena, begin: Begin) -> None:
    """Slurm may give its CPUs away at once, so its pods end; with a sink its nodes stay usable."""
    begin(Nodes(count=2), sink=True)
    dies = {manifests.DIE_SECONDS: "1"}
    arena.create(manifests.job("held", NAMESPACE, count=2, gang=True, gpus=8, pod_annotations=dies))
    pods = by_rank(arena, 2, job="held")
    job_id, name = slurm_id(pods[0]), pods[0]["metadata"]["name"]
    arena.suspend(job_id)
    began_s = time.monotonic()
    ending = arena.wait_pod(name, "is told", lambda pod: why_disrupted(pod)[0])
    assert why_disrupted(ending)[0] == "SuspendedInSlurm"
    wait_for("its job ends", lambda: state(arena.slurm.job(job_id)) == "CANCELLED")
    new = {uid(pod) for pod in pods}
    again = arena.wait_pods(
        2, "run again", lambda pod: is_running(pod) and uid(pod) not in new, of_job="held"
    )
    assert {slurm_id(pod) for pod in again} != {job_id}
    wait_lost(arena, began_s)
