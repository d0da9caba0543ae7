"""A cluster whose time only the test moves."""

from collections.abc import AsyncIterator

import pytest

from bridge.sim.kube.embedded import EmbeddedKubernetes
from tests.unit.sim.kube.clocks import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """Stands still until `advance`."""
    return ManualClock()


@pytest.fixture
async def k8s(clock: ManualClock) -> AsyncIterator[EmbeddedKubernetes]:
    """All parts, on that clock; without nodes."""
    async with EmbeddedKubernetes(clock=clock) as kubernetes:
        yield kubernetes
