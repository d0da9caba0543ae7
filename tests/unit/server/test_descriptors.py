"""How many connections fit under the limit of open files."""

import resource
from collections.abc import Iterator

import pytest

from bridge.server import descriptors


@pytest.fixture(autouse=True)
def _same_limit_afterwards() -> Iterator[None]:
    """The limits of this process are its own."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_raised_to_what_the_host_allows() -> None:
    """The soft limit becomes the hard one; a limit that is high enough stays."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    descriptors.raise_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(hard, 65_536), hard)
    descriptors.raise_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(hard, 65_536)


@pytest.mark.parametrize(("soft", "room"), [(10_000, 2048), (2560, 2048), (1524, 1012), (600, 300)])
def test_room_for_connections(soft: int, room: int) -> None:
    """Enough descriptors are left for everything else."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert descriptors.room_for(2048) == room
