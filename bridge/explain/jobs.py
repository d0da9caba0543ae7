"""Slurm's jobs as rows."""

from typing import Final

from bridge.explain import reasons
from bridge.explain.rows import JobRow
from bridge.slurm.jobs import Job

LIVE: Final = ("PENDING", "RUNNING", "SUSPENDED")


def row(job: Job) -> JobRow:
    """The job; while it waits, with its reason in plain words."""
    reason = "" if job.reason == "None" else job.reason
    meaning = reasons.of(reason, job.description, job.id).meaning if job.pending else ""
    return JobRow(
        id=job.id,
        name=job.name,
        state=job.state,
        reason=reason,
        description="" if job.description == reason else job.description,
        meaning=meaning,
        partition=job.partition,
        account=job.account,
        qos=job.qos,
        user=job.user,
        priority=job.priority,
        submit_s=job.submit_s,
        start_s=job.start_s,
        end_s=None if job.pending else job.end_s,
        time_limit_min=job.time_limit_min,
        nodes=tuple(job.nodes),
    )
