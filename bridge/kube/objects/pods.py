"""v1 Pod → row, and the few things that are ever written to a pod.

Every write names the pod's uid: `web-0` of a StatefulSet may be a new pod under the old name by
the time the request arrives. What was meant for a pod that is gone raises NotFound, whichever
way the API server says it.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from functools import lru_cache, partial
from typing import Any, Literal
from urllib.parse import quote

from bridge import names
from bridge.kube.api import decode, errors, times
from bridge.kube.api.client import KubeClient
from bridge.kube.objects import affinity, claims, metadata, shapes, wire
from bridge.model import bounds
from bridge.model.ids import NodeName, PodUid, SlurmJobId
from bridge.model.pod import Condition, Pod
from bridge.model.scheduling import Toleration

PATH = "/api/v1/pods"
"""List and watch, all namespaces."""


def _row(pod: wire.PodWire, also: frozenset[str] = frozenset()) -> Pod:
    meta: wire.Meta = pod.get("metadata") or {}
    spec: wire.PodSpec = pod.get("spec") or {}
    status: wire.PodStatus = pod.get("status") or {}
    node_name = spec.get("nodeName") or ""
    grace_s = spec.get("terminationGracePeriodSeconds")
    if meta.get("deletionTimestamp") and meta.get("deletionGracePeriodSeconds") is not None:
        grace_s = meta.get("deletionGracePeriodSeconds")
    grace_s = metadata.seconds(grace_s)
    named, ephemeral = claims.of(spec, meta.get("name", ""), placed=bool(node_name))
    return Pod(
        uid=PodUid(meta.get("uid", "")),
        namespace=sys.intern(meta.get("namespace", "")),
        name=meta.get("name", ""),
        resource_version=meta.get("resourceVersion", ""),
        scheduler_name=sys.intern(spec.get("schedulerName") or "default-scheduler"),
        node_name=NodeName(sys.intern(node_name)),
        phase=status.get("phase") or "Pending",
        shape=shapes.of(spec, meta, status=status if node_name else None),
        gates=_gates(spec),
        deleting=bool(meta.get("deletionTimestamp")),
        owner=metadata.controller(meta),
        labels=metadata.labels(meta, also=also),
        identity=metadata.identity(meta),
        annotations=metadata.annotations(meta),
        completion_index=_completion_index(meta),
        created_s=metadata.created_s(meta),
        allocated=_allocated(status),
        status_reason=sys.intern(status.get("reason") or ""),
        unschedulable=_unschedulable(status) if not node_name else "",
        grace_s=30 if grace_s is None else grace_s,
        active_deadline_s=metadata.seconds(spec.get("activeDeadlineSeconds")),
        priority_class=sys.intern(spec.get("priorityClassName") or ""),
        subdomain=sys.intern(spec.get("subdomain") or ""),
        pod_group=sys.intern((spec.get("schedulingGroup") or {}).get("podGroupName") or ""),
        volume_claims=(*named, *ephemeral),
        ephemeral_claims=ephemeral,
        resource_claims=claims.of_devices(spec),
    )


def bound_by_others(scheduler_name: str) -> dict[str, str]:
    """The parameters of a list or watch of the bound pods that other schedulers have placed."""
    return {"fieldSelector": f"spec.schedulerName!={scheduler_name},spec.nodeName!="}


def parser(labels: frozenset[str] = frozenset()) -> decode.Parser[wire.PodWire, Pod]:
    """As `parse`; rows keep `labels` too, where pods have them."""
    return decode.Parser(wire.PodWire, partial(_row, also=labels), kind="pod")


parse = parser()
"""The row of a pod. Raises BadInput with the offending field, never anything else.

