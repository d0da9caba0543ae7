"""autoscaling.x-k8s.io ProvisioningRequests, by which Cluster Autoscaler is asked for nodes.

A request names PodTemplates and how many pods of each one are to find room; its spec can't be
changed. Cluster Autoscaler skips templates that are missing when it reads a request, so they are
made before it. The state is told by conditions (cluster-autoscaler/apis/provisioningrequest):
Accepted, then Provisioned (also False, while it is tried again) or Failed; a Provisioned one may
become BookingExpired (the nodes are not kept any more) or CapacityRevoked.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field
from typing_extensions import TypedDict

from bridge import names
from bridge.kube.api import decode
from bridge.kube.objects import metadata, placeholders, wire
from bridge.model import texts
from bridge.model.ids import GangId

API_VERSION: Final = "autoscaling.x-k8s.io/v1"
KIND: Final = "ProvisioningRequest"
_OVER = ("CapacityRevoked", "BookingExpired", "Failed")
_MOST_TEXT = 300


class _Condition(TypedDict, total=False):
    type: str
    status: str
    message: str | None


class _TemplateRef(TypedDict, total=False):
    name: str


class _PodSet(TypedDict, total=False):
    count: Annotated[int, Field(ge=0, le=2**31 - 1)]
    podTemplateRef: _TemplateRef


class _Spec(TypedDict, total=False):
    podSets: list[_PodSet] | None


class _Status(TypedDict, total=False):
    conditions: list[_Condition] | None


class _Wire(TypedDict, total=False):
    metadata: wire.Meta
    spec: _Spec | None
    status: _Status | None


@dataclass(frozen=True, slots=True)
class ProvisioningRequest:
    """The row of a request."""

    name: str
    uid: str
    gang: GangId
    """"" if it does not say so."""
    marks: tuple[str, ...]
    """What each pod set stands for (`placeholders.mark`)."""
    counts: tuple[int, ...]
    """(pod sets,) the pods of each set."""
    templates: tuple[str, ...]
    created_s: float
    is_deleting: bool
    state: str = ""
    """The condition that counts; "" while the autoscaler has not taken it."""
    message: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing comes of it any more."""
        return self.state in _OVER


def _row(request: _Wire) -> ProvisioningRequest:
    meta: wire.Meta = request.get("metadata") or {}
    spec: _Spec = request.get("spec") or {}
    status: _Status = request.get("status") or {}
    sets = spec.get("podSets") or []
    annotations = meta.get("annotations") or {}
    state, message = _state(status.get("conditions") or ())
    return ProvisioningRequest(
        name=meta.get("name", ""),
        uid=meta.get("uid", ""),
        gang=GangId(annotations.get(names.GANG_ID_ANNOTATION, "")),
        marks=tuple(annotations.get(names.CAPACITY_PARTS_ANNOTATION, "").split(",")),
        counts=tuple(one.get("count", 0) for one in sets),
        templates=tuple((one.get("podTemplateRef") or {}).get("name", "") for one in sets),
        created_s=metadata.created_s(meta),
        is_deleting=bool(meta.get("deletionTimestamp")),
        state=state,
        message=texts.printable(message, _MOST_TEXT),
    )


def _state(conditions: Sequence[_Condition]) -> tuple[str, str]:
    found = {one.get("type"): one for one in conditions}
    for kind in (*_OVER, "Provisioned"):
        if kind in found and found[kind].get("status") == "True":
            return kind, found[kind].get("message") or ""
    accepted = found.get("Accepted")
    if accepted is None or accepted.get("status") != "True":
        return "", ""
    tried = found.get("Provisioned") or {}
    return "Accepted", tried.get("message") or accepted.get("message") or ""


parse = decode.Parser(_Wire, _row, kind=KIND)
"""The row of a request. Raises BadInput."""


def part_of(mark: str) -> int:
    """The part of its gang that a pod set stands for; -1 if the mark does not say so."""
    text, _, _ = mark.partition(".")
    return int(text) if text.isdecimal() and len(text) < 4 else -1


def template_name(gang: GangId, part: int, spec: Mapping[str, Any]) -> str:
    """The name of the PodTemplate: another spec is another one."""
    return f"{placeholders.group(gang)}-{part}-{placeholders.digest(spec)}"


def template(namespace: str, gang: GangId, name: str, spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """v1 PodTemplate of pods with that spec."""
    labels = {names.CAPACITY_LABEL: placeholders.group(gang)}
    return {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": _metadata(namespace, gang, name),
        "template": {"metadata": {"labels": labels}, "spec": spec},
    }


def body(
    *,
    api_version: str,
    namespace: str,
    gang: GangId,
    name: str,
    class_name: str,
    parameters: Mapping[str, str],
    marks: Sequence[str],
    pod_sets: Sequence[tuple[str, int]],
) -> Mapping[str, Any]:
    """A request for so many pods of each template: `pod_sets` are (template, count)."""
    meta = _metadata(namespace, gang, name)
    meta["annotations"][names.CAPACITY_PARTS_ANNOTATION] = ",".join(marks)
    spec: dict[str, Any] = {
        "provisioningClassName": class_name,
        "podSets": [{"podTemplateRef": {"name": one}, "count": count} for one, count in pod_sets],
    }
    if parameters:
        spec["parameters"] = dict(parameters)
    return {"apiVersion": api_version, "kind": KIND, "metadata": meta, "spec": spec}


def name_of(gang: GangId, marks: Sequence[str], counts: Sequence[int]) -> str:
    """The name of the request for this: one of another size is another one."""
    text = json.dumps([list(marks), list(counts)])
    return f"{placeholders.group(gang)}-{placeholders.digest({'asks': text})}"


def _metadata(namespace: str, gang: GangId, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": namespace,
        "labels": {
            names.CAPACITY_LABEL: placeholders.group(gang),
            "app.kubernetes.io/managed-by": "slurm-bridge",
        },
        "annotations": {names.GANG_ID_ANNOTATION: gang},
    }
