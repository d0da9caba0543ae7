"""Batch jobs that are queued again under their ids."""

from dataclasses import replace

from bridge.sim.slurm.errors import BATCH_ONLY, DISABLED, JOB_PENDING, Refused
from bridge.sim.slurm.job import Job


def check_requeue(job: Job) -> None:
    """Raises Refused: 2039 no batch job, 2037 it was not to be requeued, 2024 it waits."""
    if job.request.script is None:
        raise Refused(BATCH_ONLY)
    if not job.request.requeue:
        raise Refused(DISABLED)
    if job.pending:
        raise Refused(JOB_PENDING)


def begin_anew(job: Job, now: float, begin_s: float, *, hold: bool) -> None:
    """Make a job that holds nothing any more one that waits. How it ended stays readable until it
    starts again.
    """
    job.state, job.shares, job.restarts = "PENDING", (), job.restarts + 1
    job.submit_s, job.end_s, job.preempt_s = now, 0.0, 0.0
    job.reason, job.description = "None", ""
    job.request = replace(job.request, begin_s=begin_s)
    if hold:
        job.held, job.priority = True, 0
        job.reason, job.description = "JobHeldUser", "job requeued in held state"
