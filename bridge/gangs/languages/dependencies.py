"""The annotation `dependency`: Slurm's own ids, or workloads of Kubernetes by kind and name."""

import re
from typing import Final

from bridge import names
from bridge.errors import BadInput
from bridge.model import bounds
from bridge.model.gang import Dependency

KEY: Final = names.JOB_PREFIX + "dependency"
FIELD: Final = f"metadata.annotations[{KEY}]"
_CONDITIONS = ("after", "afterany", "afterok", "afternotok")
FORMS: Final = (
    "write condition:target or singleton, several with commas between; the condition is "
    f"{', '.join(_CONDITIONS)}, the target a Slurm job id or kind/name of a workload in the same "
    "namespace (afterok:123, afterany:job/prepare)"
)
_ID = re.compile(r"[1-9][0-9]{0,9}")
_ID_LATER = re.compile(r"([1-9][0-9]{0,9})\+[0-9]{1,6}")
_WORKLOAD = re.compile(r"[a-z][a-z0-9]{0,62}/[a-z0-9](?:[a-z0-9.\-]{0,251}[a-z0-9])?")


def parse(text: str) -> tuple[Dependency, ...]:
    """`afterok:123:124`, `afterany:job/prepare,after:job/server`, `singleton`. Raises BadInput."""
    if len(text) > bounds.LONGEST_VALUE:
        raise _malformed(text, f"has more than {bounds.LONGEST_VALUE} characters")
    if text.count(",") + text.count(":") > bounds.MOST_TARGETS:
        raise _malformed(text, f"has more than {bounds.MOST_TARGETS} items")
    found: list[Dependency] = []
    for item in text.split(","):
        condition, *targets = item.strip().split(":")
        if condition == "singleton" and not targets:
            found.append(Dependency("singleton"))
            continue
        if condition not in _CONDITIONS or not targets:
            raise _malformed(text)
        for target in (one.strip() for one in targets):
            if not _is_target(condition, target):
                raise _malformed(text)
            found.append(Dependency(condition, target.lower()))
    return tuple(dict.fromkeys(found))


def _is_target(condition: str, target: str) -> bool:
    later = _ID_LATER.fullmatch(target) if condition == "after" else None
    number = later[1] if later else target
    if _ID.fullmatch(number):
        return int(number) <= bounds.LARGEST_ID
    return _WORKLOAD.fullmatch(target.lower()) is not None


def _malformed(text: str, why: str = "is not a dependency") -> BadInput:
    return BadInput(f"annotation {KEY}: {bounds.shown(text)} {why}; {FORMS}", field=FIELD)
