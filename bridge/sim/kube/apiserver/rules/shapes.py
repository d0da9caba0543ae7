"""Whether a JSON document can be an object of its kind at all: the types of its fields.

The API server decodes into Go structs and answers 400 when a field has another type. Only the
fields that somebody here reads are listed; others pass unseen. The sentences are Go's.
"""

from collections.abc import Mapping
from typing import Any, Final

from bridge.errors import BadInput
from bridge.model import quantity
from bridge.sim.kube.apiserver.failure import bad_request
from bridge.sim.kube.apiserver.objects import Object

_STRUCTS: Final[Mapping[str, Mapping[str, str]]] = {
    # "=X" is a string whose Go type is called X
    "ObjectMeta": {
        "name": "string",
        "generateName": "string",
        "namespace": "string",
        "labels": "map[string]string",
        "annotations": "map[string]string",
        "finalizers": "[]string",
        "ownerReferences": "[]OwnerReference",
    },
    "OwnerReference": {
        "apiVersion": "string",
        "kind": "string",
        "name": "string",
        "uid": "string",
        "controller": "bool",
        "blockOwnerDeletion": "bool",
    },
    "Pod": {"spec": "PodSpec", "status": "PodStatus"},
    "PodSpec": {
        "containers": "[]Container",
        "initContainers": "[]Container",
        "schedulingGates": "[]PodSchedulingGate",
        "tolerations": "[]Toleration",
        "nodeSelector": "map[string]string",
        "affinity": "Affinity",
        "nodeName": "string",
        "hostname": "string",
        "subdomain": "string",
        "serviceAccountName": "string",
        "priority": "int32",
        "preemptionPolicy": "=PreemptionPolicy",
        "schedulerName": "string",
        "restartPolicy": "=RestartPolicy",
        "priorityClassName": "string",
        "activeDeadlineSeconds": "int64",
        "terminationGracePeriodSeconds": "int64",
        "overhead": "ResourceList",
        "hostNetwork": "bool",
        "volumes": "[]Volume",
    },
    "Volume": {"name": "string", "projected": "ProjectedVolumeSource"},
    "ProjectedVolumeSource": {"sources": "[]VolumeProjection"},
    "PodStatus": {"conditions": "[]PodCondition", "phase": "=PodPhase", "reason": "string"},
    "PodCondition": {
        "type": "=PodConditionType",
        "status": "=ConditionStatus",
        "reason": "string",
        "message": "string",
    },
    "Container": {
        "name": "string",
        "image": "string",
        "resources": "ResourceRequirements",
        "ports": "[]ContainerPort",
        "restartPolicy": "string",
    },
    "ContainerPort": {"containerPort": "int32", "hostPort": "int32", "protocol": "=Protocol"},
    "ResourceRequirements": {"limits": "ResourceList", "requests": "ResourceList"},
    "PodSchedulingGate": {"name": "string"},
    "Toleration": {
        "key": "string",
        "operator": "=TolerationOperator",
        "value": "string",
        "effect": "=TaintEffect",
        "tolerationSeconds": "int64",
    },
    "Affinity": {
        "nodeAffinity": "NodeAffinity",
        "podAffinity": "PodAffinity",
        "podAntiAffinity": "PodAntiAffinity",
    },
    "NodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": "NodeSelector"},
    "NodeSelector": {"nodeSelectorTerms": "[]NodeSelectorTerm"},
    "NodeSelectorTerm": {
        "matchExpressions": "[]NodeSelectorRequirement",
        "matchFields": "[]NodeSelectorRequirement",
    },
    "NodeSelectorRequirement": {
        "key": "string",
        "operator": "=NodeSelectorOperator",
        "values": "[]string",
    },
    "Job": {"spec": "JobSpec", "status": "JobStatus"},
    "JobSpec": {
        "template": "PodTemplateSpec",
        "parallelism": "int32",
        "completions": "int32",
        "backoffLimit": "int32",
        "activeDeadlineSeconds": "int64",
        "ttlSecondsAfterFinished": "int32",
        "suspend": "bool",
        "completionMode": "=CompletionMode",
        "podReplacementPolicy": "=PodReplacementPolicy",
        "selector": "LabelSelector",
        "manualSelector": "bool",
    },
    "LabelSelector": {
        "matchLabels": "map[string]string",
        "matchExpressions": "[]LabelSelectorRequirement",
    },
    "LabelSelectorRequirement": {
        "key": "string",
        "operator": "=LabelSelectorOperator",
        "values": "[]string",
    },
    **{
        kind: {"spec": f"{kind}Spec"}
        for kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "CronJob")
    },
    **{
        f"{kind}Spec": {"template": "PodTemplateSpec", "selector": "LabelSelector", **more}
        for kind, more in (
            ("Deployment", {"replicas": "int32", "strategy": "DeploymentStrategy"}),
            ("ReplicaSet", {"replicas": "int32"}),
            ("StatefulSet", {"replicas": "int32", "serviceName": "string"}),
            ("DaemonSet", {}),
        )
    },
    "CronJobSpec": {"schedule": "string", "suspend": "bool", "jobTemplate": "JobTemplateSpec"},
    "JobTemplateSpec": {"metadata": "ObjectMeta", "spec": "JobSpec"},
    "PodTemplateSpec": {"metadata": "ObjectMeta", "spec": "PodSpec"},
    "Node": {"spec": "NodeSpec", "status": "NodeStatus"},
    "NodeSpec": {"taints": "[]Taint", "unschedulable": "bool"},
    "Taint": {"key": "string", "value": "string", "effect": "=TaintEffect"},
    "NodeStatus": {"capacity": "ResourceList", "allocatable": "ResourceList"},
    "Lease": {"spec": "LeaseSpec"},
    "LeaseSpec": {"holderIdentity": "string", "leaseDurationSeconds": "int32"},
}
_SIMPLE: Final[Mapping[str, type | tuple[type, ...]]] = {"string": str, "bool": bool}
_FOUND: Final = {bool: "bool", int: "number", float: "number", dict: "object", list: "array"}
_QUANTITY_RULE: Final = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)


