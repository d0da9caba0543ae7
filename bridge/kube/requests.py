"""What a pod asks for, computed as kube-scheduler and kubelet do (component-helpers/resource).

Containers run together: summed. Init containers run one after the other, each beside the sidecars
(restartPolicy Always) that started before it: the largest moment counts, if it is larger than the
sum of containers and all sidecars. Pod-level requests replace both for cpu, memory and huge pages.
Overhead comes on top. A limit without a request counts as a request: the API server fills that in
for pods, not for templates.

Exact until the end: 100m of three containers is 300m, and half bytes add up before they round.
"""

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Any, Literal

from bridge.errors import BadInput
from bridge.kube import wire
from bridge.model import quantity
from bridge.model.resources import Resources

Exact = dict[str, Fraction]

RESIZE_PENDING = "PodResizePending"
"""Condition of a pod whose resize in place waits, or (reason Infeasible) can't be done."""


def of(spec: wire.PodSpec, status: wire.PodStatus | None = None) -> Resources:
    """The requests of a pod, or of a template's pods.

    `status` is given for pods on a node: a resize in place holds the larger of what is wished,
    allocated and in force until it is over. Raises BadInput with the field of a bad quantity.
    """
    total = _containers(spec, "requests", status or {})
    pod_level = _pod_level(spec, total)
    actual = (status or {}).get("resources")
    if status and actual is not None:
        pod_level = {
            name: value
            for name, value in _in_force(
                pod_level,
                _exact(actual.get("requests"), "status.resources.requests"),
                _exact(status.get("allocatedResources"), "status.allocatedResources"),
                status,
            ).items()
            if name in pod_level
        }
    total.update({name: value for name, value in pod_level.items() if _is_pod_level(name)})
    _add(total, _exact(spec.get("overhead"), "spec.overhead"))
    return _rounded(total)


def amounts(values: Mapping[str, Any] | None, field: str) -> Resources:
    """A plain resource list (a node's allocatable) as Resources; `pods` is left out."""
    return _rounded(_exact(values, field))


def _containers(
    spec: wire.PodSpec, which: Literal["requests", "limits"], status: wire.PodStatus
) -> Exact:
    """Containers summed, or the largest moment of the init containers where that is more."""
    total: Exact = {}
    for index, container in enumerate(spec.get("containers") or ()):
        _add(total, _container(container, which, status, f"spec.containers[{index}]"))
    sidecars: Exact = {}
    moments: Exact = {}
    for index, container in enumerate(spec.get("initContainers") or ()):
        field = f"spec.initContainers[{index}]"
        if container.get("restartPolicy") == "Always":
            own = _container(container, which, status, field)
            _add(total, own)
            _add(sidecars, own)
            moment = sidecars
        else:
            moment = _container(container, which, {}, field)
            _add(moment, sidecars)
        moments = _largest(moments, moment)
    return _largest(total, moments)


def _container(
    container: wire.Container,
    which: Literal["requests", "limits"],
    pod: wire.PodStatus,
    field: str,
) -> Exact:
    resources = container.get("resources") or {}
    limits = _exact(resources.get("limits"), f"{field}.resources.limits")
    if which == "limits":
        return limits
    own = {**limits, **_exact(resources.get("requests"), f"{field}.resources.requests")}
    status = _status(pod, container)
    actual = (status or {}).get("resources")
    if status is None or actual is None:
        return own
    return _in_force(
        own,
        _exact(actual.get("requests"), "status.containerStatuses.resources.requests"),
        _exact(status.get("allocatedResources"), "status.containerStatuses.allocatedResources"),
        pod,
    )


def _in_force(wished: Exact, actual: Exact, allocated: Exact, status: wire.PodStatus) -> Exact:
    """What a resize in place holds; a wish that can't be fulfilled doesn't count."""
    for condition in status.get("conditions") or ():
        if condition.get("type") == RESIZE_PENDING and condition.get("reason") == "Infeasible":
            return _largest(actual, allocated)
    return _largest(wished, actual, allocated)


def _pod_level(spec: wire.PodSpec, containers: Exact) -> Exact:
    """spec.resources.requests, completed as the API server completes it.

    Requests that are missing come from the containers (not huge pages: those can't be
    overcommitted), then from the limits. A pod with pod-level requests only is left as it is.
    """
    resources = spec.get("resources")
    if not resources:
        return {}
    requests = _exact(resources.get("requests"), "spec.resources.requests")
    limits = _exact(resources.get("limits"), "spec.resources.limits")
    if limits or requests:
        for name, value in _containers(spec, "limits", {}).items():
            if name.startswith("hugepages-") and name not in requests:
                limits.setdefault(name, value)
    if limits:
        for name, value in containers.items():
            if _is_pod_level(name) and not name.startswith("hugepages-"):
                requests.setdefault(name, value)
        for name, value in limits.items():
            if _is_pod_level(name):
                requests.setdefault(name, value)
    return requests


def _is_pod_level(name: str) -> bool:
    return name in ("cpu", "memory") or name.startswith("hugepages-")


def _status(pod: wire.PodStatus, container: wire.Container) -> wire.ContainerStatus | None:
    for statuses in (pod.get("containerStatuses"), pod.get("initContainerStatuses")):
        for status in statuses or ():
            if status.get("name") == container.get("name"):
                return status
    return None


def _exact(values: Mapping[str, Any] | None, field: str) -> Exact:
    exact: Exact = {}
    for name, value in (values or {}).items():
        where = f"{field}[{name}]" if "." in name or "/" in name else f"{field}.{name}"
        try:
            exact[name] = _quantity(str(value))
        except BadInput as error:
            raise BadInput(f"{where}: {error}", field=where) from None
        if exact[name] < 0:
            raise BadInput(f"{where}: {value} is below zero; ask for 0 or more", field=where)
    return exact


@lru_cache(maxsize=4096)
def _quantity(text: str) -> Fraction:
    return quantity.parse(text)


def _add(total: Exact, more: Exact) -> None:
    for name, value in more.items():
        total[name] = total.get(name, Fraction(0)) + value


def _largest(*lists: Exact) -> Exact:
    largest: Exact = {}
    for one in lists:
        for name, value in one.items():
            if name not in largest or value > largest[name]:
                largest[name] = value
    return largest


def _rounded(total: Exact) -> Resources:
    """Rounded up once, at the end, as the scheduler does."""
    own = ("cpu", "memory", "ephemeral-storage", "pods")
    extended = {name: ceil(value) for name, value in total.items() if name not in own}
    return Resources(
        cpu_milli=ceil(total.get("cpu", Fraction(0)) * 1000),
        memory_bytes=ceil(total.get("memory", Fraction(0))),
        ephemeral_bytes=ceil(total.get("ephemeral-storage", Fraction(0))),
        extended=tuple(sorted((name, amount) for name, amount in extended.items() if amount)),
    )
