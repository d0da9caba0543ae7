"""Gangs that lack nodes ask Cluster Autoscaler for them by ProvisioningRequests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bridge import names
from tests.arena import manifests
from tests.arena.api import Object, path_of, wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes, condition, node_of
from tests.arena.fixtures import Begin

CAPACITY = "slurm-bridge-capacity"
REQUESTS = f"/apis/autoscaling.x-k8s.io/v1/namespaces/{CAPACITY}/provisioningrequests"
TEMPLATES = f"/api/v1/namespaces/{CAPACITY}/podtemplates"
CRD = (
    Path(__file__).parents[1]
    / "manifests/autoscaling/provisioningrequests.autoscaling.x-k8s.io.yaml"
)


@pytest.fixture
def definition(arena: Arena, begin: Begin) -> Iterator[Object]:
    """The kind, which is not served yet; in the end it is away again, and so is the bridge that
    knows it."""
    if arena.kubernetes.find(f"/api/v1/namespaces/{CAPACITY}") is None:
        arena.create(manifests.namespace(CAPACITY))
    made = yaml.safe_load(CRD.read_text())
    yield made
    arena.kubernetes.delete(path_of(made))


def requests(arena: Arena) -> list[Object]:
    """Those that are there."""
    found: list[Object] = arena.kubernetes.get(REQUESTS)["items"]
    return found


def wait_asked(arena: Arena, count: int) -> Object:
    """Until there is one request, for so many pods."""

    def found() -> Object | None:
        answer = arena.kubernetes.http.get(REQUESTS)
        there = answer.json()["items"] if answer.is_success else []
        sizes = [[one["count"] for one in request["spec"]["podSets"]] for request in there]
        return there[0] if sizes == [[count]] else None

    asked: Object = wait_for(f"a request for {count} pods", found)
    return asked


def set_condition(arena: Arena, request: Object, kind: str, message: str) -> None:
    """As Cluster Autoscaler does it."""
    said = {
        "type": kind,
        "status": "True",
        "reason": "Tested",
        "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    path = f"{REQUESTS}/{request['metadata']['name']}/status"
    arena.kubernetes.patch(path, {"status": {"conditions": [said]}})


def events(arena: Arena, pod: str) -> str:
    """What the pod's events say."""
    return "\n".join(event["note"] for event in arena.kubernetes.events(NAMESPACE, pod))


def told(pod: Object) -> str:
    """What its Allocated condition says while it waits."""
    found = condition(pod)
    return str(found["message"]) if found is not None and found["status"] == "False" else ""


def test_a_gang_asks_by_one_request_that_lasts_until_it_is_not_needed(
    arena: Arena, begin: Begin, definition: Object
) -> None:
    """While the kind is not served, pods say so. Then one request asks for what is missing, and its
    conditions are told; a restarted bridge finds it. It ends when the nodes are there. One that the
    autoscaler gives up is withdrawn."""
    begin(Nodes(count=1), capacity={"mode": "provisioningRequest"}, conditionIntervalS=1)
    arena.create(manifests.job("wide", NAMESPACE, count=3, gang=True, gpus=8))
    arena.wait_pods(3, "are told", lambda pod: "has no ProvisioningRequest" in told(pod))
    arena.create(definition)
    request = wait_asked(arena, 2)
    assert request["metadata"]["annotations"][names.GANG_ID_ANNOTATION]
    (pod_set,) = request["spec"]["podSets"]
    template = arena.kubernetes.get(f"{TEMPLATES}/{pod_set['podTemplateRef']['name']}")
    (container,) = template["template"]["spec"]["containers"]
    assert container["resources"]["requests"]["nvidia.com/gpu"] == "8"
    set_condition(arena, request, "Accepted", "it is looked for nodes")
    sentence = "is Accepted: it is looked for nodes"
    arena.wait_pods(3, "are told of the condition", lambda pod: sentence in told(pod))
    arena.bridge.kill()
    arena.bridge.start()
    arena.wait_registered(arena.add_nodes(Nodes(count=1, prefix="auto")))
    arena.hold_for(1.5, lambda: requests(arena)[0]["metadata"]["uid"] == request["metadata"]["uid"])
    arena.add_nodes(Nodes(count=1, prefix="auto"))
    arena.wait_pods(3, "run", node_of, of_job="wide", seconds=60)
    wait_for("no request is left", lambda: not requests(arena))
    wait_for("no template is left", lambda: not arena.kubernetes.get(TEMPLATES)["items"])

    arena.create(manifests.pod("large", NAMESPACE, gpus=16))
    set_condition(arena, wait_asked(arena, 1), "Failed", "no such machine")
    wait_for("no request is left", lambda: not requests(arena))
    wait_for("the pod is told", lambda: "is Failed: no such machine" in events(arena, "large"))
    reasons = {event["reason"] for event in arena.kubernetes.events(NAMESPACE)}
    assert {"NewNodesNotAsked", "NewNodesAsked", "NewNodesNotCome"} <= reasons
