"""The user's job parameters: annotations `slurmjob.slinky.slurm.net/*`.

They are free text written by hand, so each is checked before anything is built on it, and the
refusal names the accepted forms: a parameter that is silently dropped (or only fails in the
scheduler's log) costs its author an afternoon.
"""

import difflib
from collections.abc import Callable, Mapping
from math import ceil

from bridge import names
from bridge.errors import BadInput
from bridge.model import quantity, timelimit
from bridge.model.gang import JobParameters
from bridge.workloads import constraints, dependencies, gres

_MIB = 1 << 20


def parse(annotations: Mapping[str, str]) -> JobParameters:
    """The parameters in `annotations`; keys of others are ignored.

    Raises BadInput (with the annotation as `field`) for the first malformed value.
    """
    parsed: dict[str, object] = {}
    for suffix, (field, reader) in _READERS.items():
        key = names.JOB_PREFIX + suffix
        if key not in annotations:
            continue
        text = annotations[key].strip()
        try:
            parsed[field] = reader(text)
        except BadInput as error:
            said = str(error).removeprefix(f"annotation {key}: ")
            raise BadInput(
                f"annotation {key}: {said}", field=f"metadata.annotations[{key}]"
            ) from None
    parameters = JobParameters(**parsed)  # type: ignore[arg-type]
    if (parameters.max_nodes or 2**31) < (parameters.min_nodes or 0):
        raise BadInput(
            f"annotation {names.JOB_PREFIX}min-nodes: {parameters.min_nodes} is more than "
            f"max-nodes, {parameters.max_nodes}; make max-nodes as large or leave it out",
            field=f"metadata.annotations[{names.JOB_PREFIX}min-nodes]",
        )
    return parameters


def gang_wish(annotations: Mapping[str, str]) -> bool | None:
    """The `gang` annotation; None when absent. Raises BadInput unless "true" or "false"."""
    text = annotations.get(names.GANG_ANNOTATION)
    if text is None:
        return None
    if text.strip().lower() not in ("true", "false"):
        raise BadInput(
            f'annotation {names.GANG_ANNOTATION}: {text!r} is neither "true" nor "false"',
            field=f"metadata.annotations[{names.GANG_ANNOTATION}]",
        )
    return text.strip().lower() == "true"


def gang_size(annotations: Mapping[str, str]) -> int | None:
    """The `gang-size` annotation; None when absent. Raises BadInput unless a positive number."""
    text = annotations.get(names.GANG_SIZE_ANNOTATION)
    if text is None:
        return None
    try:
        return _count(text.strip())
    except BadInput as error:
        raise BadInput(
            f"annotation {names.GANG_SIZE_ANNOTATION}: {error}",
            field=f"metadata.annotations[{names.GANG_SIZE_ANNOTATION}]",
        ) from None


def unknown(annotations: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Keys with our prefix that mean nothing, each with the nearest known key ("" if none)."""
    known = [*_READERS, "gang", "gang-size", "user", "group", "accounts", "partitions"]
    found = []
    for key in annotations:
        if not key.startswith(names.JOB_PREFIX) or key[len(names.JOB_PREFIX) :] in known:
            continue
        near = difflib.get_close_matches(key[len(names.JOB_PREFIX) :], known, n=1, cutoff=0.5)
        found.append((key, names.JOB_PREFIX + near[0] if near else ""))
    return tuple(found)


def _text(text: str) -> str:
    if not text or any(not char.isprintable() for char in text):
        raise BadInput(f"{text!r} is empty or has unprintable characters; write a plain word")
    return text


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) < 2**31:
        raise BadInput(f"{text!r} is not a whole number from 1 to 2147483647")
    return int(text)


def _priority(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 <= int(text) < 2**32 - 2:
        raise BadInput(f"{text!r} is not a whole number from 0 to 4294967293")
    return int(text)


def _cpus(text: str) -> int:
    cpus = ceil(quantity.parse(text))
    if not 1 <= cpus <= 65533:
        raise BadInput(f"{text!r} is not between 1 and 65533 CPUs; write it like 4 or 3500m")
    return cpus


def _memory_mib(text: str) -> int:
    mib = ceil(quantity.parse(text) / _MIB)
    if mib < 1:
        raise BadInput(f"{text!r} is no memory; write it like 512Mi or 64Gi")
    return mib


def _exclusive(text: str) -> bool:
    # The Go bridge takes anything but "false" as true; so do we for what it accepts.
    return text.lower() != "false"


def _constraints(text: str) -> str:
    constraints.parse(_text(text))
    return text


def _gres(text: str) -> str:
    gres.parse(_text(text))
    return text


_READERS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "account": ("account", _text),
    "constraints": ("constraints", _constraints),
    "cpu-per-task": ("cpu_per_task", _cpus),
    "dependency": ("dependency", dependencies.parse),
    "exclusive": ("exclusive", _exclusive),
    "gres": ("gres", _gres),
    "group-id": ("group_id", _text),
    "job-name": ("job_name", _text),
    "licenses": ("licenses", _text),
    "max-nodes": ("max_nodes", _count),
    "mem-per-node": ("mem_per_node_mib", _memory_mib),
    "min-nodes": ("min_nodes", _count),
    "partition": ("partition", _text),
    "priority": ("priority", _priority),
    "qos": ("qos", _text),
    "reservation": ("reservation", _text),
    "timelimit": ("timelimit_min", timelimit.parse),
    "user-id": ("user_id", _text),
    "wckey": ("wckey", _text),
}
