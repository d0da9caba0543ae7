"""Which needs an autoscaler can be told of."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.jobs import dependencies, jobspec, new_nodes, tasks
from bridge.model.capacity import GangNeed
from bridge.model.gang import Dependency, Gang, JobParameters
from bridge.model.resources import Resources
from bridge.model.scheduling import (
    HostPort,
    NodeSelectorTerm,
    PodShape,
    Requirement,
)
from bridge.state.slurm_facts import PartitionFacts
from tests.builders import a_gang, a_pod, app, beside

SHAPE = PodShape(Resources(cpu_milli=1500, extended=(("nvidia.com/gpu", 8),)))
HOST = "kubernetes.io/hostname"


def need(gang: Gang, **rules: Any) -> GangNeed | None:
    return new_nodes.of(
        gang,
        tasks.Plan((tasks.Tasks(gang.size, gang.shape),), "alike"),
        [a_pod().build()],
        rules=jobspec.Rules("p", 1024, **rules),
        partitions=PartitionFacts(known=frozenset({"p", "q"}), max_nodes={"q": 4}),
        resolve=dependencies.nobody,
    )


def a_gang_of(shape: PodShape = SHAPE, **parameters: Any) -> Gang:
    gang = a_gang("g", size=4, shape=shape, identity=app())
    return replace(gang, parameters=JobParameters(**parameters))


def per_node(gang: Gang, **rules: Any) -> int:
    """How many of its tasks one node may have; 0 is no limit."""
    found = need(gang, **rules)
    assert found is not None
    return found.parts[0].per_node


def test_tasks_ask_for_what_slurm_gives_them() -> None:
    """Whole CPUs, at least as many as the user said; so new nodes are not too small in Slurm."""
    found = need(a_gang_of(partition="q"))
    assert found is not None
    assert (found.partition, found.most_nodes) == ("q", 4)
    (part,) = found.parts
    assert (part.count, part.shape.requests.cpu_milli) == (4, 2000)
    raised = need(a_gang_of(cpu_per_task=12))
    assert raised is not None
    assert raised.parts[0].shape.requests.cpu_milli == 12_000


def test_tasks_that_share_no_node_say_so() -> None:
    """By the setting, by an annotation, by a host port, by anti-affinity, by their number."""
    assert per_node(a_gang_of()) == 0
    assert per_node(a_gang_of(), exclusive=True) == 1
    assert per_node(a_gang_of(exclusive=True)) == 1
    assert per_node(a_gang_of(replace(SHAPE, host_ports=(HostPort(80),)))) == 1
    assert per_node(a_gang_of(replace(SHAPE, pod_anti_affinity=(beside(HOST),)))) == 1
    assert per_node(a_gang_of(min_nodes=4)) == 1
    assert per_node(a_gang_of(min_nodes=2)) == 3


@pytest.mark.parametrize(
    "parameters",
    [
        {"constraints": "fast"},
        {"reservation": "later"},
        {"licenses": "matlab"},
        {"gres": "shard:4"},
        {"partition": "none"},
        {"dependency": (Dependency("afterok", "job/first"),)},
        {"dependency": (Dependency("after", "123"),)},
    ],
)
def test_what_only_slurm_knows_buys_no_nodes(parameters: dict[str, Any]) -> None:
    """New nodes may be of no use to such a gang."""
    assert need(a_gang_of(**parameters)) is None


NAMED = NodeSelectorTerm(fields=(Requirement("metadata.name", "In", ("n1",)),))
ZONE = NodeSelectorTerm((Requirement("zone", "In", ("a",)),))


@pytest.mark.parametrize(
    ("changes", "is_told"),
    [
        ({"node_selector": ((HOST, "n1"),)}, False),
        ({"affinity_terms": (NAMED,)}, False),
        ({"affinity_terms": (NAMED, ZONE)}, True),
        ({"affinity_terms": ()}, False),
        ({"volume_terms": ((NAMED,),)}, False),
        ({"volume_terms": ((ZONE,), (ZONE, ZONE))}, True),
        ({"pod_affinity": (beside("zone"),)}, False),
        ({"pod_anti_affinity": (beside("zone"),)}, False),
        ({"pod_anti_affinity": (beside(HOST, "others"),)}, False),
    ],
)
def test_pods_that_run_on_certain_nodes_only_buy_none(
    changes: dict[str, Any], is_told: bool
) -> None:
    """No new node has the name or the volume of an old one; and terms about other pods are not
    what an autoscaler is told."""
    assert (need(a_gang_of(replace(SHAPE, **changes))) is not None) == is_told
