"""The user's job parameters: annotations `slurmjob.slinky.slurm.net/*`.

They are free text written by hand, so each is checked before anything is built on it, and the
refusal names the accepted forms: a parameter that is silently dropped (or only fails in the
scheduler's log) costs its author an afternoon.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any

from bridge import names
from bridge.errors import BadInput
from bridge.gangs.languages import constraints, dependencies, gres
from bridge.model import bounds, quantity, spelling, timelimit
from bridge.model.gang import JobParameters

_MIB = 1 << 20


def parse(annotations: Mapping[str, str]) -> JobParameters:
    """Parses the job parameters in `annotations`; other keys are ignored.

    Raises BadInput (with the annotation as `field`) for the first malformed value.
    """
    parsed: dict[str, object] = {}
    for key, parameter in _PARAMETERS.items():
        if key in annotations:
            parsed[parameter.field] = _read(key, annotations[key], parameter)
    parameters = JobParameters(**parsed)  # type: ignore[arg-type]
    if (parameters.max_nodes or bounds.MOST_PODS) < (parameters.min_nodes or 0):
        raise BadInput(
            f"annotation {names.JOB_PREFIX}min-nodes: {parameters.min_nodes} is more than "
            f"max-nodes ({parameters.max_nodes}); make max-nodes as large or leave it out",
            field=f"metadata.annotations[{names.JOB_PREFIX}min-nodes]",
        )
    return parameters


def gang_wish(annotations: Mapping[str, str]) -> bool | None:
    """The `gang` annotation; None if absent. Raises BadInput if it is not "true" or "false"."""
    text = annotations.get(names.GANG_ANNOTATION)
    if text is None:
        return None
    wish = text.strip().lower() if len(text) <= bounds.LONGEST_WORD else ""
    if wish not in ("true", "false"):
        raise BadInput(
            f'annotation {names.GANG_ANNOTATION}: {bounds.shown(text)} is neither "true" nor '
            '"false"',
            field=f"metadata.annotations[{names.GANG_ANNOTATION}]",
        )
    return wish == "true"


def gang_size(annotations: Mapping[str, str]) -> int | None:
    """The `gang-size` annotation; None if absent. Raises BadInput if not a positive number."""
    text = annotations.get(names.GANG_SIZE_ANNOTATION)
    if text is None:
        return None
    size: int = _read(names.GANG_SIZE_ANNOTATION, text, _GANG_SIZE)
    return size


def is_known(key: str) -> bool:
    """Whether an annotation of ours has an effect on a pod, its owners or its namespace."""
    return key in names.PARAMETERS


def unknown(annotations: Mapping[str, str]) -> tuple[str, ...]:
    """The keys with our prefix that have no effect."""
    return tuple(
        key for key in annotations if key.startswith(names.JOB_PREFIX) and not is_known(key)
    )


def nearest(key: str) -> str:
    """The known key that an unknown key with our prefix probably meant; "" if there is none."""
    suffix = key.removeprefix(names.JOB_PREFIX)
    found = spelling.nearest(suffix, _SUFFIXES, cutoff=0.5)
    return names.JOB_PREFIX + found if found else ""


@dataclass(frozen=True, slots=True)
class _Parameter:
    """How a value is read: into which field of JobParameters, by whom, and how long it may be."""

    field: str
    read: Callable[[str], object]
    longest: int
    form: str
    """The accepted form, for the refusal of a value that is too long to be read."""


def _read(key: str, written: str, parameter: _Parameter) -> Any:
    try:
        return parameter.read(bounds.within(written, parameter.longest, parameter.form).strip())
    except BadInput as error:
        said = str(error).removeprefix(f"annotation {key}: ")
        raise BadInput(f"annotation {key}: {said}", field=f"metadata.annotations[{key}]") from None


def _count(text: str) -> int:
    return bounds.whole(text, least=1, most=bounds.MOST_PODS)


def _priority(text: str) -> int:
    return bounds.whole(text, most=bounds.LARGEST_ID)


def _cpus(text: str) -> int:
    cpus = ceil(quantity.parse(text))
    if not 1 <= cpus <= 65533:
        raise BadInput(
            f"{bounds.shown(text)} is not between 1 and 65533 CPUs; write it like 4 or 3500m"
        )
    return cpus


def _memory_mib(text: str) -> int:
    mib = ceil(quantity.parse(text) / _MIB)
    if mib < 1:
        raise BadInput(f"{bounds.shown(text)} is no memory; write it like 512Mi or 64Gi")
    return mib


def _exclusive(text: str) -> bool:
    # The Go bridge takes anything but "false" as true; so do we for what it accepts.
    return text.lower() != "false"


def _constraints(text: str) -> str:
    constraints.parse(bounds.printable(text, bounds.LONGEST_LIST, constraints.FORMS))
    return text


def _gres(text: str) -> str:
    gres.parse(bounds.printable(text, bounds.LONGEST_LIST, gres.FORMS))
    return text


def _name(field: str) -> _Parameter:
    return _Parameter(field, bounds.printable, bounds.LONGEST_NAME, "write a plain word")


def _list(field: str, read: Callable[[str], object], form: str) -> _Parameter:
    return _Parameter(field, read, bounds.LONGEST_LIST, form)


def _words(field: str, form: str) -> _Parameter:
    """A text that is handed on to Slurm (a job's name is cut to what slurmdbd keeps)."""
    read = partial(bounds.printable, longest=bounds.LONGEST_LIST, form=form)
    return _list(field, read, form)


def _number(field: str, read: Callable[[str], object], least: int, most: int) -> _Parameter:
    form = f"write a whole number from {least} to {most}"
    return _Parameter(field, read, bounds.LONGEST_NUMBER, form)


def _amount(field: str, read: Callable[[str], object], form: str) -> _Parameter:
    return _Parameter(field, read, bounds.LONGEST_QUANTITY, form)


_ON_NODE_LOSS = (
    "write replace (the replacement of a lost pod queues on its own) or restart (the whole gang "
    "is restarted)"
)


def _on_node_loss(text: str) -> str:
    if text not in ("replace", "restart"):
        raise BadInput(f"{bounds.shown(text)} is neither replace nor restart; {_ON_NODE_LOSS}")
    return text


_GANG_SIZE = _number("", _count, 1, bounds.MOST_PODS)
_READERS: Mapping[str, _Parameter] = {
    "account": _name("account"),
    "constraints": _list("constraints", _constraints, constraints.FORMS),
    "cpu-per-task": _amount("cpu_per_task", _cpus, "write it like 4 or 3500m"),
    "dependency": _Parameter(
        "dependency", dependencies.parse, bounds.LONGEST_VALUE, dependencies.FORMS
    ),
    "exclusive": _Parameter("exclusive", _exclusive, bounds.LONGEST_WORD, "write true or false"),
    "gres": _list("gres", _gres, gres.FORMS),
    "group-id": _name("group_id"),
    "job-name": _words("job_name", "write a plain word"),
    "licenses": _words("licenses", "write it like matlab:1,ansys:2"),
    "max-nodes": _number("max_nodes", _count, 1, bounds.MOST_PODS),
    "mem-per-node": _amount("mem_per_node_mib", _memory_mib, "write it like 512Mi or 64Gi"),
    "min-nodes": _number("min_nodes", _count, 1, bounds.MOST_PODS),
    "on-node-loss": _Parameter("on_node_loss", _on_node_loss, bounds.LONGEST_WORD, _ON_NODE_LOSS),
    "partition": _name("partition"),
    "priority": _number("priority", _priority, 0, bounds.LARGEST_ID),
    "qos": _name("qos"),
    "reservation": _words("reservation", "write one or more names separated by commas"),
    "timelimit": _Parameter("timelimit_min", timelimit.parse, bounds.LONGEST_TIME, timelimit.FORMS),
    "user-id": _name("user_id"),
    "wckey": _name("wckey"),
}
_PARAMETERS: Mapping[str, _Parameter] = {
    names.JOB_PREFIX + suffix: parameter for suffix, parameter in _READERS.items()
}
_SUFFIXES = tuple(sorted(key.removeprefix(names.JOB_PREFIX) for key in names.PARAMETERS))
