"""How limits are written: nested objects, whose leaves are kept here under their paths.

`{"jobs": {"per": {"wall_clock": …}}}` is kept as `jobs.per.wall_clock`. A number that isn't there
is no limit, and is shown as infinite; a list of TRES has a count for each kind that is limited.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from bridge.sim.slurm.dbd import tres
from bridge.sim.slurm.errors import NotEmulated
from bridge.sim.slurm.wire import INFINITE, Complaints, Json, number, read_number

Counts = Mapping[str, int]
Values = Mapping[str, "float | Counts"]
"""Limits by path: a number, or counts by kind ({"cpu": 8, "gres/gpu": 4})."""
Sent = Mapping[str, "float | Counts | None"]
"""The same as it was sent: None lifts a limit, a count of -1 that of one kind."""
Form = Mapping[str, "Form | str"]

_NUMBER: Final = "number"
_FRACTION: Final = "fraction"
_TRES: Final = "TRES"

ASSOCIATION: Final[Form] = {
    "jobs": {
        "per": dict.fromkeys(("count", "accruing", "submitted", "wall_clock"), _NUMBER),
        "active": _NUMBER,
        "accruing": _NUMBER,
        "total": _NUMBER,
    },
    "tres": {
        "total": _TRES,
        "group": {"minutes": _TRES, "active": _TRES},
        "minutes": {"total": _TRES, "per": {"job": _TRES}},
        "per": {"job": _TRES, "node": _TRES},
    },
    "per": {"account": {"wall_clock": _NUMBER}},
}
"""The `max` of an association."""

QOS: Final[Form] = {
    "max": {
        "active_jobs": {"accruing": _NUMBER, "count": _NUMBER},
        "jobs": {
            "count": _NUMBER,
            "active_jobs": {"per": {"account": _NUMBER, "user": _NUMBER}},
            "per": {"account": _NUMBER, "user": _NUMBER},
        },
        "tres": {
            "total": _TRES,
            "minutes": {
                "total": _TRES,
                "per": dict.fromkeys(("qos", "job", "account", "user"), _TRES),
            },
            "per": dict.fromkeys(("account", "job", "node", "user"), _TRES),
        },
        "wall_clock": {"per": {"qos": _NUMBER, "job": _NUMBER}},
        "accruing": {"per": {"account": _NUMBER, "user": _NUMBER}},
    },
    "factor": _FRACTION,
    "min": {"priority_threshold": _NUMBER, "tres": {"per": {"job": _TRES}}},
}
"""The `limits` of a QOS, but for the grace time."""

EMULATED: Final = frozenset(
    {
        *("jobs.active", "jobs.total", "jobs.per.wall_clock", "tres.total", "tres.per.job"),
        *("max.active_jobs.count", "max.jobs.active_jobs.per.user", "max.jobs.per.user"),
        *("max.wall_clock.per.job", "max.tres.total", "max.tres.per.job", "max.tres.per.user"),
    }
)
"""The limits that this emulator holds jobs to."""


def show(form: Form, values: Values, at: str = "") -> dict[str, Json]:
    """The whole object, with what is not limited."""
    shown: dict[str, Json] = {}
    for key, inner in form.items():
        path = f"{at}{key}"
        value = values.get(path)
        if not isinstance(inner, str):
            shown[key] = show(inner, values, f"{path}.")
        elif inner == _TRES:
            shown[key] = tres.show(value) if isinstance(value, Mapping) else []
        elif isinstance(value, int | float):
            shown[key] = number(value)
        else:
            shown[key] = INFINITE if inner == _NUMBER else {**INFINITE, "number": 0.0}
    return shown


def read(form: Form, body: Json, complaints: Complaints, source: str, at: str = "") -> Sent:
    """What was sent of a form. Raises NotEmulated for a limit that jobs here are not held to."""
    return dict(_read(form, body if isinstance(body, dict) else {}, complaints, source, at))


def _read(
    form: Form, body: dict[str, Json], complaints: Complaints, source: str, at: str
) -> Iterator[tuple[str, "float | Counts | None"]]:
    for key, value in body.items():
        inner, path = form.get(key), f"{at}{key}"
        if isinstance(inner, Mapping) and isinstance(value, dict):
            yield from _read(inner, value, complaints, f"{source}{key}/", f"{path}.")
        else:
            yield from read_leaf(path, key, body, complaints, source).items()


def read_leaf(
    path: str, key: str, body: dict[str, Json], complaints: Complaints, source: str
) -> Sent:
    """One limit, sent under `key`. Raises NotEmulated."""
    if path not in EMULATED and body[key] == []:
        return {}
    if path not in EMULATED:
        raise NotEmulated(f"the limit {path}")
    if path.partition("tres.")[1]:
        return {path: tres.read(body[key], complaints, f"{source}{key}")}
    sent = read_number(body, key, complaints, source)
    if not sent.given:
        return {}
    return {path: None if sent.infinite else sent.value}


def numbers(values: Values) -> dict[str, "float | Counts"]:
    """Those that are no counts of TRES."""
    return {path: value for path, value in values.items() if not isinstance(value, Mapping)}


def changed(values: Values, sent: Sent) -> dict[str, "float | Counts"]:
    """The limits after a change; of TRES each kind by itself."""
    after = dict(values)
    for path, value in sent.items():
        if isinstance(value, Mapping):
            before = after.get(path)
            counts = {**(before if isinstance(before, Mapping) else {}), **value}
            after[path] = {kind: count for kind, count in counts.items() if count >= 0}
        elif value is None:
            after.pop(path, None)
        else:
            after[path] = value
    return after
