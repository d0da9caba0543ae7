"""Pods that queue apart from their gang, after a start: only their jobs say so."""

import json
from pathlib import Path
from typing import Any

import pytest

from bridge import names
from bridge.lifecycle import messages
from bridge.lifecycle.state import State
from bridge.model.ids import GangId
from bridge.model.job import JobIdentity
from bridge.slurm import identity
from tests.builders import PodBuilder, a_gang_job, a_pod, held_by
from tests.unit.controller.test_controller import Driving, driving
from tests.unit.kube.apiserver import ok

TRAIN = a_gang_job(size=2)
GANG, ALONE = held_by(TRAIN), GangId("uid-train-1")
PATH = "/api/v1/namespaces/team/pods/train-1"


def member(index: int) -> PodBuilder:
    """A pod of the gang that waits for a place."""
    return a_pod(f"train-{index}").of(TRAIN, index).asking(cpu=1)


def running() -> PodBuilder:
    """The first pod, which runs under the gang's job."""
    return member(0).pinned(1, "rec-1", gang=GANG).bound("rec-1").in_phase("Running")


def told_of(pod: PodBuilder, job_id: int) -> PodBuilder:
    """Its condition names the job."""
    said = f"Slurm job {job_id} waits in partition p: Priority."
    return pod.told(messages.waits("Priority", said))


def know_owner(it: Driving) -> None:
    """The API server tells of the Job."""
    it.cluster.settle_kind(("batch", "Job"), "watched")
    it.cluster.upsert_owner(TRAIN)
    it.controller.changes.mark_dirty(it.cluster.gangs)


def a_gang_and_a_pod_alone(
    it: Driving, *pods: PodBuilder, state: str = "PENDING", of_gang: str = "RUNNING"
) -> None:
    """Job 1 is the gang's, job 2 that of its second pod, which was split off."""
    know_owner(it)
    it.a_job(GANG, of_gang)
    it.a_job(ALONE, state)
    for pod in pods:
        it.create(pod)


def pinned_alone() -> dict[str, Any]:
    """The second pod as the API server has it after the patch."""
    labels, annotations = {names.JOB_ID_LABEL: "2"}, {names.NODE_ANNOTATION: "rec-2"}
    return {
        "metadata": {
            "name": "train-1", "namespace": "team", "uid": "uid-train-1", "resourceVersion": "2",
            "labels": labels, "annotations": annotations,
        },
        "spec": {"schedulerName": "x", "containers": [{"name": "c", "image": "i"}]},
        "status": {"phase": "Pending"},
    }  # fmt: skip


@pytest.mark.parametrize("of_gang", ["RUNNING", "PENDING"])
@pytest.mark.parametrize("named", [True, False])
async def test_after_a_restart_a_pod_that_queues_on_its_own_keeps_its_job(
    tmp_path: Path, named: bool, of_gang: str
) -> None:
    """Whether its condition names the job or was never written; though its gang would have room."""
    first = running() if of_gang == "RUNNING" else told_of(member(0), 1)
    second = told_of(member(1), 2) if named else member(1)

    def prepare(it: Driving) -> None:
        a_gang_and_a_pod_alone(it, first, second, of_gang=of_gang)

    async with driving(tmp_path, prepare) as it:
        await it.until(lambda: it.state(ALONE) is State.QUEUED)
        await it.pass_time(15)
        assert it.slurm_states() == {1: of_gang, 2: "PENDING"}
        assert it.cluster.gang_of(second.build().uid) == ALONE
        assert not it.server.seen("PATCH", PATH), "it is pinned nowhere"


async def test_a_pod_whose_own_job_was_granted_while_the_bridge_was_down_runs_under_it(
    tmp_path: Path,
) -> None:
    """It waited for that, and its gang has a slot for it by now."""

    def prepare(it: Driving) -> None:
        it.server.on("PATCH", PATH, ok(pinned_alone()))
        a_gang_and_a_pod_alone(it, running(), told_of(member(1), 2), state="RUNNING")

    async with driving(tmp_path, prepare) as it:
        await it.until(lambda: it.state(ALONE) is State.RUNNING)
        await it.pass_time(15)
        assert it.slurm_states() == {1: "RUNNING", 2: "RUNNING"}
        (patch,) = it.server.seen("PATCH", PATH)
        assert patch.body["metadata"]["labels"] == {names.JOB_ID_LABEL: "2"}


