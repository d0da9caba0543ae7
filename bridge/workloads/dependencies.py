"""The `dependency` annotation: Slurm's own ids, or workloads of Kubernetes by kind and name.

A placeholder job always ends CANCELLED in Slurm, also when its pods succeeded, so Slurm can't judge
`afterok` and `afternotok` of a workload: such a gang is kept out of the queue until Kubernetes
knows how the other one ended. `after` and `afterany` are said with the ids of its jobs.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bridge import names
from bridge.errors import BadInput
from bridge.model import bounds
from bridge.model.gang import Dependency
from bridge.model.ids import SlurmJobId

KEY: Final = names.JOB_PREFIX + "dependency"
_FIELD: Final = f"metadata.annotations[{KEY}]"
_CONDITIONS = ("after", "afterany", "afterok", "afternotok")
FORMS: Final = (
    "write condition:target, more of them after commas, with the condition "
    f"{', '.join(_CONDITIONS)} and as target a Slurm job id or kind/name of a workload in the same "
    "namespace (afterok:123, afterany:job/prepare), or singleton"
)
_ID = re.compile(r"[1-9][0-9]{0,9}")
_ID_LATER = re.compile(r"([1-9][0-9]{0,9})\+[0-9]{1,6}")
_WORKLOAD = re.compile(r"[a-z][a-z0-9]{0,62}/[a-z0-9](?:[a-z0-9.\-]{0,251}[a-z0-9])?")


class Waits(BadInput):
    """Not to be submitted yet: something else has to happen first."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a workload stands: the Slurm jobs of its pods that have not ended, and once it is over,
    how (None: not over, or its kind doesn't tell).
    """

    jobs: tuple[SlurmJobId, ...] = ()
    over: bool = False
    succeeded: bool | None = None


Resolve = Callable[[str, str, str], Standing | None]
"""(namespace, kind in lower case, name) → how it stands; None: there is no such workload."""


def nobody(_namespace: str, _kind: str, _name: str) -> Standing | None:
    """Knows no workload."""
    return None


def parse(text: str) -> tuple[Dependency, ...]:
    """`afterok:123:124`, `afterany:job/prepare,after:job/server`, `singleton`. Raises BadInput."""
    if len(text) > bounds.LONGEST_VALUE:
        raise _malformed(text, f"has more than {bounds.LONGEST_VALUE} characters")
    if text.count(",") + text.count(":") > bounds.MOST_TARGETS:
        raise _malformed(text, f"names more than {bounds.MOST_TARGETS} things")
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


def build(wishes: Sequence[Dependency], *, namespace: str, resolve: Resolve) -> str:
    """In Slurm's form, what has come true left out.

    Raises Waits where the gang can't be queued yet, BadInput where it never can.
    """
    ids: dict[str, list[str]] = {}
    for wish in wishes:
        targets = _of_workload(wish, namespace, resolve) if wish.workload else [wish.target]
        if targets:
            ids.setdefault(wish.condition, []).extend(filter(None, targets))
    count = sum(map(len, ids.values()))
    if count > bounds.MOST_JOBS:
        raise BadInput(
            f"annotation {KEY}: {bounds.too_many(count, bounds.MOST_JOBS, 'Slurm jobs')}; depend "
            "on workloads that have fewer pods, or on those that come last",
            field=_FIELD,
        )
    return ",".join(":".join([condition, *targets]) for condition, targets in ids.items())


def _of_workload(wish: Dependency, namespace: str, resolve: Resolve) -> list[str]:
    kind, _, name = wish.target.partition("/")
    standing = resolve(namespace, kind, name)
    what = f"{wish.target} in namespace {namespace}"
    if standing is None:
        raise _waits(f"{what} does not exist (yet)")
    if standing.over:
        if not _came_true(wish.condition, standing.succeeded):
            how = {True: "succeeded", False: "failed", None: "ended, how isn't known"}
            raise BadInput(
                f"annotation {KEY}: {what} has {how[standing.succeeded]}, so {wish.condition} "
                "can't come true; take the annotation away, or make the workload anew",
                field=_FIELD,
            )
        return []
    if wish.condition in ("afterok", "afternotok"):
        raise _waits(f"{what} has not ended")
    if not standing.jobs:
        raise _waits(f"{what} has no Slurm job yet")
    return [str(job_id) for job_id in standing.jobs]


def _came_true(condition: str, succeeded: bool | None) -> bool:
    wanted = {"afterok": True, "afternotok": False}
    return condition not in wanted or succeeded is wanted[condition]


def _waits(why: str) -> Waits:
    return Waits(f"annotation {KEY}: {why}; the pods are queued after that", field=_FIELD)


def _malformed(text: str, why: str = "is no dependency") -> BadInput:
    return BadInput(f"annotation {KEY}: {bounds.shown(text)} {why}; {FORMS}", field=_FIELD)
