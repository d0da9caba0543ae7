"""What a gang has done already: nobody waits for it, nobody asks Slurm for it again."""

from pathlib import Path

import pytest

from bridge import names
from tests.arena import manifests
from tests.arena.api import Object, wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes, condition, node_of, phase
from tests.arena.controllers import Controllers
from tests.arena.fixtures import Begin
from tests.flows.conftest import MANIFESTS
from tests.flows.members import (
    JOBS,
    by_rank,
    done,
    ends,
    finish,
    is_running,
    notes,
    rank,
    replaced,
    slurm_id,
    tasks,
    uid,
)


def hold_on(arena: Arena, pods: list[Object]) -> None:
    """For twelve seconds these pods run, and nobody tells them to end."""

    def goes_on() -> bool:
        now = [arena.kubernetes.pod(NAMESPACE, pod["metadata"]["name"]) for pod in pods]
        return all(
            new is not None
            and uid(new) == uid(old)
            and is_running(new)
            and condition(new, names.DISRUPTION_TARGET) is None
            for new, old in zip(now, pods, strict=True)
        )

    arena.hold_for(12.0, goes_on)


def test_a_member_that_is_done_and_removed_is_not_missed_after_a_restart(
    arena: Arena, begin: Begin
) -> None:
    """Of two ranks one is left. It keeps its place well past the time that missing members have."""
    begin(Nodes(count=2), gangs={"membersTimeoutS": 5})
    arena.create(manifests.job("halfway", NAMESPACE, count=2, gang=True, gpus=8))
    first, second = by_rank(arena, 2, job="halfway")
    finish(arena, "halfway", second)
    arena.bridge.kill()
    arena.bridge.start()
    hold_on(arena, [first])
    assert set(tasks(arena)) == {slurm_id(first)}


def test_a_member_that_is_given_up_is_not_missed_after_a_restart(
    arena: Arena, begin: Begin
) -> None:
    """backoffLimitPerIndex: the Job makes no pod for that rank any more; the others go on."""
    if arena.kind == "embedded":
        pytest.skip("the embedded Job controller has no backoffLimitPerIndex")
    begin(Nodes(count=3), gangs={"membersTimeoutS": 5})
    job = manifests.job("given", NAMESPACE, count=3, gang=True, gpus=8)
    job["spec"].update(backoffLimitPerIndex=0, maxFailedIndexes=2)
    arena.create(job)
    first, second, third = by_rank(arena, 3, job="given")
    ends(arena, second, exit_code=1)
    path = f"{JOBS}/given"
    wait_for(
        "the index is given up",
        lambda: (arena.kubernetes.get(path).get("status") or {}).get("failedIndexes") == "1",
    )
    arena.delete_pod(second["metadata"]["name"])
    arena.wait_gone(second["metadata"]["name"])
    arena.bridge.kill()
    arena.bridge.start()
    hold_on(arena, [first, third])
    assert set(tasks(arena)) == {slurm_id(first)}


def test_waves_of_a_jobset_run_in_one_slurm_job(
    defined: None, arena: Arena, begin: Begin, created: list[Path]
) -> None:
    """Five completions, four at once: the fifth pod takes a place that is free by then, and when
    all are done nothing is held."""
    begin(Nodes(count=4))
    assert arena.observer is not None
    with Controllers(arena.kubernetes, NAMESPACE, ("jobset",), tls=arena.loopback_tls()):
        created.append(MANIFESTS / "jobset-waves.yaml")
        arena.create_file(created[0])
        pods = arena.wait_pods(4, "are bound", node_of)
        (job_id,) = {slurm_id(pod) for pod in pods}
        assert tasks(arena) == {job_id: 4}
        arena.wait_pods(5, "have succeeded", lambda pod: phase(pod) == "Succeeded")
        assert {slurm_id(pod) for pod in arena.kubernetes.pods(NAMESPACE)} == {job_id}
        arena.wait_idle(seconds=15)
        assert not notes(arena, "QueuedAlone", owner="tide")
        arena.delete_file(created[0])
        wait_for("its pods are gone", lambda: not arena.kubernetes.pods(NAMESPACE), seconds=75)


