"""Gangs that no present nodes could ever take ask an autoscaler for the nodes that are missing."""

from collections.abc import Iterator

import pytest

from bridge import names
from tests.arena import manifests
from tests.arena.api import Object, wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes, condition, node_of
from tests.arena.autoscaler import Autoscaler, StandIn
from tests.arena.fixtures import Begin
from tests.arena.karpenter import Karpenter
from tests.arena.real import RealArena

CAPACITY = "slurm-bridge-capacity"
ASKING = {"mode": "placeholderPods"}
ADDRESS = "127.1.0.99"
"""Nodes of Karpenter's kwok provider have no addresses."""


@pytest.fixture
def autoscaler(arena: Arena, begin: Begin) -> Iterator[Autoscaler]:
    """It gives nodes of 8 GPUs: Karpenter on the real stack."""
    kind = Nodes(gpus=8)
    made = Karpenter(arena, kind) if isinstance(arena, RealArena) else StandIn(arena, kind)
    with made.running() as found:
        yield found


@pytest.fixture
def namespace(arena: Arena) -> None:
    """The one where the bridge may create pods."""
    if arena.kubernetes.find(f"/api/v1/namespaces/{CAPACITY}") is None:
        arena.create(manifests.namespace(CAPACITY))


def told(pod: Object) -> str:
    """What its Allocated condition says while it waits."""
    found = condition(pod)
    return str(found["message"]) if found is not None and found["status"] == "False" else ""


def placeholders(arena: Arena) -> list[Object]:
    """The pods that stand for missing nodes."""
    return arena.kubernetes.pods(CAPACITY)


def wait_asked(arena: Arena, count: int) -> list[Object]:
    """Until just so many pods show the autoscaler that nodes are missing."""

    def found() -> list[Object]:
        pods = placeholders(arena)
        shown = [pod for pod in pods if condition(pod, "PodScheduled")]
        return pods if len(pods) == len(shown) == count else []

    pods: list[Object] = wait_for(f"{count} pods ask for nodes", found)
    return pods


def wait_not_asking(arena: Arena) -> None:
    """Until nothing is asked for."""
    wait_for("no request is left", lambda: not placeholders(arena))


def test_a_gang_gets_the_nodes_that_are_missing_and_idle_ones_go(
    arena: Arena, begin: Begin, namespace: None, autoscaler: Autoscaler
) -> None:
    """One node is there, three are needed: two are made, not three. They join Slurm, the gang runs,
    and nothing is asked for any more. When it has ended, they leave no trace in Slurm."""
    begin(Nodes(count=1), capacity=ASKING, nodes={"address": ADDRESS})
    arena.create(manifests.job("wide", NAMESPACE, count=3, gang=True, gpus=8))
    arena.wait_pods(3, "run", node_of, of_job="wide", seconds=60)
    wait_not_asking(arena)
    assert autoscaler.made == 2
    events = {event["reason"] for event in arena.kubernetes.events(NAMESPACE)}
    assert "NewNodesAsked" in events
    arena.delete_job("wide")
    wait_for("the new nodes have left Slurm", lambda: len(arena.slurm.nodes()) == 1, seconds=120)


def test_nodes_that_come_one_after_the_other_are_kept_for_their_gang(
    arena: Arena, begin: Begin, namespace: None, autoscaler: Autoscaler
) -> None:
    """The first one stands empty for longer than the autoscaler keeps empty nodes. Still it is not
    removed, and no node is made twice."""
    autoscaler.limit(1)
    begin(Nodes(count=1), capacity=ASKING, nodes={"address": ADDRESS})
    arena.create(manifests.job("wide", NAMESPACE, count=3, gang=True, gpus=8))
    wait_for("the first one is in Slurm", lambda: len(arena.slurm.nodes()) == 2)
    wait_asked(arena, 1)
    arena.hold_for(12.0, lambda: len(arena.slurm.nodes()) == 2)
    autoscaler.limit(2)
    arena.wait_pods(3, "run", node_of, of_job="wide", seconds=60)
    assert autoscaler.made == 2
    arena.delete_job("wide")
    arena.wait_idle()


def test_a_busy_pool_is_a_queue(arena: Arena, begin: Begin, namespace: None) -> None:
    """Nothing is asked for a pod that present nodes could take when others have ended; nor for one
    that asks Slurm for more than nodes."""
    begin(Nodes(count=1), capacity=ASKING)
    arena.create(manifests.pod("first", NAMESPACE, gpus=8))
    arena.wait_bound("first")
    arena.create(manifests.pod("second", NAMESPACE, gpus=8))
    reserved = {f"{manifests.JOB}reservation": "later"}
    arena.create(manifests.pod("reserved", NAMESPACE, gpus=16, annotations=reserved))
    arena.wait_pod("second", "waits in Slurm", lambda pod: "Slurm job" in told(pod))
    arena.wait_pod("reserved", "is told", lambda pod: "16 asked" in told(pod))
    arena.hold_for(3.0, lambda: not placeholders(arena))


def test_a_request_survives_the_bridge_and_ends_with_its_gang(
    arena: Arena, begin: Begin, namespace: None
) -> None:
    """The same pods ask after a restart. None of them can ever run. When some pods are enough, the
    others go; when the gang goes, all do."""
    begin(Nodes(count=1), capacity=ASKING)
    arena.create(manifests.job("wide", NAMESPACE, count=4, gang=True, gpus=8))
    before = {pod["metadata"]["uid"] for pod in wait_asked(arena, 3)}
    assert {pod["spec"]["schedulerName"] for pod in placeholders(arena)} == {
        names.CAPACITY_SCHEDULER_NAME
    }
    sentence = "It waits for new nodes for 3 of its pods: the autoscaler was asked at "
    arena.wait_pods(4, "are told", lambda pod: sentence in told(pod))
    arena.bridge.kill()
    arena.bridge.start()
    arena.wait_registered(arena.add_nodes(Nodes(count=1, prefix="more")))
    left = wait_asked(arena, 2)
    assert {pod["metadata"]["uid"] for pod in left} < before
    assert not any(map(node_of, left))
    arena.delete_job("wide")
    wait_not_asking(arena)


def test_a_request_that_brings_nothing_is_withdrawn(
    arena: Arena, begin: Begin, namespace: None
) -> None:
    """The pods say so, and that it will be made again."""
    begin(Nodes(count=1), capacity={**ASKING, "timeoutS": 3})
    arena.create(manifests.pod("large", NAMESPACE, gpus=16))
    wait_asked(arena, 1)
    wait_not_asking(arena)
    arena.wait_pod(
        "large", "is told", lambda pod: "did not come in time; it is asked again" in told(pod)
    )
