"""Every kind of workload that people create, from its manifest to what Slurm shows of it."""

from pathlib import Path

import pytest

from tests.arena.api import Object, documents, wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes, condition
from tests.arena.controllers import Controllers
from tests.arena.fixtures import Begin
from tests.flows import changes, holdings, kinds
from tests.flows.conftest import MANIFESTS


@pytest.mark.parametrize("story", kinds.STORIES, ids=lambda story: story.manifest)
def test_a_manifest_becomes_what_the_table_says(
    defined: None, arena: Arena, begin: Begin, created: list[Path], story: kinds.Story
) -> None:
    """Created with kubectl: all pods run, Slurm holds just what they ask for; deleted: nothing."""
    before = _known_jobs(arena)
    begin(story.nodes)
    played = story.controllers + (story.lacking if arena.kind == "embedded" else ())
    with Controllers(arena.kubernetes, NAMESPACE, played, tls=arena.loopback_tls()):
        manifest = MANIFESTS / f"{story.manifest}.yaml"
        created.append(manifest)
        arena.create_file(manifest)
        if story.first is not None:
            story.first(arena)
        _wait_as_wanted(arena, story, story.jobs, story.running)
        if story.then is not None:
            story.then(arena)
            jobs = story.jobs_then or story.jobs
            pods = sum(job.tasks for job in jobs) if story.jobs_then else story.running
            _wait_as_wanted(arena, story, jobs, pods)
        assert arena.observer is not None
        submitted = (arena.observer.report.jobs | _known_jobs(arena)) - before
        assert story.may_submit_again or len(submitted) == story.submitted
        arena.delete_file(manifest)
        # A controller may have been about to create one more pod, which nobody owns then; and the
        # garbage collector looks for new kinds (CRDs) only every half a minute.
        wait_for("its pods are gone", lambda: not arena.kubernetes.pods(NAMESPACE), seconds=75)
        arena.wait_idle(seconds=40)  # an owner that may not be read is waited for


def _known_jobs(arena: Arena) -> set[int]:
    """Those that Slurm still remembers, ended ones for half a minute."""
    return {int(job["job_id"]) for job in arena.slurm.jobs()}


def _wait_as_wanted(
    arena: Arena, story: kinds.Story, wanted: tuple[holdings.Held, ...], pods: int
) -> None:
    """Until all pods run and Slurm's jobs are those of the table."""
    wait_for(f"{pods} pods run", lambda: len(changes.running(arena)) == pods, seconds=story.seconds)

    def settled() -> bool:
        jobs = arena.slurm.live_jobs()
        return all(job["job_state"] == ["RUNNING"] for job in jobs) and not kinds.differences(
            story, wanted, jobs
        )

    try:
        wait_for("Slurm's jobs are as in the table", settled, seconds=5)
    except AssertionError:
        raise AssertionError(kinds.differences(story, wanted, arena.slurm.live_jobs())) from None


def test_a_gang_whose_other_pods_are_refused_holds_nothing(
    defined: None, arena: Arena, begin: Begin, created: list[Path]
) -> None:
    """An MPIJob whose workers have resourceClaims: the webhook lets the launcher in and none of
    them. No job is made for the launcher; it and the MPIJob say what to correct."""
    begin(Nodes(count=2))
    manifest = MANIFESTS / "mpijob.yaml"
    created.append(manifest)
    (mpijob,) = documents(manifest, NAMESPACE)
    worker = mpijob["spec"]["mpiReplicaSpecs"]["Worker"]["template"]["spec"]
    worker["resourceClaims"] = [{"name": "fast", "resourceClaimTemplateName": "fast"}]
    with Controllers(arena.kubernetes, NAMESPACE, ("mpijob",), tls=arena.loopback_tls()):
        arena.create(mpijob)
        (launcher,) = arena.wait_pods(1, "says why", _says_refused, seconds=30)
        told = wait_for("the MPIJob says why", lambda: _told_refused(arena))
        arena.hold_for(3.0, lambda: not arena.slurm.live_jobs())
    for text in (str((condition(launcher) or {})["message"]), told):
        assert "MPIJob cfd is not queued in Slurm, because its worker pods will be refused" in text
        assert "spec.resourceClaims" in text


def _says_refused(pod: Object) -> bool:
    return "spec.resourceClaims" in str((condition(pod) or {}).get("message"))


def _told_refused(arena: Arena) -> str:
    """What an event of the MPIJob says."""
    return next(
        (
            str(event["note"])
            for event in arena.kubernetes.events(NAMESPACE)
            if event["reason"] == "PodsRefused" and event["regarding"]["kind"] == "MPIJob"
        ),
        "",
    )
