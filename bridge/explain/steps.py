"""The history of a gang as sentences with times."""

from collections.abc import Iterable

from bridge.explain import times
from bridge.explain.rows import JobRow, StepRow
from bridge.lifecycle.history import Step


def rows(
    history: Iterable[Step],
    *,
    epoch_s: float,
    created_s: float | None,
    pods: int,
    job: JobRow | None,
) -> tuple[StepRow, ...]:
    """The steps in order. `epoch_s` is the epoch time of the monotonic time 0. `created_s` is when
    the oldest of `pods` pods was created; what Slurm says of the present job is added."""
    history = list(history)
    found: list[StepRow] = []
    if created_s:
        found.append(StepRow(created_s, "Created." if pods == 1 else f"{pods} pods were created."))
    submitted = {step.job_id for step in history if step.kind == "queued"}
    known = job is not None and job.submit_s is not None
    for at, step in enumerate(history):
        is_first = not any(one.job_id == step.job_id for one in history[:at])
        text = _text(step, pods=pods, is_first=is_first, is_last=at == len(history) - 1)
        if text:
            found.append(StepRow(step.at_s + epoch_s, text))
    if job is not None and known and job.id not in submitted and job.submit_s is not None:
        found.append(StepRow(job.submit_s, f"Slurm job {job.id} was submitted."))
    return tuple(sorted(found, key=lambda row: row.at_s))


def _text(step: Step, *, pods: int, is_first: bool, is_last: bool) -> str:
    job = f"Slurm job {step.job_id}"
    reason = step.detail if step.detail not in ("", "None") else ""
    match step.kind:
        case "known":
            return "slurm-bridge took it up."
        case "refused":
            return f"Not queued: {step.detail.rstrip('.')}."
        case "queued" if is_first:
            return f"Submitted as {job}, which waits" + (f" ({reason})." if reason else ".")
        case "queued":
            return f"{job} waits for another reason now ({reason})." if reason else ""
        case "granted":
            return f"{job} was started: it holds its nodes."
        case "unusable":
            return f"The nodes of {job} could not be used at once: {step.detail.rstrip('.')}."
        case "running":
            what = "Its pod has its place" if pods == 1 else "All pods have their places"
            return f"{what} by {job}."
        case "ended":
            return step.detail
        case "ending":
            return "No pod needs its resources any more."
        case "done":
            return "It is over." if is_last else "None of its pods was left."


def line(row: StepRow) -> str:
    """One step for people."""
    return f"{times.at(row.at_s)}  {row.text}"