def decode(obj: Object, *, kind: str, version: str) -> Object:
    """The document as `kind`: null fields are absent, null items empty, as Go decodes them.

    Raises a 400 for a document that can't be decoded.
    """
    try:
        metadata = _field(kind, "ObjectMeta", obj.get("metadata"), "metadata")
        return {**_struct(kind, obj, ""), "metadata": metadata or {}}
    except _WrongType as wrong:
        raise bad_request(
            f'{kind} in version "{version}" cannot be handled as a {kind}: {wrong}'
        ) from None


class _WrongType(Exception):
    """Go's sentence."""


def _struct(struct: str, value: Object, path: str) -> Object:
    decoded = dict(value)
    for name, wanted in _STRUCTS.get(struct, {}).items():
        if name not in value:
            continue
        if value[name] is None:
            del decoded[name]
        else:
            decoded[name] = _field(struct, wanted, value[name], f"{path}.{name}".lstrip("."))
    return decoded


def _field(struct: str, wanted: str, value: Any, path: str) -> Any:
    if value is None:
        return None
    if wanted.startswith("[]"):
        if not isinstance(value, list):
            raise _wrong(value, struct, path, f"[]{_go(wanted[2:])}")
        empty: Any = "" if wanted == "[]string" else {}
        return [_field(struct, wanted[2:], empty if item is None else item, path) for item in value]
    if wanted.startswith("map["):
        return _texts(struct, value, path)
    if wanted == "ResourceList":
        return _amounts(struct, value, path)
    if wanted.startswith("int"):
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong(value, struct, path, wanted)
        return value
    if wanted in _SIMPLE or wanted.startswith("="):
        if not isinstance(value, _SIMPLE.get(wanted, str)):
            raise _wrong(value, struct, path, _go(wanted.removeprefix("=")))
        return value
    if not isinstance(value, dict):
        raise _wrong(value, struct, path, _go(wanted))
    return _struct(wanted, value, path)


def _texts(struct: str, value: Any, path: str) -> Object:
    if not isinstance(value, dict):
        raise _wrong(value, struct, path, "map[string]string")
    for item in value.values():
        if item is not None and not isinstance(item, str):
            raise _wrong(item, struct, path, "string")
    return {key: item or "" for key, item in value.items()}


def _amounts(struct: str, value: Any, path: str) -> Object:
    if not isinstance(value, dict):
        raise _wrong(value, struct, path, "v1.ResourceList")
    for amount in value.values():
        good = isinstance(amount, str | int | float) and not isinstance(amount, bool)
        try:
            quantity.parse(amount if good else "x")
        except BadInput:
            raise _WrongType(_QUANTITY_RULE) from None
    return value


def _wrong(value: Any, struct: str, path: str, wanted: str) -> _WrongType:
    found = _FOUND.get(type(value), "string")
    if isinstance(value, float) and wanted.startswith("int"):
        found = f"number {value}"
    return _WrongType(
        f"json: cannot unmarshal {found} into Go struct field {struct}.{path} of type {wanted}"
    )


def _go(name: str) -> str:
    return name if name in ("string", "bool") else f"v1.{name}"
