"""What a user writes, as short as a test wants it."""

from collections.abc import Mapping
from typing import Any

from bridge import names
from tests.arena.api import Object

RUN_SECONDS = "kwok.x-k8s.io/run-seconds"
FAIL_SECONDS = "kwok.x-k8s.io/fail-seconds"
DIE_SECONDS = "kwok.x-k8s.io/die-seconds"
JOB = "slurmjob.slinky.slurm.net/"


def namespace(name: str, **labels: str) -> Object:
    """A namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def pod_spec(
    *,
    cpu: str = "",
    memory: str = "",
    gpus: int = 0,
    grace_s: int = 1,
    **fields: Any,
) -> Object:
    """One container that asks for so much and has nothing to do."""
    requests = {"cpu": cpu, "memory": memory, "nvidia.com/gpu": str(gpus) if gpus else ""}
    amounts = {key: value for key, value in requests.items() if value}
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    return {
        "terminationGracePeriodSeconds": grace_s,
        "containers": [
            {
                "name": "main",
                "image": "example.invalid/train",
                "resources": {"requests": amounts, "limits": limits},
            }
        ],
        **fields,
    }


def pod(
    name: str,
    ns: str,
    *,
    annotations: Mapping[str, str] | None = None,
    run_s: float | None = None,
    spec: Object | None = None,
    **asks: Any,
) -> Object:
    """A bare pod; `run_s`: it succeeds after so long (None: it runs until deleted)."""
    marks = dict(annotations or {})
    if run_s is not None:
        marks[RUN_SECONDS] = f"{run_s:g}"
    body = spec or pod_spec(**{"restartPolicy": "Never", **asks})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": ns, "annotations": marks},
        "spec": body,
    }


def job(
    name: str,
    ns: str,
    *,
    count: int = 1,
    parallelism: int | None = None,
    gang: bool = False,
    annotations: Mapping[str, str] | None = None,
    pod_annotations: Mapping[str, str] | None = None,
    run_s: float | None = None,
    backoff_limit: int = 6,
    **asks: Any,
) -> Object:
    """A Job of `count` pods; `gang` makes it Indexed with a subdomain, as training Jobs are."""
    marks = dict(pod_annotations or {})
    if run_s is not None:
        marks[RUN_SECONDS] = f"{run_s:g}"
    template = pod_spec(**{"restartPolicy": "Never", **asks})
    spec: Object = {
        "completions": count,
        "parallelism": parallelism or count,
        "backoffLimit": backoff_limit,
        "template": {"metadata": {"annotations": marks}, "spec": template},
    }
    if gang:
        spec["completionMode"] = "Indexed"
        template["subdomain"] = name
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": ns, "annotations": dict(annotations or {})},
        "spec": spec,
    }


def stateful_set(
    name: str, ns: str, *, count: int, gang: bool = False, claims: tuple[str, ...] = (), **asks: Any
) -> Object:
    """A StatefulSet of `count` pods, one after the other, each with claims `claims`-`name`-N."""
    marks = {names.GANG_ANNOTATION: "true"} if gang else {}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": ns, "annotations": marks},
        "spec": {
            "replicas": count,
            "serviceName": name,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod_spec(**asks)},
            "volumeClaimTemplates": [
                {"metadata": {"name": one}, "spec": claim_spec()} for one in claims
            ],
        },
    }


def claim(name: str, ns: str, *, storage_class: str = "", size: str = "1Gi", **spec: Any) -> Object:
    """A PersistentVolumeClaim."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": ns},
        "spec": claim_spec(storage_class, size=size, **spec),
    }


def claim_spec(storage_class: str = "", *, size: str = "1Gi", **spec: Any) -> Object:
    """What it asks for, also in a generic ephemeral volume."""
    return {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": storage_class,
        "resources": {"requests": {"storage": size}},
        **spec,
    }


def volume(
    name: str,
    key: str,
    value: str,
    *,
    storage_class: str = "",
    labels: Mapping[str, str] | None = None,
    **spec: Any,
) -> Object:
    """A PersistentVolume that nodes with this label reach."""
    expression = {"key": key, "operator": "In", "values": [value]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": dict(labels or {})},
        "spec": {
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "local": {"path": "/disk"},
            "nodeAffinity": {
                "required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
            },
            **spec,
        },
    }


def storage_class(
    name: str, *, provisioner: str = "kubernetes.io/no-provisioner", **fields: Any
) -> Object:
    """A StorageClass whose claims are bound with their pod."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": provisioner,
        "volumeBindingMode": "WaitForFirstConsumer",
        **fields,
    }


def mounted(*claims: str) -> list[Object]:
    """spec.volumes of a pod that mounts these claims."""
    return [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims]
