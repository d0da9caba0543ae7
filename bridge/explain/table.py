"""The queue as squeue shows it, with the workloads' names."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from bridge.explain import times
from bridge.explain.jobs import LIVE
from bridge.explain.rows import JobRow, QueueRow
from bridge.slurm import hostlist

_SHORT: Final = {"PENDING": "PD", "RUNNING": "R", "SUSPENDED": "S"}
_HEADS: Final = (
    "JOBID", "PARTITION", "WORKLOAD", "USER", "ST", "TIME", "PODS", "START", "NODELIST(REASON)",
)  # fmt: skip
_MOST: Final = 90
_NOT_QUEUED: Final = re.compile(r"^(It is not queued( in Slurm)?|Not (yet )?in Slurm's queue): ")
_RIGHT: Final = frozenset({"JOBID", "TIME", "PODS"})


def order(row: QueueRow) -> tuple[object, ...]:
    """As squeue sorts: by partition, those that wait first, by priority. Gangs without a job come
    last."""
    job = row.job
    if job is None:
        return (1, "", 0, 0, 0, f"{row.namespace}/{row.kind}/{row.name}")
    state = LIVE.index(job.state) if job.state in LIVE else len(LIVE)
    return (0, job.partition, state, -(job.priority or 0), job.id, "")


def lines(rows: Sequence[QueueRow], *, unread: int, now_s: float) -> Iterator[str]:
    """The table; `unread` native jobs are only counted."""
    if not rows:
        yield "No job is in the queue."
    else:
        cells = [_HEADS, *(_cells(row, now_s) for row in rows)]
        widths = [max(len(row[at]) for row in cells) for at in range(len(_HEADS))]
        for row in cells:
            texts = [
                text.rjust(width) if head in _RIGHT else text.ljust(width)
                for head, text, width in zip(_HEADS, row, widths, strict=True)
            ]
            yield "  ".join(texts).rstrip()
    if unread:
        yield f"and {unread} native jobs that were not read yet: ask again in a moment"


def _cells(row: QueueRow, now_s: float) -> tuple[str, ...]:
    job = row.job
    workload = f"{row.kind.lower()}/{row.namespace}/{row.name}" if row.namespace else ""
    pods = str(row.pods) if row.pods else ""
    if job is None:
        why = _cut(_NOT_QUEUED.sub("", row.message).rstrip("."))
        return ("-", "-", workload, "", "--", "", pods, "", f"(not queued: {why})")
    state = _SHORT.get(job.state, job.state)
    return (
        str(job.id), job.partition, workload or f"{_cut(job.name)} (native)", job.user, state,
        _time(job, now_s), pods, _start(job, now_s), _where(job),
    )  # fmt: skip


def _time(job: JobRow, now_s: float) -> str:
    return times.clock(now_s - job.start_s) if job.state != "PENDING" and job.start_s else "0:00"


def _start(job: JobRow, now_s: float) -> str:
    """When Slurm expects a waiting job to start."""
    if job.state != "PENDING" or not job.start_s or job.start_s <= now_s:
        return ""
    try:
        start = datetime.fromtimestamp(job.start_s, UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    return f"{start:%H:%M}" if job.start_s - now_s < 43_200 else f"{start:%m-%d %H:%M}"


def _where(job: JobRow) -> str:
    if job.state == "PENDING":
        return f"({job.reason or 'None'})"
    return _cut(hostlist.compress(job.nodes))


def _cut(text: str) -> str:
    return text if len(text) <= _MOST else text[: _MOST - 2] + " …"
