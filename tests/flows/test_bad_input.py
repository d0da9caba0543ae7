"""What goes wrong is told where its author looks, with the remedy, and heals by itself."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.arena import manifests
from tests.arena.api import Object, wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes, condition
from tests.flows.conftest import Begin


@dataclass(frozen=True)
class Mistake:
    """One cause, where its message stands, what it says, how it goes away."""

    cause: str
    pod: Object
    says: str
    cure: Callable[[Arena], None]


def add_a_large_node(arena: Arena) -> None:
    arena.wait_registered(arena.add_nodes(Nodes(count=1, cpus=256, prefix="large")))


def label_a_node(arena: Arena) -> None:
    name = next(iter(arena.slurm.nodes()))
    labels = {"metadata": {"labels": {"example.com/zone": "moon"}}}
    arena.kubernetes.patch(f"/api/v1/nodes/{name}", labels)


CURABLE = [
    Mistake(
        "more CPUs than any node has",
        manifests.pod("huge", NAMESPACE, cpu="200"),
        "cpu",
        add_a_large_node,
    ),
    Mistake(
        "a node selector that no node matches",
        manifests.pod("picky", NAMESPACE, nodeSelector={"example.com/zone": "moon"}),
        "example.com/zone",
        label_a_node,
    ),
]


@pytest.mark.parametrize("mistake", CURABLE, ids=lambda mistake: mistake.cause)
def test_a_pod_that_no_node_can_take_says_so_and_runs_when_one_can(
    arena: Arena, begin: Begin, mistake: Mistake
) -> None:
    """Cause, condition `Allocated` with the nodes' own reason, cure, and the pod runs untouched."""
    begin(Nodes(count=1))
    name = mistake.pod["metadata"]["name"]
    arena.create(mistake.pod)
    told = arena.wait_pod(name, "says why", lambda pod: condition(pod) is not None)
    message = (condition(told) or {})["message"]
    assert mistake.says in message
    mistake.cure(arena)
    arena.wait_bound(name, seconds=10)  # news of nodes, not the retry after 15 s


def test_an_unknown_partition_is_named_with_those_that_exist(arena: Arena, begin: Begin) -> None:
    """In the pod's condition and in an event."""
    begin(Nodes(count=1))
    wish = {manifests.JOB + "partition": "gold"}
    arena.create(manifests.pod("lost", NAMESPACE, annotations=wish))
    pod = arena.wait_pod("lost", "says why", lambda pod: condition(pod) is not None)
    message = (condition(pod) or {})["message"]
    assert "no partition 'gold'" in message
    assert "slurm-bridge" in message


@pytest.mark.parametrize(
    ("suffix", "value", "says"),
    [
        ("timelimit", "soon", "minutes"),
        ("cpu-per-task", "many", "quantity"),
        ("max-nodes", "-1", "whole number"),
        ("gang", "perhaps", "true"),
    ],
)
def test_a_malformed_annotation_is_refused_when_the_pod_is_created(
    arena: Arena, begin: Begin, suffix: str, value: str, says: str
) -> None:
    """By the webhook: kubectl prints the annotation and the accepted forms."""
    begin(None)
    wish = {manifests.JOB + suffix: value}
    answer = arena.kubernetes.try_create(manifests.pod("typo", NAMESPACE, annotations=wish))
    assert answer.status_code in (400, 403, 422)
    assert manifests.JOB + suffix in answer.json()["message"]
    assert says in answer.json()["message"]


def test_a_slurm_that_is_down_delays_pods_and_loses_none(arena: Arena, begin: Begin) -> None:
    """slurmrestd away: the pod says so, running ones stay, and it runs when Slurm is back."""
    begin(Nodes(count=1))
    arena.create(manifests.pod("runs", NAMESPACE, gpus=1))
    runs = arena.wait_bound("runs")
    arena.stop_slurm()
    arena.create(manifests.pod("waits", NAMESPACE, gpus=1))
    pod = arena.wait_pod("waits", "says why", lambda pod: condition(pod) is not None, seconds=40)
    assert "Slurm" in (condition(pod) or {})["message"]
    wait_for("not ready", lambda: "slurm" in arena.bridge.ready())
    arena.start_slurm()
    arena.wait_bound("waits", seconds=60)
    wait_for("ready again", lambda: arena.bridge.ready() == "")
    now = arena.kubernetes.pod(NAMESPACE, "runs")
    assert now is not None
    assert now["metadata"]["uid"] == runs["metadata"]["uid"]
    assert "deletionTimestamp" not in now["metadata"]


def test_a_node_without_memory_is_not_registered_and_says_so(arena: Arena, begin: Begin) -> None:
    """An event on the node names what is missing; given memory, it is registered."""
    begin(Nodes(count=1))
    (name,) = arena.add_nodes(Nodes(count=1, memory_gib=0, prefix="empty"))
    wait_for(
        "an event on the node",
        lambda: [
            event
            for event in arena.kubernetes.events("default", name)
            if event["reason"] == "NotRegisteredInSlurm" and "memory" in event["note"]
        ],
    )
    assert name not in arena.slurm.nodes()
    assert arena.slurm.nodes()
