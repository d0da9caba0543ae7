"""v1 Node → row, and what is written to a node: taints, labels, annotations, our condition."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from bridge import names
from bridge.kube.api import decode, errors, times
from bridge.kube.api.client import KubeClient
from bridge.kube.objects import metadata, node_health, requests, wire
from bridge.model import quantity, texts
from bridge.model.ids import NodeName
from bridge.model.node import Node
from bridge.model.pod import Condition
from bridge.model.scheduling import Taint

PATH = "/api/v1/nodes"
"""List and watch."""

_ATTEMPTS = 5
_LONGEST_ANNOTATION = 1 << 18
"""Characters: as many as Kubernetes takes. Nodes are an admin's, who may list many partitions."""
_LONGEST_REASON = 64

_NO_SIGNS = node_health.Signs()

RawTaints = list[Mapping[str, Any]]
Changes = Mapping[str, Any]
"""A merge patch; empty for nothing to do."""


def _row(node: wire.NodeWire, signs: node_health.Signs = _NO_SIGNS) -> Node:
    meta: wire.Meta = node.get("metadata") or {}
    spec: wire.NodeSpec = node.get("spec") or {}
    status: wire.NodeStatus = node.get("status") or {}
    allocatable = status.get("allocatable") or status.get("capacity") or {}
    ready = _ready(status)
    is_ready = ready.get("status") == "True"
    end_s, unreadable_end = node_health.end(meta, signs)
    return Node(
        name=NodeName(meta.get("name", "")),
        uid=meta.get("uid", ""),
        resource_version=meta.get("resourceVersion", ""),
        labels=metadata.every(meta.get("labels")),
        annotations=metadata.annotations(meta, longest=_LONGEST_ANNOTATION),
        taints=tuple(_taint(one) for one in spec.get("taints") or ()),
        unschedulable=bool(spec.get("unschedulable")),
        ready=is_ready,
        unready="" if is_ready else texts.plain(ready.get("reason") or "", _LONGEST_REASON),
        allocatable=requests.amounts(allocatable, "status.allocatable"),
        max_pods=quantity.whole(allocatable.get("pods", 110)),
        internal_ip=_address(status, "InternalIP"),
        deleting=bool(meta.get("deletionTimestamp")),
        created_s=metadata.created_s(meta),
        causes=node_health.causes(node, signs),
        drained=node_health.drained(status),
        end_s=end_s,
        unreadable_end=unreadable_end,
    )


def parser(signs: node_health.Signs) -> decode.Parser[wire.NodeWire, Node]:
    """As `parse`; these signs close a node, or say when it ends."""
    return decode.Parser(wire.NodeWire, partial(_row, signs=signs), kind="node")


parse = parser(_NO_SIGNS)
"""The row of a node. Raises BadInput with the offending field.

Without status.allocatable its capacity counts, as in the API server's defaults.
"""


async def add_taint(client: KubeClient, name: NodeName, taint: Taint) -> Node:
    """Taint the node; a taint of the same key and effect gets the new value."""
    wanted = {"key": taint.key, "value": taint.value, "effect": taint.effect}

    def change(taints: RawTaints) -> RawTaints:
        if any(_same(one, taint) and one.get("value", "") == taint.value for one in taints):
            return taints
        return [*(one for one in taints if not _same(one, taint)), wanted]

    return await _change_taints(client, name, change)


async def remove_taint(client: KubeClient, name: NodeName, taint: Taint) -> Node:
    """Take the taint of this key and effect off the node, whatever its value."""
    return await _change_taints(
        client, name, lambda taints: [one for one in taints if not _same(one, taint)]
    )


async def cordon(client: KubeClient, name: NodeName) -> Node:
    """Cordon the node and note that it was us; a node that somebody has cordoned stays theirs."""

    def change(raw: Mapping[str, Any]) -> Changes:
        if (raw.get("spec") or {}).get("unschedulable"):
            return {}
        noted = {names.CORDONED_ANNOTATION: names.CORDON_IS_OURS}
        return {"metadata": {"annotations": noted}, "spec": {"unschedulable": True}}

    return await _change(client, name, change)


async def uncordon(client: KubeClient, name: NodeName) -> Node:
    """Take back the cordon if it is ours, and our note; without our note nothing is changed."""

    def change(raw: Mapping[str, Any]) -> Changes:
        note = _note(raw)
        if note is None:
            return {}
        gone: Changes = {"metadata": {"annotations": {names.CORDONED_ANNOTATION: None}}}
        is_ours = note == names.CORDON_IS_OURS
        return {**gone, "spec": {"unschedulable": None}} if is_ours else gone

    return await _change(client, name, change)


async def yield_cordon(client: KubeClient, name: NodeName) -> Node:
    """Note that somebody has undone our cordon, unless it stands."""

    def change(raw: Mapping[str, Any]) -> Changes:
        if _note(raw) is None or (raw.get("spec") or {}).get("unschedulable"):
            return {}
        return {"metadata": {"annotations": {names.CORDONED_ANNOTATION: names.CORDON_UNDONE}}}

    return await _change(client, name, change)


def _note(raw: Mapping[str, Any]) -> str | None:
    annotations: Mapping[str, str] = raw["metadata"].get("annotations") or {}
    return annotations.get(names.CORDONED_ANNOTATION)


async def set_condition(client: KubeClient, name: NodeName, condition: Condition) -> Node:
    """Write one condition into the node's status; the others are not touched."""
    now = times.seconds(client.clock.time())
    written = {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }
    where = f"{PATH}/{quote(name, safe='')}/status"
    body = {"status": {"conditions": [written]}}
    return parse(await client.patch(where, body, kind="strategic"))


async def mark(
    client: KubeClient,
    name: NodeName,
    labels: Mapping[str, str],
    annotations: Mapping[str, str | None],
) -> Node:
    """Give the node these labels and annotations; None takes one off."""
    body = {"metadata": {"labels": labels, "annotations": annotations}}
    return parse(await client.patch(f"{PATH}/{quote(name, safe='')}", body))


async def _change_taints(
    client: KubeClient, name: NodeName, change: Callable[[RawTaints], RawTaints]
) -> Node:
    """From the live object: a taint carries more (timeAdded) than a row keeps, and taints of others
    must stay as they are."""

    def changes(raw: Mapping[str, Any]) -> Changes:
        before: RawTaints = list((raw.get("spec") or {}).get("taints") or ())
        after = change(before)
        return {} if after == before else {"spec": {"taints": after}}

    return await _change(client, name, changes)


async def _change(
    client: KubeClient, name: NodeName, changes: Callable[[Mapping[str, Any]], Changes]
) -> Node:
    """Read, change, write back; anew when somebody else wrote in between. Without changes nothing
    is written."""
    where = f"{PATH}/{quote(name, safe='')}"
    for attempt in range(1, _ATTEMPTS + 1):
        raw = await client.get(where)
        wanted = changes(raw)
        if not wanted:
            return parse(raw)
        version = {"resourceVersion": raw["metadata"]["resourceVersion"]}
        body = {**wanted, "metadata": {**wanted.get("metadata", {}), **version}}
        try:
            return parse(await client.patch(where, body))
        except errors.Conflict:
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("the loop returns or raises")


def _same(raw: Mapping[str, Any], taint: Taint) -> bool:
    return raw.get("key") == taint.key and raw.get("effect") == taint.effect


def _taint(taint: wire.TaintWire) -> Taint:
    return Taint(
        key=taint.get("key", ""),
        value=taint.get("value") or "",
        effect=taint.get("effect", "NoSchedule"),
    )


def _ready(status: wire.NodeStatus) -> wire.ConditionWire:
    """Condition Ready. A node that has none yet is not ready.

    Of why it is not, only the reason is kept: the message may count seconds, and each change of a
    row is news.
    """
    none: wire.ConditionWire = {}
    conditions = status.get("conditions") or ()
    return next((one for one in conditions if one.get("type") == "Ready"), none)


def _address(status: wire.NodeStatus, kind: str) -> str:
    for one in status.get("addresses") or ():
        if one.get("type") == kind:
            return one.get("address", "")
    return ""
