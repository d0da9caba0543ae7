"""The most expensive pods that anybody may send: within 256 KiB of annotations and 1.5 MiB in all.

Each makes the webhook look at as much as possible of one kind of thing. Whether the API server
would store them in the end does not matter: it asks us first.
"""

from collections.abc import Callable, Mapping
from typing import Any

from bridge import names

Json = dict[str, Any]

ANNOTATIONS_BYTES = 256 << 10
OBJECT_BYTES = 1_400_000
"""Of JSON, and the rest of the pod beside it."""

CONSTRAINTS = "&".join(f"f{number}" for number in range(16)) + "|(f0&y)" * 24
"""As many features as are read, in ORs that stay many while it is turned into an AND of ORs."""


def pods(ordinary: Json) -> Mapping[str, Json]:
    """By what there is so much of; each is the ordinary pod otherwise."""
    device = "deviceclass.resource.kubernetes.io/"
    return {
        "constraints of many clauses": _annotated(
            ordinary, {names.JOB_PREFIX + "constraints": CONSTRAINTS}
        ),
        "a number of 256 KiB": _annotated(
            ordinary, {names.JOB_PREFIX + "priority": "9" * (ANNOTATIONS_BYTES - 100)}
        ),
        "unknown parameters": _annotated(ordinary, _keys(names.JOB_PREFIX + "x{n}")),
        "misspelt parameters": _annotated(ordinary, _keys(names.JOB_PREFIX + "tiemlimit-{n}")),
        "misspelt beside a mistake": _annotated(
            ordinary, {**_keys(names.JOB_PREFIX + "x{n}"), names.JOB_PREFIX + "gang": "perhaps"}
        ),
        "parameters of old": _annotated(ordinary, _keys("slinky.slurm.net/timelimit-{n}")),
        "containers": _with(ordinary, "containers", lambda n: {"name": f"c{n}"}),
        "containers with resources": _with(
            ordinary,
            "containers",
            lambda n: {"name": f"c{n}", "resources": {"limits": {"cpu": "1"}}},
        ),
        "unknown devices": _with(
            ordinary,
            "containers",
            lambda n: {"name": f"c{n}", "resources": {"limits": {f"{device}x{n}": "1"}}},
        ),
        "tolerations": _with(
            ordinary, "tolerations", lambda n: {"key": f"k{n}", "operator": "Exists"}
        ),
        "volumes": _with(ordinary, "volumes", lambda n: {"name": f"v{n}", "emptyDir": {}}),
        "labels of nodes": {
            **ordinary,
            "spec": {**ordinary["spec"], "nodeSelector": dict(_sized("k{n}", OBJECT_BYTES))},
        },
        "requirements": _affinity(ordinary),
        "owners": _owned(ordinary),
    }


def _keys(form: str) -> Json:
    """As many annotations as there may be."""
    return dict(_sized(form, ANNOTATIONS_BYTES))


def _sized(form: str, size: int) -> list[tuple[str, str]]:
    found, number = [], 0
    while size > 0:
        key = form.format(n=number)
        found.append((key, ""))
        size -= len(key) + 6
        number += 1
    return found


def _many(item: Callable[[int], Json]) -> list[Json]:
    size = len(str(item(10_000)))
    return [item(number) for number in range(OBJECT_BYTES // size)]


def _annotated(ordinary: Json, annotations: Json) -> Json:
    return {**ordinary, "metadata": {**ordinary["metadata"], "annotations": annotations}}


def _with(ordinary: Json, field: str, item: Callable[[int], Json]) -> Json:
    return {**ordinary, "spec": {**ordinary["spec"], field: _many(item)}}


def _affinity(ordinary: Json) -> Json:
    one = _many(lambda n: {"key": f"k{n}", "operator": "In", "values": ["v"]})
    required = {"nodeSelectorTerms": [{"matchExpressions": one}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    return {**ordinary, "spec": {**ordinary["spec"], "affinity": affinity}}


def _owned(ordinary: Json) -> Json:
    owners = _many(lambda n: {"apiVersion": "v1", "kind": "K", "name": "n", "uid": f"u{n}"})
    return {**ordinary, "metadata": {**ordinary["metadata"], "ownerReferences": owners}}
