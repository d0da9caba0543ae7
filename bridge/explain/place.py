"""Where in Slurm's queue a job is."""

from collections.abc import Iterable

from bridge.explain.rows import JobRow, Place


def of(job: JobRow, others: Iterable[JobRow]) -> Place | None:
    """The place of a job that waits among the jobs that wait in its partitions; None for a job that
    does not wait. Slurm looks at a partition's jobs by priority, then by age."""
    if job.state != "PENDING":
        return None
    mine = set(job.partition.split(","))
    waiting = [
        one
        for one in others
        if one.state == "PENDING" and one.id != job.id and mine & set(one.partition.split(","))
    ]
    ahead = sum(_before(one, job) for one in waiting)
    return Place(ahead, len(waiting) + 1, job.partition)


def _before(one: JobRow, other: JobRow) -> bool:
    return (-(one.priority or 0), one.id) < (-(other.priority or 0), other.id)
