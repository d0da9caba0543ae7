"""What stories of kinds that no Kubernetes brings along get: these kinds, and a clean end."""

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.arena.api import path_of, wait_for
from tests.arena.arena import Arena
from tests.arena.fixtures import Begin

MANIFESTS = Path(__file__).parents[1] / "manifests"


@pytest.fixture(scope="module", autouse=True)
def split(stage: Arena) -> Iterator[None]:
    """On the real stack the bridge of these stories is two controllers, two extenders and two
    webhooks; on the embedded one, and in all other folders, it is one process."""
    stage.is_split = stage.kind == "real"
    yield
    stage.is_split = False


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
