"""Objects as tests want them: complete, and different only in what a test is about."""

from typing import Any

Json = Any


def a_pod(
    name: str = "p",
    *,
    namespace: str = "default",
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    finalizers: list[str] | None = None,
    owner: Json = None,
    cpu: str = "",
    memory: str = "",
    gpu: int = 0,
    node: str = "",
    pinned_to: str = "",
    gates: list[str] | None = None,
    scheduler: str = "default-scheduler",
    tolerations: list[Json] | None = None,
    selector: dict[str, str] | None = None,
    ports: list[int] | None = None,
    grace_s: int | None = None,
    priority_class: str = "",
    init: list[Json] | None = None,
    deadline_s: int | None = None,
) -> Json:
    """A Pod manifest."""
    amounts: dict[str, str] = {}
    if cpu:
        amounts["cpu"] = cpu
    if memory:
        amounts["memory"] = memory
    if gpu:
        amounts["nvidia.com/gpu"] = str(gpu)
    container: Json = {"name": "main", "image": "busybox:1"}
    if amounts:
        container["resources"] = {"limits": amounts}
    if ports:
        container["ports"] = [{"containerPort": one, "hostPort": one} for one in ports]
    metadata: Json = {"name": name, "namespace": namespace}
    for key, value in (
        ("labels", labels),
        ("annotations", annotations),
        ("finalizers", finalizers),
        ("ownerReferences", [owner] if owner else None),
    ):
        if value:
            metadata[key] = value
    spec: Json = {"containers": [container], "restartPolicy": "Never", "schedulerName": scheduler}
    if node:
        spec["nodeName"] = node
    if gates:
        spec["schedulingGates"] = [{"name": one} for one in gates]
    wishes: Json = {
        "tolerations": tolerations,
        "nodeSelector": selector,
        "initContainers": init,
        "priorityClassName": priority_class,
    }
    spec.update({key: wish for key, wish in wishes.items() if wish})
    if grace_s is not None:
        spec["terminationGracePeriodSeconds"] = grace_s
    if deadline_s is not None:
        spec["activeDeadlineSeconds"] = deadline_s
    if pinned_to:
        spec["affinity"] = pinned(pinned_to)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def pinned(node: str) -> Json:
    """Affinity to exactly one node."""
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    required = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def a_job(
    name: str = "j",
    *,
    runs_s: float | None = None,
    fails_s: float | None = None,
    annotations: dict[str, str] | None = None,
    pod: Json = None,
    **spec: Json,
) -> Json:
    """A Job manifest; its pods run `runs_s` seconds, or fail after `fails_s`."""
    inner = (pod or a_pod())["spec"]
    marks = dict(annotations or {})
    if runs_s is not None:
        marks["kwok.x-k8s.io/run-seconds"] = str(runs_s)
    if fails_s is not None:
        marks["kwok.x-k8s.io/fail-seconds"] = str(fails_s)
    template: Json = {"spec": inner}
    if marks:
        template["metadata"] = {"annotations": marks}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"template": template, **spec},
    }


def a_node(
    name: str = "n1",
    *,
    cpu: str = "4",
    memory: str = "16Gi",
    gpu: int = 0,
    pods: int = 110,
    labels: dict[str, str] | None = None,
    taints: list[Json] | None = None,
) -> Json:
    """A Node manifest."""
    resources = {"cpu": cpu, "memory": memory, "pods": str(pods)}
    if gpu:
        resources["nvidia.com/gpu"] = str(gpu)
    node: Json = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "spec": {},
        "status": {"capacity": resources, "allocatable": resources},
    }
    if taints:
        node["spec"]["taints"] = taints
    return node
