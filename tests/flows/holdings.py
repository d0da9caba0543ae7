"""What a Slurm job holds, as a table writes it and as slurmrestd shows it."""

from dataclasses import dataclass
from typing import Any

from tests.arena.api import Object, gpus_by_node

_GIB = 1024
_YEAR_MIN = 365 * 24 * 60
"""What slurmctld 26.05 makes of no limit where backfill, not the main scheduler, starts the job."""


@dataclass(frozen=True)
class Held:
    """One Slurm job, all of its tasks together."""

    tasks: int
    cpus: int
    memory_mib: int
    gpus: int
    account: str = ""
    user: str = "slurm"
    minutes: int | None = None
    """Time limit; None: unlimited."""


def held(tasks: int, cpus: int, gib: int, gpus: int = 0, **more: Any) -> Held:
    """A job of `tasks`, each with so much."""
    return Held(tasks, tasks * cpus, tasks * gib * _GIB, tasks * gpus, **more)


def as_seen(job: Object) -> Held:
    """A running job, as Slurm shows it."""
    nodes = job["job_resources"]["nodes"]["allocation"]
    limit = job["time_limit"]
    no_limit = limit["infinite"] or not limit["set"] or limit["number"] == _YEAR_MIN
    return Held(
        tasks=job["tasks"]["number"],
        cpus=sum(node["cpus"]["count"] for node in nodes),
        memory_mib=sum(node["memory"]["allocated"] for node in nodes),
        gpus=sum(gpus_by_node(job).values()),
        account=job["account"],
        user=job["user_name"],
        minutes=None if no_limit else limit["number"],
    )
