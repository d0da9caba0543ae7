"""Every kind of workload that people create, from its manifest to what Slurm shows of it."""

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.arena.api import path_of, wait_for
from tests.arena.arena import NAMESPACE, Arena
from tests.arena.controllers import Controllers
from tests.arena.fixtures import Begin
from tests.flows import changes, holdings, kinds

MANIFESTS = Path(__file__).parents[1] / "manifests"


@pytest.fixture(scope="module")
def defined(stage: Arena) -> Iterator[None]:
    """The kinds that no Kubernetes brings along; a new bridge, which finds them there."""
    stage.end_bridge()
    definitions = [yaml.safe_load(one.read_text()) for one in sorted(MANIFESTS.glob("crds/*"))]
    for one in definitions:
        if stage.kubernetes.find(path_of(one)) is None:
            stage.kubernetes.create(one)
    for one in definitions:
        spec = one["spec"]
        path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
        wait_for(f"{path} is served", functools.partial(_is_served, stage, path))
    yield
    for one in definitions:
        stage.kubernetes.delete(path_of(one))
    stage.end_bridge()


def _is_served(arena: Arena, path: str) -> bool:
    """A real API server says 404 first, then for a second 429 (the storage is being made)."""
    return arena.kubernetes.http.get(path).is_success


@pytest.fixture
def created(arena: Arena, begin: Begin) -> Iterator[list[Path]]:
    """Manifests that a story has created: gone before the story ends, whatever happens."""
    made: list[Path] = []
    yield made
    for manifest in made:
        arena.delete_file(manifest)


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
