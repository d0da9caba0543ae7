"""What a pod asks for, computed as kube-scheduler and kubelet do (component-helpers/resource).

Containers run together: summed. Init containers run one after the other, each beside the sidecars
(restartPolicy Always) that started before it: the largest moment counts, if it is larger than the
sum of containers and all sidecars. Pod-level requests replace both for cpu, memory and huge pages.
Overhead comes on top. A limit without a request counts as a request: the API server fills that in
for pods, not for templates.

Counted in thousandths, to which the API server rounds each quantity up; the sum of memory is
rounded up once more, to bytes, at the end.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

from bridge.errors import BadInput
from bridge.kube.objects import wire
from bridge.model import bounds, quantity
from bridge.model.resources import Resources

Milli = dict[str, int]
"""A resource list in thousandths."""

Statuses = Mapping[str | None, wire.ContainerStatus]
"""A pod's containers by their names, where a resize in place counts."""

RESIZE_PENDING = "PodResizePending"
"""Condition of a pod whose resize in place waits, or (reason Infeasible) can't be done."""


def of(spec: wire.PodSpec, status: wire.PodStatus | None = None) -> Resources:
    """The requests of a pod, or of a template's pods.

    `status` is given for pods on a node: a resize in place holds the larger of what is wished,
    allocated and in force until it is over. Raises BadInput with the field of a bad quantity.
    """
    statuses = _by_name(status or {})
    total = _containers(spec, "requests", status or {}, statuses)
    pod_level = _pod_level(spec)
    actual = (status or {}).get("resources")
    if status and actual is not None:
        in_force = _in_force(
            pod_level,
            _milli(actual.get("requests"), "status.resources.requests"),
            _milli(status.get("allocatedResources"), "status.allocatedResources"),
            status,
        )
        pod_level = {name: in_force.get(name, 0) for name in pod_level}
    total.update({name: value for name, value in pod_level.items() if _is_pod_level(name)})
    _add(total, _milli(spec.get("overhead"), "spec.overhead"))
    return _rounded(total)


def amounts(values: Mapping[str, Any] | None, field: str) -> Resources:
    """A plain resource list (a node's allocatable) as Resources; `pods` is left out."""
    return _rounded(_milli(values, field))


def _containers(
    spec: wire.PodSpec,
    which: Literal["requests", "limits"],
    status: wire.PodStatus,
    statuses: Statuses,
) -> Milli:
    """Containers summed, or the largest moment of the init containers where that is more.

    At each moment all sidecars that have started count as well. Only the resources that an init
    container asks for itself are looked at: of the others a moment holds what sidecars hold, and
    that is part of the sum.
    """
    total: Milli = {}
    for index, container in enumerate(spec.get("containers") or ()):
        _add(total, _container(container, which, status, statuses, f"spec.containers[{index}]"))
    sidecars: Milli = {}
    moments: Milli = {}
    for index, container in enumerate(spec.get("initContainers") or ()):
        field = f"spec.initContainers[{index}]"
        if container.get("restartPolicy") == "Always":
            own = _container(container, which, status, statuses, field)
            _add(total, own)
            _add(sidecars, own)
        else:
            for name, value in _container(container, which, {}, {}, field).items():
                moments[name] = max(moments.get(name, 0), value + sidecars.get(name, 0))
    return _largest(total, moments)


def _container(
    container: wire.Container,
    which: Literal["requests", "limits"],
    pod: wire.PodStatus,
    statuses: Statuses,
    field: str,
) -> Milli:
    resources = container.get("resources") or {}
    limits = _milli(resources.get("limits"), f"{field}.resources.limits")
    if which == "limits":
        return limits
    own = {**limits, **_milli(resources.get("requests"), f"{field}.resources.requests")}
    status = statuses.get(container.get("name"))
    actual = (status or {}).get("resources")
    if status is None or actual is None:
        return own
    return _in_force(
        own,
        _milli(actual.get("requests"), "status.containerStatuses.resources.requests"),
        _milli(status.get("allocatedResources"), "status.containerStatuses.allocatedResources"),
        pod,
    )


def _in_force(wished: Milli, actual: Milli, allocated: Milli, status: wire.PodStatus) -> Milli:
    """What a resize in place holds; a wish that can't be fulfilled doesn't count."""
    for condition in status.get("conditions") or ():
        if condition.get("type") == RESIZE_PENDING and condition.get("reason") == "Infeasible":
            return _largest(actual, allocated)
    return _largest(wished, actual, allocated)


def _pod_level(spec: wire.PodSpec) -> Milli:
    """spec.resources.requests, completed as the API server completes it.

    Requests that are missing come from the containers (not huge pages: those can't be
    overcommitted), then from the limits. A pod with pod-level requests only is left as it is.
    """
    resources = spec.get("resources")
    if not resources:
        return {}
    requests = _milli(resources.get("requests"), "spec.resources.requests")
    limits = _milli(resources.get("limits"), "spec.resources.limits")
    if limits or requests:
        for name, value in _containers(spec, "limits", {}, {}).items():
            if name.startswith("hugepages-") and name not in requests:
                limits.setdefault(name, value)
    if limits:
        for name, value in _containers(spec, "requests", {}, {}).items():
            if _is_pod_level(name) and not name.startswith("hugepages-"):
                requests.setdefault(name, value)
        for name, value in limits.items():
            if _is_pod_level(name):
                requests.setdefault(name, value)
    return requests


def _is_pod_level(name: str) -> bool:
    return name in ("cpu", "memory") or name.startswith("hugepages-")


def _by_name(pod: wire.PodStatus) -> Statuses:
    """The first of each name."""
    found: dict[str | None, wire.ContainerStatus] = {}
    for statuses in (pod.get("containerStatuses"), pod.get("initContainerStatuses")):
        for status in statuses or ():
            found.setdefault(status.get("name"), status)
    return found


def _milli(values: Mapping[str, Any] | None, field: str) -> Milli:
    milli: Milli = {}
    for name, value in (values or {}).items():
        where = f"{field}[{name}]" if "." in name or "/" in name else f"{field}.{name}"
        try:
            milli[name] = _quantity(value)
        except BadInput as error:
            raise BadInput(f"{where}: {error}", field=where) from None
        if milli[name] < 0:
            said = f"{bounds.shown(value)} is below zero; ask for 0 or more"
            raise BadInput(f"{where}: {said}", field=where)
    return milli


def _quantity(value: object) -> int:
    """Thousandths of what stands in a resource list, whatever that is. Raises BadInput."""
    if isinstance(value, str):
        return _milli_of(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return quantity.milli(value)
    raise BadInput(f"{bounds.shown(value)} is not a quantity; write it like 500m, 2 or 1.5Gi")


@lru_cache(maxsize=4096)
def _milli_of(text: str) -> int:
    return quantity.milli(text)


def _add(total: Milli, more: Milli) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _largest(*lists: Milli) -> Milli:
    largest: Milli = {}
    for one in lists:
        for name, value in one.items():
            if name not in largest or value > largest[name]:
                largest[name] = value
    return largest


def _rounded(total: Milli) -> Resources:
    own = ("cpu", "memory", "ephemeral-storage", "pods")
    whole = {name: -(-milli // 1000) for name, milli in total.items()}
    return Resources(
        cpu_milli=total.get("cpu", 0),
        memory_bytes=whole.get("memory", 0),
        ephemeral_bytes=whole.get("ephemeral-storage", 0),
        extended=tuple(
            sorted((name, count) for name, count in whole.items() if count and name not in own)
        ),
    )
