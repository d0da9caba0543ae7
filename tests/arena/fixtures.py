"""What each story gets: the stack that it runs on, and a bridge on it."""

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

    def start(nodes: Nodes | None = None, /, **settings: Any) -> list[str]:
        nonlocal begun
        begun = True
        return arena.begin(tmp_path, nodes or Nodes(), **settings)

    yield start
    if begun:
        arena.finish()
