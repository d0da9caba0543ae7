"""A story as lines of text, for a terminal."""

from collections.abc import Iterator

from bridge.explain import steps, times
from bridge.explain.rows import JobRow, NodeReport, Place, PodRow, Story

_MOST_PODS = 8


def lines(story: Story, *, now_s: float) -> Iterator[str]:
    """The most important things first: how it stands, when it starts, what to do."""
    gang = story.gang
    pods = "1 pod" if gang.size == 1 else f"{gang.size} pods"
    yield f"{gang.kind} {gang.namespace}/{gang.name}: {_STATES.get(gang.state, gang.state)}, {pods}"
    yield ""
    yield f"  {gang.message}"
    if story.starts_when:
        yield ""
        yield from _paragraph("When it starts", (_stop(story.starts_when),))
    if story.advice:
        yield from _paragraph("What to do", tuple(map(_stop, story.advice)))
    if story.place is not None:
        yield from _paragraph("Its place", (_place(story.place),))
    if story.notes:
        yield from _paragraph("Also", tuple(map(_stop, story.notes)))
    if story.nodes:
        yield ""
        for report in story.nodes:
            yield from _nodes(report)
    if story.job is not None:
        yield ""
        yield from _job(story.job, _state(story, story.job), now_s)
    if story.steps:
        yield ""
        yield "What has happened"
        yield from (f"  {steps.line(row)}" for row in story.steps)
    if len(story.pods) > 1 or any(pod.node for pod in story.pods):
        yield ""
        yield from _pods(story)


_STATES = {
    "Known": "not in Slurm's queue",
    "Submitting": "being submitted to Slurm",
    "Queued": "waits in Slurm's queue",
    "Allocated": "has nodes, and waits for room on them",
    "Placing": "is being put onto its nodes",
    "Running": "runs",
    "Ending": "is ending",
    "Done": "is over",
    "SetAside": "set aside by a fault of slurm-bridge",
}


def _paragraph(head: str, sentences: tuple[str, ...]) -> Iterator[str]:
    first, *others = sentences
    yield f"  {head + ':':16}{first}"
    yield from (f"  {'':16}{one}" for one in others)


def _stop(sentence: str) -> str:
    return sentence if sentence.endswith(".") else f"{sentence}."


def _place(place: Place) -> str:
    others = place.waiting - 1
    if not others:
        return f"no other job waits in partition {place.partition}."
    if not place.ahead:
        return f"the first of {place.waiting} jobs that wait in partition {place.partition}."
    return (
        f"{place.ahead + 1} of {place.waiting} jobs that wait in partition {place.partition}, "
        "by priority."
    )


def _nodes(report: NodeReport) -> Iterator[str]:
    what = f"a pod of {report.role}" if report.role else "one of its pods"
    if not report.nodes:
        yield "Kubernetes has no nodes."
        return
    if report.able:
        able = f"{report.able} of {_count(report.nodes)} have room for {what} now"
    else:
        able = f"None of {_count(report.nodes)} has room for {what} now"
    yield f"Nodes, as Kubernetes sees them: {able}{':' if report.out else '.'}"
    width = max((len(str(count)) for count, _ in report.out), default=1)
    for count, reason in report.out:
        yield f"  {count:>{width}}  {reason}"


def _count(nodes: int) -> str:
    return "1 node" if nodes == 1 else f"{nodes} nodes"


def _state(story: Story, job: JobRow) -> str:
    """Slurm has no better word for a job that the bridge ends when its pods have ended."""
    was_needed = any(f"Slurm job {job.id} was cancelled" in step.text for step in story.steps)
    if job.state == "CANCELLED" and story.gang.state == "Done" and not was_needed:
        return "CANCELLED (so slurm-bridge ends a job that no pod needs)"
    return job.state + (f", {job.reason}" if job.reason else "")


def _job(job: JobRow, state: str, now_s: float) -> Iterator[str]:
    yield f"Slurm job {job.id}" + (f" ({job.name})" if job.name else "")
    facts = [
        ("state", state),
        ("Slurm says", job.description),
        ("user", job.user),
        ("account", job.account),
        ("QOS", job.qos),
        ("partition", job.partition),
        ("priority", "" if job.priority is None else str(job.priority)),
        ("time limit", _limit(job)),
        ("submitted", _at(job.submit_s)),
    ]
    if job.state == "PENDING":
        facts.append(("expected start", _ahead(job.start_s, now_s)))
    else:
        facts.append(("started", _at(job.start_s)))
        over = job.state not in ("RUNNING", "SUSPENDED")
        facts.append(("ended" if over else "ends at last", _at(job.end_s)))
        facts.append(("nodes", ", ".join(job.nodes[:16]) + (" …" if len(job.nodes) > 16 else "")))
    yield from (f"  {name:16}{value}" for name, value in facts if value)


def _limit(job: JobRow) -> str:
    return "none" if job.time_limit_min is None else times.about(job.time_limit_min * 60)


def _at(epoch_s: float | None) -> str:
    return times.at(epoch_s) if epoch_s else ""


def _ahead(epoch_s: float | None, now_s: float) -> str:
    return times.ahead(epoch_s, now_s) if epoch_s and epoch_s > now_s else ""


def _pods(story: Story) -> Iterator[str]:
    yield "Pods"
    shown = story.pods[:_MOST_PODS]
    width = max(len(pod.name) for pod in shown)
    yield from (f"  {pod.name:{width}}  {_pod(pod)}" for pod in shown)
    more = len(story.pods) - len(shown) + story.more_pods
    if more:
        yield f"  and {more} more"


def _pod(pod: PodRow) -> str:
    return f"{pod.phase} on {pod.node}" if pod.node else pod.phase
