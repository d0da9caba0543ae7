"""v1 Node → row, and what is written to a node: taints, labels, annotations."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from bridge.kube.api import decode, errors
from bridge.kube.api.client import KubeClient
from bridge.kube.objects import metadata, requests, wire
from bridge.model import quantity, texts
from bridge.model.ids import NodeName
from bridge.model.node import Node
from bridge.model.scheduling import Taint

PATH = "/api/v1/nodes"
"""List and watch."""

_ATTEMPTS = 5
_LONGEST_ANNOTATION = 1 << 18
"""Characters: as many as Kubernetes takes. Nodes are an admin's, who may list many partitions."""
_LONGEST_REASON = 64

RawTaints = list[Mapping[str, Any]]


def _row(node: wire.NodeWire) -> Node:
    meta: wire.Meta = node.get("metadata") or {}
    spec: wire.NodeSpec = node.get("spec") or {}
    status: wire.NodeStatus = node.get("status") or {}
    allocatable = status.get("allocatable") or status.get("capacity") or {}
    ready = _ready(status)
    is_ready = ready.get("status") == "True"
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
    )


parse = decode.Parser(wire.NodeWire, _row, kind="node")
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
    """Read, change, write back; anew when somebody else wrote in between.

    From the live object: a taint carries more (timeAdded) than a row keeps, and taints of others
    must stay as they are.
    """
    where = f"{PATH}/{quote(name, safe='')}"
    for attempt in range(1, _ATTEMPTS + 1):
        raw = await client.get(where)
        before: RawTaints = list((raw.get("spec") or {}).get("taints") or ())
        after = change(before)
        if after == before:
            return parse(raw)
        version = raw["metadata"]["resourceVersion"]
        body = {"metadata": {"resourceVersion": version}, "spec": {"taints": after}}
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