def test_a_jobset_that_begins_anew_runs_again_what_was_done(
    defined: None, arena: Arena, begin: Begin, created: list[Path]
) -> None:
    """One of its two Jobs is complete when the other fails: all four pods run again, as one."""
    begin(Nodes(count=2))
    with Controllers(arena.kubernetes, NAMESPACE, ("jobset",), tls=arena.loopback_tls()):
        created.append(MANIFESTS / "jobset-restart.yaml")
        arena.create_file(created[0])
        before = arena.wait_pods(4, "run", is_running)
        for pod in before[:2]:
            assert pod["metadata"]["name"].startswith("again-workers-0-")
            ends(arena, pod, exit_code=0)
        done(arena, "again-workers-0", "0,1")
        ends(arena, before[3], exit_code=1)
        old = {uid(pod) for pod in before}
        again = arena.wait_pods(
            4, "are others and run", lambda pod: is_running(pod) and uid(pod) not in old, seconds=60
        )
        (job_id,) = {slurm_id(pod) for pod in again}
        assert tasks(arena) == {job_id: 4}
        arena.delete_file(created[0])
        wait_for("its pods are gone", lambda: not arena.kubernetes.pods(NAMESPACE), seconds=75)


def test_a_preempted_gang_asks_only_for_the_ranks_that_are_left(arena: Arena, begin: Begin) -> None:
    """Three nodes, of which the urgent pod takes one: the two ranks that are left fit beside it."""
    begin(Nodes(count=3))
    arena.create(manifests.job("pushed", NAMESPACE, count=3, gang=True, gpus=8))
    pods = by_rank(arena, 3, job="pushed")
    finish(arena, "pushed", pods[1])
    high = {manifests.JOB + "partition": "high"}
    arena.create(manifests.pod("urgent", NAMESPACE, gpus=8, annotations=high))
    arena.wait_bound("urgent", seconds=40)
    again = [replaced(arena, pod, job="pushed", seconds=60) for pod in (pods[0], pods[2])]
    (job_id,) = {slurm_id(pod) for pod in again}
    assert tasks(arena)[job_id] == 2
    for pod in again:
        ends(arena, pod, exit_code=0)
    wait_for("only the urgent one is left", lambda: len(tasks(arena)) == 1)


def test_a_paused_gang_resumes_with_what_is_left(arena: Arena, begin: Begin) -> None:
    """An elastic Job: rank 1 is done, then it is suspended, made larger and resumed. It asks for
    all other ranks, once."""
    begin(Nodes(count=4))
    path = f"{JOBS}/paused"
    arena.create(manifests.job("paused", NAMESPACE, count=3, gang=True, gpus=8))
    before = by_rank(arena, 3, job="paused")
    finish(arena, "paused", before[1])
    arena.kubernetes.patch(path, {"spec": {"suspend": True}})
    arena.wait_idle()
    assert not arena.kubernetes.pods(NAMESPACE, of_job="paused")
    arena.kubernetes.patch(path, {"spec": {"parallelism": 4, "completions": 4}})
    arena.kubernetes.patch(path, {"spec": {"suspend": False}})
    pods = by_rank(arena, 3, job="paused")
    assert [rank(pod) for pod in pods] == [0, 2, 3]
    assert set(tasks(arena).values()) == {3}
    kept = {uid(pod) for pod in pods}

    def goes_on() -> bool:
        return {uid(pod) for pod in by_rank(arena, 3, job="paused", seconds=1)} == kept

    arena.hold_for(5.0, goes_on)


def test_a_gang_that_is_over_says_so_once(arena: Arena, begin: Begin) -> None:
    """Its pods go one by one when the Job is deleted: the log has nothing more to say of it."""
    begin(Nodes(count=4))
    arena.create(manifests.job("crowd", NAMESPACE, count=20, gang=True, gpus=1, cpu="1", run_s=2))
    arena.wait_pods(20, "have succeeded", lambda pod: phase(pod) == "Succeeded", of_job="crowd")
    arena.wait_idle()
    arena.delete_job("crowd")
    wait_for("its pods are gone", lambda: not arena.kubernetes.pods(NAMESPACE, of_job="crowd"))
    arena.create(manifests.pod("after", NAMESPACE))  # what its going led to is past by then
    arena.wait_bound("after")
    moves = [line for line in arena.bridge.log().splitlines() if "gang.moved" in line]
    over = [line for line in moves if "Job/team/crowd" in line and "state=Done" in line]
    assert len(over) == 1, "\n".join(over)
