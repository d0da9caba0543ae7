"""Gangs that lack nodes get them by the replicas of a MachineDeployment."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bridge import names
from tests.arena import manifests
from tests.arena.api import Object, path_of, wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes, node_of
from tests.arena.fixtures import Begin

CAPACITY = "slurm-bridge-capacity"
"""Where the shipped role lets the bridge scale MachineDeployments."""
CRD = Path(__file__).parents[1] / "manifests/autoscaling/machinedeployments.cluster.x-k8s.io.yaml"
MACHINES = f"/apis/cluster.x-k8s.io/v1beta1/namespaces/{CAPACITY}/machinedeployments"
GROUP = {
    "apiVersion": "cluster.x-k8s.io/v1beta1",
    "kind": "MachineDeployment",
    "namespace": CAPACITY,
    "name": "gpu",
    "max": 4,
    "allocatable": {"cpu": "64", "memory": "512Gi", "nvidia.com/gpu": "8"},
    "labels": {"pool": "gpu"},
}


@pytest.fixture
def machines(arena: Arena, begin: Begin) -> Iterator[None]:
    """A MachineDeployment of one machine."""
    if arena.kubernetes.find(f"/api/v1/namespaces/{CAPACITY}") is None:
        arena.create(manifests.namespace(CAPACITY))
    definition = yaml.safe_load(CRD.read_text())
    arena.create(definition)
    wait_for("the kind is served", lambda: arena.kubernetes.http.get(MACHINES).is_success)
    arena.create(
        {
            "apiVersion": GROUP["apiVersion"],
            "kind": GROUP["kind"],
            "metadata": {"name": "gpu", "namespace": CAPACITY},
            "spec": {"replicas": 1},
        }
    )
    yield
    arena.kubernetes.delete(path_of(definition))


def machine(arena: Arena) -> Object:
    """The object."""
    return arena.kubernetes.get(f"{MACHINES}/gpu")


def replicas(arena: Arena) -> int:
    """How many it is to have."""
    return int(machine(arena)["spec"]["replicas"])


def note(arena: Arena) -> Object:
    """What is noted of who it was scaled up for."""
    annotations = machine(arena)["metadata"].get("annotations") or {}
    found: Object = json.loads(annotations.get(names.CAPACITY_ASKED_ANNOTATION, "{}"))
    return found


def tasks(arena: Arena) -> list[list[int]]:
    """The tasks that it was scaled up for, of each gang."""
    return [one["tasks"] for one in note(arena).get("gangs", {}).values()]


def come(arena: Arena, count: int) -> None:
    """Machines of the group become nodes."""
    for name in arena.add_nodes(Nodes(count=count, prefix="auto")):
        arena.kubernetes.patch(f"/api/v1/nodes/{name}", {"metadata": {"labels": GROUP["labels"]}})


def test_replicas_are_raised_once_and_by_what_is_missing(
    arena: Arena, begin: Begin, machines: None
) -> None:
    """One of three nodes is there: there are three replicas in the end, whenever the bridge starts
    anew and one after the other comes. A gang that is too large for the object gets nothing. When
    all run, no note is left, and the replicas stay."""
    begin(Nodes(count=1), capacity={"mode": "scale", "scaledObjects": [GROUP]})
    (first,) = arena.kubernetes.get("/api/v1/nodes")["items"]
    labels = {"metadata": {"labels": GROUP["labels"]}}
    arena.kubernetes.patch(f"/api/v1/nodes/{first['metadata']['name']}", labels)
    arena.create(manifests.job("wide", NAMESPACE, count=3, gang=True, gpus=8))
    wait_for("two more are asked for", lambda: replicas(arena) == 3)
    wait_for("it is noted for whom", lambda: note(arena))
    ((_, asked),) = note(arena)["gangs"].items()
    assert (asked["owner"], asked["tasks"]) == (f"Job/{NAMESPACE}/wide", [2])
    arena.bridge.kill()
    arena.bridge.start()
    come(arena, 1)
    wait_for(
        "one is missing", lambda: [1] in [one["tasks"] for one in note(arena)["gangs"].values()]
    )
    arena.create(manifests.job("wider", NAMESPACE, count=5, gang=True, gpus=8))
    wait_for(
        "the second gang is told",
        lambda: any(
            event["reason"] == "NewNodesNotAsked" for event in arena.kubernetes.events(NAMESPACE)
        ),
    )
    assert replicas(arena) == 3
    arena.delete_job("wider")
    come(arena, 1)
    arena.wait_pods(3, "run", node_of, of_job="wide", seconds=60)
    wait_for("no note is left", lambda: not note(arena))
    assert replicas(arena) == 3
