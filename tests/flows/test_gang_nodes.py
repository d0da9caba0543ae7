"""Nodes that a running gang loses: a kubelet goes silent, an admin takes a node off its job."""

import contextlib

import pytest

from bridge import names
from tests.arena import manifests
from tests.arena.api import Object, wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes, condition, node_of
from tests.arena.fixtures import Begin
from tests.flows.members import (
    by_rank,
    finish,
    notes,
    replaced,
    slurm_id,
    tasks,
    uid,
    waiting_job,
)

RESTART = {names.ON_NODE_LOSS_ANNOTATION: "restart"}


def is_ending(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def delete_where_nobody_answers(arena: Arena, pod: Object) -> None:
    """Kubernetes gives the pod up; it can't end."""
    name = pod["metadata"]["name"]
    arena.delete_pod(name)
    arena.wait_pod(name, "is being deleted", is_ending)


def test_a_pod_in_place_of_one_on_a_silent_node_runs_on_its_own(arena: Arena, begin: Begin) -> None:
    """Two of three nodes; one goes silent. The replacement takes the third, in a Slurm job of its
    own, which an event says; the other member is not touched."""
    nodes = begin(Nodes(count=3))
    arena.create(manifests.job("split", NAMESPACE, count=2, gang=True, gpus=8))
    first, second = by_rank(arena, 2, job="split")
    (idle,) = set(nodes) - {node_of(first), node_of(second)}
    with arena.silent(node_of(second)):
        delete_where_nobody_answers(arena, second)
        alone = replaced(arena, second, job="split")
        assert node_of(alone) == idle
        assert tasks(arena) == {slurm_id(first): 2, slurm_id(alone): 1}
        (note,) = notes(arena, "QueuedAlone", owner="split")
        assert names.ON_NODE_LOSS_ANNOTATION in note
        still = arena.kubernetes.pod(NAMESPACE, first["metadata"]["name"])
        assert still is not None
        assert uid(still) == uid(first)
        assert not is_ending(still)
        lost = arena.kubernetes.pod(NAMESPACE, second["metadata"]["name"])
        assert lost is not None, "it can't end while its node is silent"
    arena.wait_gone(second["metadata"]["name"])


def test_a_pod_that_queues_on_its_own_keeps_its_place_over_a_restart(
    arena: Arena, begin: Begin
) -> None:
    """No node is left for it, and another pod queues behind it. While the bridge is down its gang
    gets room again; all the same its own Slurm job keeps waiting, and is the next to start."""
    begin(Nodes(count=3))
    arena.create(manifests.job("kept", NAMESPACE, count=2, gang=True, gpus=8))
    first, second = by_rank(arena, 2, job="kept")
    arena.create(manifests.pod("busy", NAMESPACE, gpus=8))
    arena.wait_bound("busy")
    with arena.silent(node_of(second)):
        delete_where_nobody_answers(arena, second)
        own = int(waiting_job(arena)["job_id"])
        arena.create(manifests.pod("behind", NAMESPACE, gpus=8))
        wait_for("both wait", lambda: len(arena.slurm.live_jobs()) == 4)
        jobs = tasks(arena)
        arena.bridge.kill()
    arena.wait_gone(second["metadata"]["name"])
    arena.bridge.start()
    arena.hold_for(12.0, lambda: tasks(arena) == jobs)
    arena.delete_pod("busy")
    alone = replaced(arena, second, job="kept")
    assert slurm_id(alone) == own
    behind = arena.kubernetes.pod(NAMESPACE, "behind")
    assert behind is not None
    assert not node_of(behind)
    still = arena.kubernetes.pod(NAMESPACE, first["metadata"]["name"])
    assert still is not None
    assert (uid(still), is_ending(still)) == (uid(first), False)


@pytest.mark.parametrize("how", ["silent", "gone"])
def test_nobody_is_sent_to_a_lost_node_whose_pod_was_removed_by_force(
    arena: Arena, begin: Begin, how: str
) -> None:
    """As admins do it, and Kubernetes itself for nodes that are gone or out of service: the
    replacement runs on its own, at once, and the other member is not touched."""
    nodes = begin(Nodes(count=3))
    owner = f"forced-{how}"
    arena.create(manifests.job(owner, NAMESPACE, count=2, gang=True, gpus=8))
    first, second = by_rank(arena, 2, job=owner)
    (idle,) = set(nodes) - {node_of(first), node_of(second)}
    silent = arena.silent(node_of(second)) if how == "silent" else contextlib.nullcontext()
    with silent:
        if how == "gone":
            arena.kubernetes.delete(f"/api/v1/nodes/{node_of(second)}")
        arena.delete_pod(second["metadata"]["name"], force=True)
        alone = replaced(arena, second, job=owner, seconds=20)
        assert node_of(alone) == idle
        assert len(notes(arena, "QueuedAlone", owner=owner)) == 1
        still = arena.kubernetes.pod(NAMESPACE, first["metadata"]["name"])
        assert still is not None
        assert (uid(still), is_ending(still)) == (uid(first), False)


def test_a_gang_that_is_wanted_whole_begins_anew_without_the_silent_node(
    arena: Arena, begin: Begin
) -> None:
    """Annotation on-node-loss: "restart": both pods are others afterwards, in one new job."""
    nodes = begin(Nodes(count=3))
    arena.create(manifests.job("whole", NAMESPACE, count=2, gang=True, gpus=8, annotations=RESTART))
    first, second = by_rank(arena, 2, job="whole")
    with arena.silent(node_of(second)):
        delete_where_nobody_answers(arena, second)
        again = [replaced(arena, pod, job="whole", seconds=60) for pod in (first, second)]
        (job_id,) = {slurm_id(pod) for pod in again}
        assert tasks(arena) == {job_id: 2}
        assert {node_of(pod) for pod in again} == set(nodes) - {node_of(second)}
        assert any("does not answer" in note for note in notes(arena, "NodeLost", owner="whole"))
        assert not notes(arena, "QueuedAlone", owner="whole")
    arena.wait_gone(second["metadata"]["name"])


def test_a_pod_on_a_node_that_slurm_took_off_the_job_is_ended(arena: Arena, begin: Begin) -> None:
    """An admin shrinks the running job: the pod there is told and replaced elsewhere, the other
    goes on."""
    begin(Nodes(count=3))
    arena.create(manifests.job("shrunk", NAMESPACE, count=2, gang=True, gpus=8))
    first, second = by_rank(arena, 2, job="shrunk")
    job_id = slurm_id(first)
    assert arena.observer is not None
    arena.observer.taken_off(job_id, node_of(second))
    arena.slurm.shrink(job_id, [node_of(first)])
    alone = replaced(arena, second, job="shrunk", seconds=60)
    assert any(
        f"Slurm job {job_id} does not hold node {node_of(second)} any more" in note
        for note in notes(arena, "NodeTakenBySlurm", owner="shrunk")
    )
    assert slurm_id(alone) != job_id
    assert tasks(arena)[slurm_id(alone)] == 1
    still = arena.kubernetes.pod(NAMESPACE, first["metadata"]["name"])
    assert still is not None
    assert uid(still) == uid(first)
    assert not is_ending(still)
    assert condition(still, names.DISRUPTION_TARGET) is None


def replace_where_nobody_can_go(arena: Arena, pod: Object) -> None:
    """Its node takes no more pods: the one that its owner makes is pinned there, and stuck."""
    arena.cordon(node_of(pod), True)
    arena.delete_pod(pod["metadata"]["name"])


def goes_on(arena: Arena, pod: Object) -> bool:
    """Whether it is the same pod still, which nobody tells to end."""
    now = arena.kubernetes.pod(NAMESPACE, pod["metadata"]["name"])
    if now is None or uid(now) != uid(pod) or is_ending(now):
        return False
    return condition(now, names.DISRUPTION_TARGET) is None


def test_a_replacement_that_cant_get_onto_its_node_ends_alone(arena: Arena, begin: Begin) -> None:
    """The next one runs on its own, elsewhere, and the other member is not touched; but a gang that
    is wanted whole begins anew."""
    begin(Nodes(count=6))
    whole = manifests.job("all", NAMESPACE, count=2, gang=True, gpus=8, annotations=RESTART)
    arena.create(manifests.job("loose", NAMESPACE, count=2, gang=True, gpus=8))
    arena.create(whole)
    gangs = {name: by_rank(arena, 2, job=name) for name in ("loose", "all")}
    for _, second in gangs.values():
        replace_where_nobody_can_go(arena, second)
    first, second = gangs["loose"]
    alone = replaced(arena, second, job="loose", seconds=90)
    assert node_of(alone) not in {node_of(first), node_of(second)}
    assert slurm_id(alone) != slurm_id(first)
    assert goes_on(arena, first)
    assert any(
        f"can't get onto {node_of(second)}" in note
        for note in notes(arena, "QueuedAlone", owner="loose")
    )
    assert len(notes(arena, "PlaceLost", owner="loose")) == 1
    again = [replaced(arena, pod, job="all", seconds=90) for pod in gangs["all"]]
    (job_id,) = {slurm_id(pod) for pod in again}
    assert tasks(arena) == {slurm_id(first): 2, slurm_id(alone): 1, job_id: 2}
    assert not notes(arena, "QueuedAlone", owner="all")


def test_a_replacement_that_cant_get_onto_its_node_is_followed_on_another_of_the_job(
    arena: Arena, begin: Begin
) -> None:
    """A rank that is done has left its node to the gang's job."""
    begin(Nodes(count=3))
    arena.create(manifests.job("moves", NAMESPACE, count=3, gang=True, gpus=8))
    first, second, third = by_rank(arena, 3, job="moves")
    finish(arena, "moves", third)
    replace_where_nobody_can_go(arena, second)
    moved = replaced(arena, second, job="moves", seconds=90)
    assert (slurm_id(moved), node_of(moved)) == (slurm_id(first), node_of(third))
    assert tasks(arena) == {slurm_id(first): 3}
    assert goes_on(arena, first)
    assert not notes(arena, "QueuedAlone", owner="moves")
