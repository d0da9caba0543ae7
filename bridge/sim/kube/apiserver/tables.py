"""Server-side tables: the columns that `kubectl get` prints."""

from collections.abc import Callable, Sequence
from typing import Final

from bridge.sim.kube.apiserver.kinds import Kind
from bridge.sim.kube.apiserver.objects import Object, condition_is_true, seconds

ACCEPT: Final = "as=Table"

_Cells = Callable[[Object, float], list[object]]
_NAME: Final = ("Name", "string", 0)
_AGE: Final = ("Age", "string", 0)


def table(kind: Kind, objects: Sequence[Object], *, version: str, now_s: float) -> Object:
    """A meta.k8s.io/v1 Table with one row per object."""
    columns, cells = _COLUMNS.get((kind.group, kind.plural), (_PLAIN, _plain))
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": version},
        "columnDefinitions": [
            {
                "name": name,
                "type": form,
                "format": "name" if name == "Name" else "",
                "description": "",
                "priority": priority,
            }
            for name, form, priority in columns
        ],
        "rows": [
            {
                "cells": cells(obj, now_s),
                "object": {
                    "kind": "PartialObjectMetadata",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": obj["metadata"],
                },
            }
            for obj in objects
        ],
    }


def _age(obj: Object, now_s: float) -> str:
    return _duration(now_s - seconds(obj["metadata"]["creationTimestamp"]))


def _duration(span_s: float) -> str:
    """As `kubectl` writes ages: 42s, 3m5s, 12m, 5h, 3d."""
    whole = max(0, int(span_s))
    if whole < 120:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 10:
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    return f"{hours}h" if hours < 48 else f"{hours // 24}d"


def _plain(obj: Object, now_s: float) -> list[object]:
    return [obj["metadata"]["name"], _age(obj, now_s)]


def _pod(obj: Object, now_s: float) -> list[object]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    containers = status.get("containerStatuses") or []
    ready = sum(1 for one in containers if one.get("ready"))
    gates = [gate["name"] for gate in spec.get("readinessGates") or ()]
    return [
        obj["metadata"]["name"],
        f"{ready}/{len(spec.get('containers') or ())}",
        _pod_status(obj),
        str(sum(one.get("restartCount", 0) for one in containers)),
        _age(obj, now_s),
        status.get("podIP") or "<none>",
        spec.get("nodeName") or "<none>",
        status.get("nominatedNodeName") or "<none>",
        ",".join(gates) or "<none>",
    ]


def _pod_status(obj: Object) -> str:
    status = obj.get("status") or {}
    shown = str(status.get("reason") or status.get("phase") or "Unknown")
    for entry in status.get("conditions") or ():
        if entry.get("type") == "PodScheduled" and entry.get("reason") == "SchedulingGated":
            shown = "SchedulingGated"
    for one in status.get("containerStatuses") or ():
        state = one.get("state") or {}
        for kind in ("waiting", "terminated"):
            if (state.get(kind) or {}).get("reason"):
                shown = str(state[kind]["reason"])
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return shown


def _node(obj: Object, now_s: float) -> list[object]:
    shown = "Ready" if condition_is_true(obj, "Ready") else "NotReady"
    if (obj.get("spec") or {}).get("unschedulable"):
        shown += ",SchedulingDisabled"
    roles = sorted(
        label.rpartition("/")[2]
        for label in obj["metadata"].get("labels") or {}
        if label.startswith("node-role.kubernetes.io/")
    )
    info = (obj.get("status") or {}).get("nodeInfo") or {}
    return [
        obj["metadata"]["name"],
        shown,
        ",".join(roles) or "<none>",
        _age(obj, now_s),
        info.get("kubeletVersion", ""),
    ]


def _job(obj: Object, now_s: float) -> list[object]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    wanted = spec.get("completions")
    done = status.get("succeeded", 0)
    parallel = spec.get("parallelism") or 0
    outcome = "Running"
    for kind in ("Complete", "Failed", "Suspended"):
        if condition_is_true(obj, kind):
            outcome = kind
    if obj["metadata"].get("deletionTimestamp"):
        outcome = "Terminating"
    span = ""
    if status.get("startTime"):
        end = status.get("completionTime")
        span = _duration((seconds(end) if end else now_s) - seconds(status["startTime"]))
    completions = f"{done}/{wanted}" if wanted is not None else f"{done}/1 of {parallel}"
    return [obj["metadata"]["name"], outcome, completions, span, _age(obj, now_s)]


def _event(obj: Object, now_s: float) -> list[object]:
    about = obj.get("involvedObject") or {}
    seen = obj.get("lastTimestamp") or obj.get("eventTime")
    return [
        _duration(now_s - seconds(seen)) if seen else "<unknown>",
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}",
        obj.get("message", ""),
    ]


def _namespace(obj: Object, now_s: float) -> list[object]:
    return [
        obj["metadata"]["name"],
        (obj.get("status") or {}).get("phase", ""),
        _age(obj, now_s),
    ]


_PLAIN: Final = (_NAME, _AGE)
_COLUMNS: Final[dict[tuple[str, str], tuple[tuple[tuple[str, str, int], ...], _Cells]]] = {
    ("", "pods"): (
        (
            _NAME,
            ("Ready", "string", 0),
            ("Status", "string", 0),
            ("Restarts", "string", 0),
            _AGE,
            ("IP", "string", 1),
            ("Node", "string", 1),
            ("Nominated Node", "string", 1),
            ("Readiness Gates", "string", 1),
        ),
        _pod,
    ),
    ("", "nodes"): (
        (_NAME, ("Status", "string", 0), ("Roles", "string", 0), _AGE, ("Version", "string", 0)),
        _node,
    ),
    ("", "namespaces"): ((_NAME, ("Status", "string", 0), _AGE), _namespace),
    ("", "events"): (
        (
            ("Last Seen", "string", 0),
            ("Type", "string", 0),
            ("Reason", "string", 0),
            ("Object", "string", 0),
            ("Message", "string", 0),
        ),
        _event,
    ),
    ("batch", "jobs"): (
        (
            _NAME,
            ("Status", "string", 0),
            ("Completions", "string", 0),
            ("Duration", "string", 0),
            _AGE,
        ),
        _job,
    ),
}
