"""What a pod asks for: each rule by a case, and all together against Kubernetes' own answers."""

import json
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import BadInput
from bridge.kube.objects import pods, templates
from bridge.model.resources import Resources
from tests.unit.kube import oracle

GI = 2**30
ANSWERS = (Path(oracle.__file__).with_name("answers.jsonl")).read_text().splitlines()


def asks(cpu: str | None = None, memory: str | None = None, **more: str) -> dict[str, Any]:
    """A container with requests."""
    requests = {"cpu": cpu, "memory": memory, **more}
    return {"resources": {"requests": {key: value for key, value in requests.items() if value}}}


def sidecar(cpu: str) -> dict[str, Any]:
    """An init container that keeps running."""
    return {**asks(cpu), "restartPolicy": "Always"}


def requests_of(status: Any = None, **spec: Any) -> Resources:
    """The requests of a pod with this spec."""
    if status:
        spec["nodeName"] = "n"
    return pods.parse({"spec": spec, "status": status}).shape.requests


@pytest.mark.parametrize("line", ANSWERS)
def test_as_kubernetes_says(line: str) -> None:
    """Requests and host ports of random pods are those that Kubernetes 1.36.3 computes."""
    case = json.loads(line)
    shape, answer = pods.parse(case["pod"]).shape, case["answer"]
    assert shape.requests == Resources(
        cpu_milli=answer["cpuMilli"],
        memory_bytes=answer["memory"],
        ephemeral_bytes=answer["ephemeral"],
        extended=tuple(sorted(answer["extended"].items())),
    )
    assert [(one.port, one.protocol, one.host_ip) for one in shape.host_ports] == [
        (one["port"], one["protocol"], one["hostIP"]) for one in answer["hostPorts"]
    ]


@pytest.mark.parametrize(
    ("spec", "cpu_milli"),
    [
        ({}, 0),
        ({"containers": [{}]}, 0),
        ({"containers": [asks("1"), asks("500m")]}, 1500),
        ({"containers": [asks("1")], "initContainers": [asks("3"), asks("2")]}, 3000),
        ({"containers": [asks("1")], "initContainers": [sidecar("500m")]}, 1500),
        ({"containers": [asks("1")], "initContainers": [sidecar("2"), asks("3")]}, 5000),
        ({"containers": [asks("1")], "initContainers": [asks("3"), sidecar("2")]}, 3000),
        ({"containers": [asks("1")], "overhead": {"cpu": "250m"}}, 1250),
        ({"containers": [asks("1")], "resources": {"requests": {"cpu": "4"}}}, 4000),
        ({"containers": [asks("1")], "resources": {"limits": {"cpu": "4"}}}, 1000),
        ({"containers": [{}], "resources": {"limits": {"cpu": "4"}}}, 4000),
        ({"containers": [{"resources": {"limits": {"cpu": "2"}}}]}, 2000),
    ],
    ids=[
        "nothing",
        "no-resources",
        "containers-sum",
        "largest-init",
        "sidecar-adds",
        "init-beside-sidecar",
        "init-before-sidecar",
        "overhead",
        "pod-level-replaces",
        "pod-level-limit-yields-to-containers",
        "pod-level-limit-alone",
        "limit-is-request",
    ],
)
def test_rules(spec: dict[str, Any], cpu_milli: int) -> None:
    """Each rule of the computation, by itself."""
    assert requests_of(**spec).cpu_milli == cpu_milli


def test_templates_get_limits_too() -> None:
    """A template's limits count as requests, too: the API server fills them in only for pods."""
    container = {"resources": {"limits": {"nvidia.com/gpu": 8}, "requests": {"cpu": 2}}}
    template = templates.parse({"spec": {"containers": [container]}})
    assert template.shape.requests == Resources(cpu_milli=2000, extended=(("nvidia.com/gpu", 8),))


def test_a_resize_under_way() -> None:
    """On a node the larger of wished and allocated counts until the resize is over."""
    status = {
        "containerStatuses": [
            {"name": "c", "resources": {"requests": {"cpu": "3"}}, "allocatedResources": {}}
        ]
    }
    container = {"name": "c", **asks("1")}
    assert requests_of(containers=[container], status=status).cpu_milli == 3000
    assert pods.parse({"spec": {"containers": [container]}}).shape.requests.cpu_milli == 1000


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"containers": [asks("lots")]}, "spec.containers[0].resources.requests.cpu"),
        ({"containers": [{}, asks("-1")]}, "spec.containers[1].resources.requests.cpu"),
        (
            {"initContainers": [{"resources": {"limits": {"nvidia.com/gpu": "1 "}}}]},
            "spec.initContainers[0].resources.limits[nvidia.com/gpu]",
        ),
        ({"overhead": {"memory": None}}, "spec.overhead.memory"),
        ({"resources": {"requests": {"cpu": {}}}}, "spec.resources.requests.cpu"),
        ({"resources": {"requests": {"memory": "1gb"}}}, "spec.resources.requests.memory"),
    ],
)
def test_nonsense(spec: dict[str, Any], field: str) -> None:
    """What is no quantity, or below zero, is refused with the field that a user can find."""
    with pytest.raises(BadInput) as caught:
        requests_of(**spec)
    assert caught.value.field == field
    assert field in str(caught.value)
