"""The `dependency` annotation in Slurm's form.

A placeholder job always ends CANCELLED in Slurm, also when its pods succeeded, so Slurm can't judge
`afterok` and `afternotok` of a workload: such a gang is kept out of the queue until Kubernetes
knows how the other one ended. `after` and `afterany` are said with the ids of its jobs.
"""

from collections.abc import Callable, Sequence

from bridge.errors import BadInput
from bridge.gangs.languages.dependencies import FIELD, KEY
from bridge.jobs.workload_status import WorkloadStatus
from bridge.model import bounds
from bridge.model.gang import Dependency


class Waits(BadInput):
    """The gang can't be submitted yet: something else has to happen first."""


Resolve = Callable[[str, str, str], WorkloadStatus | None]
"""(namespace, kind in lower case, name) → the workload's status; None if it does not exist."""


def nobody(_namespace: str, _kind: str, _name: str) -> WorkloadStatus | None:
    """A `Resolve` that knows no workload."""
    return None


def build(dependencies: Sequence[Dependency], *, namespace: str, resolve: Resolve) -> str:
    """The dependency in Slurm's form, without the parts that are fulfilled.

    Raises Waits where the gang can't be queued yet, BadInput where it never can.
    """
    ids: dict[str, list[str]] = {}
    for dependency in dependencies:
        targets = (
            _of_workload(dependency, namespace, resolve)
            if dependency.workload
            else [dependency.target]
        )
        if targets:
            ids.setdefault(dependency.condition, []).extend(filter(None, targets))
    count = sum(map(len, ids.values()))
    if count > bounds.MOST_JOBS:
        raise BadInput(
            f"annotation {KEY}: {bounds.too_many(count, bounds.MOST_JOBS, 'Slurm jobs')}; depend "
            "on workloads that have fewer pods, or only on the last ones",
            field=FIELD,
        )
    return ",".join(":".join([condition, *targets]) for condition, targets in ids.items())


def _of_workload(dependency: Dependency, namespace: str, resolve: Resolve) -> list[str]:
    kind, _, name = dependency.target.partition("/")
    status = resolve(namespace, kind, name)
    what = f"{dependency.target} in namespace {namespace}"
    if status is None:
        raise _waits(f"{what} does not exist yet")
    if status.over:
        if not _came_true(dependency.condition, status.succeeded):
            how = {True: "succeeded", False: "failed", None: "ended with an unknown result"}
            raise BadInput(
                f"annotation {KEY}: {what} has {how[status.succeeded]}, so {dependency.condition} "
                "can't be fulfilled; remove the annotation, or create the workload again",
                field=FIELD,
            )
        return []
    if dependency.condition in ("afterok", "afternotok"):
        raise _waits(f"{what} has not ended")
    if not status.jobs:
        raise _waits(f"{what} has no Slurm job yet")
    return [str(job_id) for job_id in status.jobs]


def _came_true(condition: str, succeeded: bool | None) -> bool:
    wanted = {"afterok": True, "afternotok": False}
    return condition not in wanted or succeeded is wanted[condition]


def _waits(why: str) -> Waits:
    return Waits(f"annotation {KEY}: {why}; the pods are queued when that changes", field=FIELD)
