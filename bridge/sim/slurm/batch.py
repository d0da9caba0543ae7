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


def begin_anew(job: Job, now: float, begin_s: float, *, hold: bool) -> Job:
    """The next run of a job that holds nothing any more; it waits. The run that was stays as it is
    remembered, and how it ended is readable on the next one until that starts.
    """
    if job.running:
        job.state, job.end_s = "REQUEUED", now
    run = replace(
        job,
        request=replace(job.request, begin_s=begin_s),
        state="PENDING",
        reason="None",
        description="",
        limit_reason="",
        shares=(),
        submit_s=now,
        end_s=0.0,
        preempt_s=0.0,
        restarts=job.restarts + 1,
    )
    if hold:
        run.held, run.priority = True, 0
        run.reason, run.description = "JobHeldUser", "job requeued in held state"
    return run
