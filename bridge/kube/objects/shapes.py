"""A pod's spec → its shape, computed once per template.

Pods of one owner differ in their names only. The parts of the spec that decide where a pod may
run are written out as text, and the text is the key: equal pods get the *same* shape, and 10,000
pods of a Job cost one computation. A text of many kilobytes is not kept as a key.

A pod that asks for more than `limits` allows is refused. On a node, where it only takes room, it
counts all the same, without its selectors, which nobody asks about any more.
"""

from functools import lru_cache
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json

from bridge.errors import BadInput
from bridge.kube.objects import affinity, limits, pod_terms, requests, wire
from bridge.model import bounds, scheduling
from bridge.model.scheduling import (
    HostPort,
    NodeSelectorTerm,
    PodShape,
    Toleration,
)

_HOLDING = ("containers", "initContainers", "resources", "overhead", "hostNetwork")
_DECIDING = ("nodeSelector", "tolerations", *_HOLDING)
_KEPT_BYTES = 8192
"""Of a text that is remembered with its shape."""
_RESIZING = ("containerStatuses", "initContainerStatuses", "resources", "allocatedResources")


def of(
    spec: wire.PodSpec, meta: wire.Meta | None = None, *, status: wire.PodStatus | None = None
) -> PodShape:
    """The shape of a pod or of a template's pods; `status` only for pods on a node.

    `meta` says about which namespace and labels its terms about other pods are; without it they do
    not count. Raises BadInput with the offending field.
    """
    actual = _picked(dict(status), _RESIZING) if status else {}
    if actual and status:
        actual["conditions"] = [one for one in status.get("conditions") or () if _resize(one)]
    beside = pod_terms.picked(spec, meta)
    try:
        limits.check_counts(spec)
        limits.check_pod_terms(beside)
        parts = _picked(dict(spec), _DECIDING)
        parts["affinity"] = (spec.get("affinity") or {}).get("nodeAffinity")
    except BadInput:
        if status is None:
            raise
        parts, beside = _picked(dict(spec), _HOLDING), None
    everything = [parts, actual, beside, status is not None]
    try:
        text = to_json(everything, fallback=str)
        return _shape(text) if len(text) <= _KEPT_BYTES else _computed(text)
    except PydanticSerializationError as error:
        raise BadInput(f"spec: {error}", field="spec") from None


def _picked(values: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: values[key] for key in keys if values.get(key) is not None}


def _resize(condition: wire.ConditionWire) -> bool:
    return condition.get("type") == requests.RESIZE_PENDING


@lru_cache(maxsize=8192)
def _shape(text: bytes) -> PodShape:
    return _first_equal(_computed(text))


@lru_cache(maxsize=8192)
def _first_equal(shape: PodShape) -> PodShape:
    """The same object for equal shapes: a pod's text changes when it starts, its shape doesn't."""
    return shape


def _computed(text: bytes) -> PodShape:
    try:
        spec, status, beside, placed = from_json(text)
    except ValueError as error:
        raise BadInput(f"spec: {error}", field="spec") from None
    asked = requests.of(spec, status or None)
    ports = _host_ports(spec)
    try:
        limits.check_amounts(asked, ports)
        limits.check_words(spec, limits.required_terms(spec.get("affinity")))
        terms = _terms(spec.get("affinity"))
    except BadInput:
        if not placed:
            raise
        return PodShape(requests=asked, host_ports=ports[: bounds.MOST_PORTS])
    return PodShape(
        requests=asked,
        node_selector=tuple(sorted((spec.get("nodeSelector") or {}).items())),
        affinity_terms=terms,
        tolerations=scheduling.in_order(_toleration(one) for one in spec.get("tolerations") or ()),
        host_ports=ports,
        pod_affinity=pod_terms.terms(beside["affinity"], beside) if beside else (),
        pod_anti_affinity=pod_terms.terms(beside["anti_affinity"], beside) if beside else (),
        spread=pod_terms.spread(beside) if beside else (),
    )


def _terms(node_affinity: wire.NodeAffinity | None) -> tuple[NodeSelectorTerm, ...] | None:
    required = limits.required_terms(node_affinity)
    if required is None:
        return None
    return affinity.of_wire(required, at="spec.affinity.nodeAffinity")


def _toleration(toleration: wire.TolerationWire) -> Toleration:
    return Toleration(
        key=toleration.get("key") or "",
        operator=toleration.get("operator") or "Equal",
        value=toleration.get("value") or "",
        effect=toleration.get("effect") or "",
    )


def _host_ports(spec: wire.PodSpec) -> tuple[HostPort, ...]:
    """Ports of the node that the pod holds while it runs: of containers and sidecars.

    With hostNetwork each container port is the node's (the API server fills in hostPort).
    """
    sidecars = [
        one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"
    ]
    ports = []
    for container in [*sidecars, *(spec.get("containers") or ())]:
        for port in container.get("ports") or ():
            number = port.get("hostPort") or 0
            if not number and spec.get("hostNetwork"):
                number = port.get("containerPort", 0)
            if number > 0:
                ports.append(
                    HostPort(
                        port=number,
                        protocol=port.get("protocol") or "TCP",
                        host_ip=port.get("hostIP") or "",
                    )
                )
    return tuple(ports)
