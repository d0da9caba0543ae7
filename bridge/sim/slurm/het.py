"""Het jobs: components that are jobs of their own and share one fate.

As the real slurmctld was seen to do: only backfill starts them, all in one moment, on nodes that
each has for itself in its plan. What is told to the first (cancel, signal) is told to all, what is
told to another concerns that one. A lost node and a preemption end all, a time limit only its own.
"""

from collections.abc import Mapping

from bridge.sim.slurm.job import Job


def components(jobs: Mapping[int, Job], job: Job) -> list[Job]:
    """Those of its het job that are still known; the job alone if it is of none."""
    if job.het is None:
        return [job]
    return [jobs[one] for one in job.het.ids if one in jobs]


def addressed(jobs: Mapping[int, Job], job: Job) -> list[Job]:
    """Whom it concerns if the job is told something."""
    return components(jobs, job) if job.het and not job.het.offset else [job]
