"""Every kind of workload that people create, from its manifest to what Slurm shows of it."""

from pathlib import Path

import pytest

from tests.arena.api import wait_for
from tests.arena.arena import NAMESPACE, Arena
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