Requests are computed as Kubernetes does (`bridge.kube.objects.requests`); equal shapes, owners
and label sets are the same objects.
"""


def newer(raw: Mapping[str, Any], *, than: Pod) -> Pod:
    """The row of the pod of row `than` as it is now, with the same labels kept. Raises BadInput."""
    row = parse(raw)
    meta: Any = raw.get("metadata") or {}
    labels = metadata.labels(meta, also=frozenset(than.labels))
    return row if labels == row.labels else replace(row, labels=labels)


async def pin(
    client: KubeClient,
    pod: Pod,
    *,
    node: NodeName,
    job_id: SlurmJobId,
    gang: str = "",
    ungate: bool = True,
    keep: bool = False,
) -> Pod:
    """Write where the pod runs and let it go, in one PATCH; the new row comes back.

    Adds the job id label and the annotations of node and gang (if any), narrows the required node
    affinity to `node` and takes our gate, only ours, off the list. A pod that does not wait behind
    our gate (or with `ungate=False`) gets labels and annotations only: the affinity of an ungated
    pod can't change.

    With `keep` autoscalers are asked not to remove the node while the pod runs, unless its author
    has said something about that.

    The row carries the required terms completely, and the patch its resourceVersion, so nothing
    has to be read before: a pod that changed since raises Conflict and nothing was written.
    Raises NotFound when the pod is gone, and the other KubeErrors.
    """
    annotations = {names.NODE_ANNOTATION: str(node)}
    if keep:
        annotations |= {
            key: text for key, text in names.DO_NOT_DISRUPT if key not in pod.annotations
        }
    if gang:
        annotations[names.GANG_ID_ANNOTATION] = gang
    meta = {
        "labels": {names.JOB_ID_LABEL: str(job_id)},
        "annotations": annotations,
        "resourceVersion": pod.resource_version,
    }
    body: dict[str, Any] = {"metadata": meta}
    if ungate and pod.gated_by_us:
        terms = affinity.narrowed(pod.shape.affinity_terms, node)
        body["spec"] = {
            "affinity": affinity.to_wire(terms),
            "schedulingGates": [{"name": gate} for gate in pod.foreign_gates],
        }
    return await _patch(client, pod, body)


async def add_tolerations(client: KubeClient, pod: Pod, tolerations: Iterable[Toleration]) -> Pod:
    """Let the pod onto managed nodes; for pods that the webhook did not see."""
    added = [{key: text for key, text in asdict(one).items() if text} for one in tolerations]
    # A row knows tolerations without their seconds: append, never write the list anew.
    where = "/spec/tolerations"
    appended: list[Mapping[str, Any]] = [
        {"op": "add", "path": f"{where}/-", "value": one} for one in added
    ]
    if not pod.shape.tolerations:
        appended = [{"op": "add", "path": where, "value": added}]
    operations: list[Mapping[str, Any]] = [
        {"op": "replace", "path": "/metadata/uid", "value": pod.uid},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": pod.resource_version},
        *appended,
    ]
    return await _patch(client, pod, operations, kind="json")


async def set_condition(client: KubeClient, pod: Pod, condition: Condition) -> Pod:
    """Write one condition into the pod's status; the others are not touched.

    The time of the last transition moves only when the condition's status does.
    """
    written: dict[str, Any] = {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
    }
    before = pod.allocated
    if before is None or before.type != condition.type or before.status != condition.status:
        written["lastTransitionTime"] = times.seconds(client.clock.time())
    return await _patch_status(client, pod, {"conditions": [written]})


async def mark_disrupted(client: KubeClient, pod: Pod, *, reason: str, message: str) -> Pod:
    """Say that the pod is about to end for no fault of its own (DisruptionTarget).

    Job controllers then do not count it against `backoffLimit` where the pod failure policy says
    so.
    """
    return await set_condition(
        client,
        pod,
        Condition(type=names.DISRUPTION_TARGET, status="True", reason=reason, message=message),
    )


async def fail(client: KubeClient, pod: Pod, *, reason: str, message: str) -> Pod:
    """End a pod that can't run and that nobody would recreate: it stays, Failed, and says why."""
    return await _patch_status(
        client, pod, {"phase": "Failed", "reason": reason, "message": message}
    )


async def delete(client: KubeClient, pod: Pod, *, grace_s: int | None = None) -> None:
    """Delete this very pod; one that is gone already is what was wanted. None: its own grace."""
    try:
        await client.delete(path(pod.namespace, pod.name), uid=pod.uid, grace_s=grace_s)
    except errors.NotFound:
        return


async def bind(
    client: KubeClient, *, namespace: str, name: str, uid: PodUid, node: NodeName
) -> None:
    """Bind the pod to the node (the binding subresource).

    Raises Conflict when the pod has a node already or is another pod than the one with `uid`.
    """
    await client.create(
        path(namespace, name, "binding"),
        {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"namespace": namespace, "name": name, "uid": uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        },
    )


def path(namespace: str, name: str, subresource: str = "") -> str:
    """Where the pod is on the API server."""
    here = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(name, safe='')}"
    return f"{here}/{subresource}" if subresource else here


async def _patch_status(client: KubeClient, pod: Pod, status: Mapping[str, Any]) -> Pod:
    return await _patch(client, pod, {"status": status}, kind="strategic", subresource="status")


async def _patch(
    client: KubeClient,
    pod: Pod,
    body: Mapping[str, Any] | list[Mapping[str, Any]],
    *,
    kind: Literal["merge", "strategic", "json"] = "merge",
    subresource: str = "",
) -> Pod:
    if isinstance(body, Mapping):
        body = {**body, "metadata": {**body.get("metadata", {}), "uid": pod.uid}}
    try:
        raw = await client.patch(path(pod.namespace, pod.name, subresource), body, kind=kind)
    except errors.KubeError as error:
        if "metadata.uid" in error.fields:
            raise errors.NotFound(
                f"pod {pod.key} with uid {pod.uid} is gone, another pod has its name",
                status=404,
                reason="NotFound",
            ) from error
        raise
    return newer(raw, than=pod)


def _gates(spec: wire.PodSpec) -> tuple[str, ...]:
    """All of them or BadInput: a pin writes the list anew, and must not leave one out."""
    gates = spec.get("schedulingGates") or ()
    bounds.check_count(len(gates), bounds.MOST_GATES, "gates", field="spec.schedulingGates")
    found = tuple([one.get("name", "") for one in gates])
    return _few_gates(found) if len(found) <= 2 else found


@lru_cache(maxsize=1024)
def _few_gates(gates: tuple[str, ...]) -> tuple[str, ...]:
    return gates


def _completion_index(meta: wire.Meta) -> int | None:
    for values in (meta.get("annotations"), meta.get("labels")):
        number = bounds.number_in((values or {}).get(names.COMPLETION_INDEX))
        if number is not None:
            return number
    return None


def _condition(status: wire.PodStatus, kind: str) -> wire.ConditionWire:
    """The pod's condition of that type; empty where it has none."""
    for one in status.get("conditions") or ():
        if one.get("type") == kind:
            return one
    return {}


def _allocated(status: wire.PodStatus) -> Condition | None:
    one = _condition(status, names.ALLOCATED_CONDITION)
    if not one:
        return None
    return Condition(
        type=names.ALLOCATED_CONDITION,
        status=sys.intern(one.get("status", "Unknown")),
        reason=sys.intern(one.get("reason") or ""),
        message=sys.intern(one.get("message") or ""),
    )


def _unschedulable(status: wire.PodStatus) -> str:
    one = _condition(status, "PodScheduled")
    if one.get("reason") != "Unschedulable":
        return ""
    return sys.intern(one.get("message") or "Unschedulable")
