"""The most expensive pods that anybody may send: within 256 KiB of annotations and 3 MiB in all.

Each makes the webhook look at as much as possible of one kind of thing. Whether the API server
would store them in the end (up to 1.5 MiB) does not matter: it asks us first.
"""

from collections.abc import Callable, Mapping
from typing import Any

from bridge import names

Json = dict[str, Any]

ANNOTATIONS_BYTES = 256 << 10
OBJECT_BYTES = 3_000_000
"""Of JSON, and the rest of the pod beside it: the API server takes requests of 3 MiB."""

CONSTRAINTS = "&".join(f"f{number}" for number in range(16)) + "|(f0&y)" * 24
"""As many features as are read, in ORs that stay many while it is turned into an AND of ORs."""


def pods(ordinary: Json, *, size: int = OBJECT_BYTES) -> Mapping[str, Json]:
    """By what there is so much of, in `size` bytes; each is the ordinary pod otherwise."""
    notes = min(size, ANNOTATIONS_BYTES)
    device = "deviceclass.resource.kubernetes.io/"
    return {
        "constraints of many clauses": _annotated(
            ordinary, {names.JOB_PREFIX + "constraints": CONSTRAINTS}
        ),
        "a number of 256 KiB": _annotated(
            ordinary, {names.JOB_PREFIX + "priority": "9" * (notes - 100)}
        ),
        "unknown parameters": _annotated(ordinary, _keys(names.JOB_PREFIX + "x{n}", notes)),
        "misspelt parameters": _annotated(
            ordinary, _keys(names.JOB_PREFIX + "tiemlimit-{n}", notes)
        ),
        "misspelt beside a mistake": _annotated(
            ordinary,
            {**_keys(names.JOB_PREFIX + "x{n}", notes), names.JOB_PREFIX + "gang": "perhaps"},
        ),
        "parameters of old": _annotated(ordinary, _keys("slinky.slurm.net/timelimit-{n}", notes)),
        "containers": _with(ordinary, "containers", lambda n: {"name": f"c{n}"}, size),
        "containers with resources": _with(
            ordinary,
            "containers",
            lambda n: {"name": f"c{n}", "resources": {"limits": {"cpu": "1"}}},
            size,
        ),
        "unknown devices": _with(
            ordinary,
            "containers",
            lambda n: {"name": f"c{n}", "resources": {"limits": {f"{device}x{n}": "1"}}},
            size,
        ),
        "tolerations": _with(
            ordinary, "tolerations", lambda n: {"key": f"k{n}", "operator": "Exists"}, size
        ),
        "volumes": _with(ordinary, "volumes", lambda n: {"name": f"v{n}", "emptyDir": {}}, size),
        "labels of nodes": {
            **ordinary,
            "spec": {**ordinary["spec"], "nodeSelector": _keys("k{n}", size)},
        },
        "requirements": _affinity(ordinary, size),
        "owners": _owned(ordinary, size),
    }


def _keys(form: str, size: int) -> Json:
    """As many keys as there may be."""
    found, number = {}, 0
    while size > 0:
        key = form.format(n=number)
        found[key] = ""
        size -= len(key) + 6
        number += 1
    return found


def _many(item: Callable[[int], Json], size: int) -> list[Json]:
    return [item(number) for number in range(size // len(str(item(10_000))))]


def _annotated(ordinary: Json, annotations: Json) -> Json:
    return {**ordinary, "metadata": {**ordinary["metadata"], "annotations": annotations}}


def _with(ordinary: Json, field: str, item: Callable[[int], Json], size: int) -> Json:
    return {**ordinary, "spec": {**ordinary["spec"], field: _many(item, size)}}


def _affinity(ordinary: Json, size: int) -> Json:
    one = _many(lambda n: {"key": f"k{n}", "operator": "In", "values": ["v"]}, size)
    required = {"nodeSelectorTerms": [{"matchExpressions": one}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    return {**ordinary, "spec": {**ordinary["spec"], "affinity": affinity}}


def _owned(ordinary: Json, size: int) -> Json:
    owners = _many(lambda n: {"apiVersion": "v1", "kind": "K", "name": "n", "uid": f"u{n}"}, size)
    return {**ordinary, "metadata": {**ordinary["metadata"], "ownerReferences": owners}}
