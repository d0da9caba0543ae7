"""Memory per CPU, where several pods may share a node."""

from dataclasses import replace

import pytest

from bridge.jobs import memory
from bridge.jobs.memory import Memory
from bridge.model.gang import JobParameters
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from tests.builders import a_gang

EIGHTH = a_gang("g", size=8, shape=PodShape(Resources(12_000, 125_000 << 20)))


@pytest.mark.parametrize(
    ("parameters", "cpus", "round_down", "per_cpu"),
    [
        (JobParameters(), 12, False, 10_417),
        (JobParameters(), 12, True, 10_416),
        (JobParameters(), 16, True, 7_813),
        (JobParameters(mem_per_node_mib=125_001), 12, True, 10_417),
    ],
)
def test_the_rest_is_rounded_down_only_where_the_nodes_ask_for_it(
    parameters: JobParameters, cpus: int, *, round_down: bool, per_cpu: int
) -> None:
    """Never what the user raised, nor with more CPUs than the pod's: nobody would count on it."""
    asked = memory.build(
        replace(EIGHTH, parameters=parameters), cpus_per_task=cpus, alone=False,
        partition_default=False, default_mib=1024, round_down=round_down,
    )  # fmt: skip
    assert asked == Memory(mib_per_cpu=per_cpu)


def test_a_pod_of_less_memory_than_cpus_holds_some() -> None:
    """A MiB a CPU is the least: no memory would be all of the node's."""
    tiny = a_gang("g", size=8, shape=PodShape(Resources(12_000, 5 << 20)))
    asked = memory.build(
        tiny, cpus_per_task=12, alone=False, partition_default=False, default_mib=1024,
        round_down=True,
    )  # fmt: skip
    assert asked == Memory(mib_per_cpu=1)
