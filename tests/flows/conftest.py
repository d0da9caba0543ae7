"""Which stack the stories run on, and what each story gets."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.arena.arena import Arena, Nodes
from tests.arena.embedded import EmbeddedArena
from tests.arena.real import RealArena

Begin = Callable[..., list[str]]


@pytest.fixture(scope="session")
def stage(request: pytest.FixtureRequest) -> Iterator[Arena]:
    """The stack, started once."""
    stack = RealArena if request.config.getoption("--stack") == "real" else EmbeddedArena
    with contextlib.closing(stack()) as started:
        yield started


@pytest.fixture
def arena(stage: Arena) -> Arena:
    """The stack, for one story."""
    return stage


@pytest.fixture
def begin(arena: Arena, tmp_path: Path) -> Iterator[Begin]:
    """Start the story's bridge and nodes; the observer's verdict comes at its end."""
    begun = False

    def start(nodes: Nodes | None = None, **settings: Any) -> list[str]:
        nonlocal begun
        begun = True
        return arena.begin(tmp_path, nodes or Nodes(), **settings)

    yield start
    if begun:
        arena.finish()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A killed bridge leaves connections half open in the embedded servers, which live in this
    process: the collector may find such a socket before its server does. Nobody's fault."""
    tolerant = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    for item in items:
        if "flows" in item.path.parts:
            item.add_marker(tolerant)