async def test_a_scancel_of_its_own_job_while_the_bridge_was_down_ends_the_pod(
    tmp_path: Path,
) -> None:
    """As it would have done a moment before: the pod does not come back as a member of its gang."""

    def prepare(it: Driving) -> None:
        it.server.on("PATCH", f"{PATH}/status", ok(pinned_alone()))
        it.server.on("DELETE", PATH, ok(pinned_alone()))
        a_gang_and_a_pod_alone(it, running(), told_of(member(1), 2), state="CANCELLED")

    async with driving(tmp_path, prepare) as it:
        await it.until(lambda: it.server.seen("DELETE", PATH))
        await it.pass_time(6)
        assert it.slurm_states() == {1: "RUNNING", 2: "CANCELLED"}
        assert not it.server.seen("PATCH", PATH)


async def test_after_a_restart_a_pod_that_runs_on_its_own_is_left_alone(tmp_path: Path) -> None:
    """Its label names its job, and no gang is written beside it."""
    alone = member(1).pinned(2, "rec-2").bound("rec-2").in_phase("Running")

    def prepare(it: Driving) -> None:
        a_gang_and_a_pod_alone(it, running(), alone, state="RUNNING")

    async with driving(tmp_path, prepare) as it:
        assert it.state(ALONE) is State.RUNNING
        await it.pass_time(15)
        assert it.slurm_states() == {1: "RUNNING", 2: "RUNNING"}


async def test_a_pod_that_has_its_place_in_the_gang_needs_no_job_of_its_own(
    tmp_path: Path,
) -> None:
    """Never two jobs for one pod."""
    second = member(1).pinned(1, "rec-2", gang=GANG).bound("rec-2").in_phase("Running")

    def prepare(it: Driving) -> None:
        a_gang_and_a_pod_alone(it, running(), second)

    async with driving(tmp_path, prepare) as it:
        await it.pass_time(6)
        assert it.slurm_states() == {1: "RUNNING", 2: "CANCELLED"}
        assert it.cluster.gang_of(second.build().uid) == GANG


async def test_a_job_that_is_met_before_its_pod_is_known_waits_for_the_pod(
    tmp_path: Path,
) -> None:
    """The watch may tell of the pod, or of its owner, only after Slurm's jobs were looked through;
    also where the gang has decided meanwhile."""

    def prepare(it: Driving) -> None:
        a_gang_and_a_pod_alone(it, told_of(member(0), 1), of_gang="PENDING")

    async with driving(tmp_path, prepare) as it:
        await it.until(lambda: it.state(GANG) is State.QUEUED)
        it.create(member(1))
        await it.pass_time(15)
        assert it.slurm_states() == {1: "PENDING", 2: "PENDING"}
        assert it.state(ALONE) is State.QUEUED

    def without_owner(it: Driving) -> None:
        it.a_job(GANG)
        it.a_job(ALONE)
        it.create(told_of(member(0), 1))
        it.create(told_of(member(1), 2))

    async with driving(tmp_path, without_owner, recover=False) as it:
        await it.pass_time(3)
        know_owner(it)
        await it.until(lambda: it.state(ALONE) is State.QUEUED)
        await it.pass_time(15)
        assert it.slurm_states() == {1: "PENDING", 2: "PENDING"}


async def test_only_a_job_of_this_clusters_bridge_splits_a_pod_off(tmp_path: Path) -> None:
    """Whatever the pod says of itself: the job is somebody else's, and is not touched."""
    another = identity.format(JobIdentity("elsewhere", ALONE, 0, "Job/team/train"))
    forged = json.dumps({**json.loads(identity.format(JobIdentity("c", ALONE, 0, "o"))), "x": 1})
    for comment in (another, forged, "theirs"):

        def prepare(it: Driving, comment: str = comment) -> None:
            know_owner(it)
            it.a_job(GANG)
            it.rest.add(admin_comment=comment)
            it.create(told_of(member(0), 1))
            it.create(told_of(member(1), 2))

        async with driving(tmp_path, prepare) as it:
            await it.until(lambda: it.state(GANG) is State.QUEUED)
            await it.pass_time(12)
            assert it.slurm_states() == {1: "PENDING", 2: "PENDING"}
            assert it.cluster.gang_of(member(1).build().uid) == GANG
            assert it.state(ALONE) is None
