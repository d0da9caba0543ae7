"""What pods of other schedulers may use of a registered node without its leaving Slurm."""

from collections.abc import Iterator

import pytest

from tests.arena import manifests
from tests.arena.api import Object, path_of, wait_for
from tests.arena.arena import PLAIN_NAMESPACE, Arena, Nodes, node_of, phase
from tests.arena.fixtures import Begin

HEADROOM = {"cpuHeadroomMilli": 500, "memoryHeadroomMib": 1024}
LEAVES = ("node.deleted", "node.drained")
MEMORY_MIB = 1023 * 1024
"""Of a node with 1 TiB, less the headroom."""


def an_agent(cpu: str) -> Object:
    """A DaemonSet that is rolled out node by node, the new pod before the old one ends."""
    template = {
        "metadata": {"labels": {"app": "agent"}},
        "spec": manifests.pod_spec(cpu=cpu, tolerations=[{"operator": "Exists"}]),
    }
    rolling = {"maxSurge": 1, "maxUnavailable": 0}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "agent", "namespace": PLAIN_NAMESPACE},
        "spec": {
            "selector": {"matchLabels": {"app": "agent"}},
            "template": template,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
        },
    }


@pytest.fixture
def agents(arena: Arena, begin: Begin) -> Iterator[Object]:
    """A DaemonSet that asks for 900m; it goes with the story."""
    made = an_agent("900m")
    yield made
    arena.kubernetes.delete(path_of(made))
    for pod in arena.kubernetes.pods(PLAIN_NAMESPACE):
        arena.delete_pod(pod["metadata"]["name"], PLAIN_NAMESPACE)
    wait_for("no pod is left", lambda: not arena.kubernetes.pods(PLAIN_NAMESPACE), seconds=60)


def roll_out(arena: Arena, cpu: str, *, nodes: list[str]) -> None:
    """The new template, until it is on every node. The embedded controller does not roll out by
    itself: there each old pod is deleted, and no surge is seen."""
    made = an_agent(cpu)
    arena.kubernetes.patch(path_of(made), {"spec": {"template": made["spec"]["template"]}})
    if arena.kind == "embedded":
        for pod in arena.kubernetes.pods(PLAIN_NAMESPACE):
            arena.delete_pod(pod["metadata"]["name"], PLAIN_NAMESPACE)
    wait_agents(arena, cpu, nodes)


def wait_agents(arena: Arena, cpu: str, nodes: list[str]) -> None:
    def runs(pod: Object) -> bool:
        (container,) = pod["spec"]["containers"]
        return phase(pod) == "Running" and container["resources"]["requests"]["cpu"] == cpu

    pods = arena.wait_pods(
        len(nodes), f"run with {cpu}", runs, namespace=PLAIN_NAMESPACE, seconds=60
    )
    assert {node_of(pod) for pod in pods} == set(nodes)


def passes(arena: Arena, seconds: float = 2.5) -> None:
    """The bridge looks at the nodes again, and none of them is drained or gone at any time."""
    names = arena.slurm.nodes().keys()

    def stay() -> bool:
        known = arena.slurm.nodes()
        return known.keys() == names and not any("DRAIN" in one["state"] for one in known.values())

    arena.hold_for(seconds, stay)


def told(arena: Arena) -> dict[str, tuple[int, int]]:
    """CPUs and MiB that Slurm has of each node."""
    return {
        name: (one["cpus"], one["real_memory"]) for name, one in sorted(arena.slurm.nodes().items())
    }


def left_slurm(arena: Arena, nodes: list[str]) -> list[str]:
    """The lines of the bridge's log about those nodes that were taken out or drained; not because
    their kubelet was late."""
    lines = arena.bridge.log().splitlines()
    words = [f"{word} slurm_node={node} " for node in nodes for word in LEAVES]
    said = [line for line in lines if any(one in line for one in words)]
    return [line for line in said if "not ready in Kubernetes" not in line]


def test_a_roll_out_leaves_nodes_in_slurm_unless_it_needs_more_than_the_headroom(
    arena: Arena, begin: Begin, agents: Object
) -> None:
    """Old and new pod count once, and the new one may use the headroom. A larger one has each node
    registered again with less, once."""
    nodes = begin(Nodes(count=2, cpus=96), nodes=HEADROOM)
    arena.create(agents)
    wait_agents(arena, "900m", nodes)
    assert told(arena) == dict.fromkeys(sorted(nodes), (95, MEMORY_MIB)), "in whole CPUs"
    roll_out(arena, "1", nodes=nodes)
    passes(arena)
    assert told(arena) == dict.fromkeys(sorted(nodes), (95, MEMORY_MIB))
    assert not left_slurm(arena, nodes)
    roll_out(arena, "1100m", nodes=nodes)
    wanted = dict.fromkeys(sorted(nodes), (94, MEMORY_MIB))
    wait_for("they are registered again", lambda: told(arena) == wanted, seconds=30)
    roll_out(arena, "2", nodes=nodes)
    passes(arena)
    assert told(arena) == wanted
    assert len([line for line in left_slurm(arena, nodes) if "node.deleted" in line]) == len(nodes)


def test_a_pod_that_comes_and_goes_within_the_headroom_changes_nothing(
    arena: Arena, begin: Begin
) -> None:
    """Nor does one of any size that only names the node: Kubernetes ends it there, for it does not
    tolerate the node's taint."""
    (node,) = begin(Nodes(count=1, cpus=96), nodes=HEADROOM)
    assert told(arena) == {node: (95, MEMORY_MIB)}
    debug = manifests.pod(
        "debug", PLAIN_NAMESPACE, cpu="1", memory="1Gi", run_s=1, nodeName=node,
        tolerations=[{"operator": "Exists"}],
    )  # fmt: skip
    arena.create(debug)
    arena.wait_pod(
        "debug", "ends", lambda pod: phase(pod) == "Succeeded", namespace=PLAIN_NAMESPACE
    )
    ends_late = {manifests.DIE_SECONDS: "3"}
    huge = manifests.pod(
        "huge", PLAIN_NAMESPACE, cpu="90", nodeName=node, grace_s=10, annotations=ends_late
    )
    arena.create(huge)
    arena.wait_gone("huge", namespace=PLAIN_NAMESPACE, seconds=40)
    passes(arena)
    assert told(arena) == {node: (95, MEMORY_MIB)}
    assert not left_slurm(arena, [node])
