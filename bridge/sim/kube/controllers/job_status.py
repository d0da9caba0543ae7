"""The status that the Job controller writes (pure)."""

from collections.abc import Sequence
from typing import Final

from bridge.sim.kube.apiserver.objects import Object, condition_is_true, with_condition
from bridge.sim.kube.controllers import indexes, job_state
from bridge.sim.kube.controllers.job_state import Tally
from bridge.sim.kube.controllers.pods import is_active

_OMITTED_WHEN_ZERO: Final = ("active", "succeeded", "failed", "completedIndexes")


def status(job: Object, pods: Sequence[Object], counts: Tally, *, now: str) -> Object:
    """The Job's status after a pass: `pods` as they are by now, `counts` as they were before it."""
    active = [pod for pod in pods if is_active(pod)]
    terminating = [pod for pod in pods if job_state.is_terminating(pod)]
    counted = {pod["metadata"]["uid"] for pod in counts.uncounted}
    tracked = [
        pod for pod in pods if job_state.is_tracked(pod) and pod["metadata"]["uid"] not in counted
    ]
    written = {
        **(job.get("status") or {}),
        "active": len(active),
        "ready": sum(condition_is_true(pod, "Ready") for pod in active),
        "terminating": len(terminating),
        "succeeded": counts.succeeded,
        "failed": counts.failed,
        "completedIndexes": indexes.text(counts.completed),
        "uncountedTerminatedPods": {},
    }
    for name in _OMITTED_WHEN_ZERO:
        if not written[name]:
            del written[name]
    if not job["spec"].get("suspend"):
        written.setdefault("startTime", now)
    if counts.outcome is None:
        _note_suspension(job, written, now=now)
    else:
        _note_end(job, written, counts, over=not (active or terminating or tracked), now=now)
    return written


def _note_suspension(job: Object, written: Object, *, now: str) -> None:
    """Suspended and resumed: the condition turns, and the clock of the deadline starts anew."""
    suspended = bool(job["spec"].get("suspend"))
    known = written.get("conditions")
    if suspended == condition_is_true(job, "Suspended") or not (suspended or known):
        return
    reason, message = (
        ("JobSuspended", "Job suspended") if suspended else ("JobResumed", "Job resumed")
    )
    said = _condition("Suspended", reason, message, now=now, holds=suspended)
    written["conditions"] = with_condition(known, said, now=now)
    written.pop("startTime", None)
    if not suspended:
        written["startTime"] = now


def _note_end(job: Object, written: Object, counts: Tally, *, over: bool, now: str) -> None:
    """First the interim condition; the final one when the last pod is gone and counted."""
    end = counts.outcome
    if end is None:
        return
    known = written.get("conditions")
    if not condition_is_true(job, end.interim):
        said = _condition(end.interim, end.reason, end.message, now=now)
        known = with_condition(known, said, now=now)
    if over:
        said = _condition(end.final, end.reason, end.message, now=now)
        known = with_condition(known, said, now=now)
        if end.final == "Complete":
            written["completionTime"] = now
    written["conditions"] = known


def _condition(kind: str, reason: str, message: str, *, now: str, holds: bool = True) -> Object:
    return {
        "type": kind,
        "status": "True" if holds else "False",
        "lastProbeTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }
