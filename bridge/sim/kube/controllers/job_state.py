"""What a Job's spec, status and pods come to: counts, what to create, what to end (pure)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bridge.sim.kube.apiserver.objects import Object, condition_is_true, seconds
from bridge.sim.kube.controllers import failure_policy, indexes
from bridge.sim.kube.controllers.pods import is_active, progress

TRACKING: Final = "batch.kubernetes.io/job-tracking"
INDEX: Final = "batch.kubernetes.io/job-completion-index"
_NUMBER: Final = re.compile(r"\+?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a Job ends: the interim condition that says so, the final one, and why."""

    interim: str
    final: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Tally:
    """A Job's pods, counted."""

    active: tuple[Object, ...]
    ready: int
    terminating: int
    uncounted: tuple[Object, ...]
    """Finished, and still carrying the tracking finalizer."""
    won: tuple[Object, ...]
    """Those of `uncounted` that count as succeeded."""
    lost: tuple[Object, ...]
    """Those that count as failed, unless the failure policy ignores them."""
    succeeded: int
    failed: int
    completed: frozenset[int]
    """Completion indexes that have succeeded (Indexed only)."""
    outcome: Outcome | None


def tally(job: Object, pods: Sequence[Object], *, now_s: float) -> Tally:
    """Count the pods of a Job that has not finished."""
    status = job.get("status") or {}
    active = tuple(pod for pod in pods if is_active(pod))
    uncounted = tuple(pod for pod in pods if is_tracked(pod) and _finished(job, pod))
    valid = [pod for pod in uncounted if not is_indexed(job) or _has_index(job, pod)]
    won = [pod for pod in valid if pod["status"].get("phase") == "Succeeded"]
    lost = [pod for pod in valid if pod["status"].get("phase") != "Succeeded"]
    counted = [pod for pod in lost if failure_policy.verdict(job, pod).action != "Ignore"]
    completed: frozenset[int] = frozenset()
    succeeded = status.get("succeeded", 0) + len(won)
    if is_indexed(job):
        known = indexes.parse(status.get("completedIndexes") or "")
        done = known | {index_of(pod) for pod in won}
        completed = frozenset(index for index in done if 0 <= index < job["spec"]["completions"])
        succeeded = len(completed)
    failed = status.get("failed", 0) + len(counted)
    return Tally(
        active=active,
        ready=sum(condition_is_true(pod, "Ready") for pod in active),
        terminating=sum(1 for pod in pods if is_terminating(pod)),
        uncounted=uncounted,
        won=tuple(won),
        lost=tuple(lost),
        succeeded=succeeded,
        failed=failed,
        completed=completed,
        outcome=_outcome(job, pods, len(active), succeeded, failed, now_s=now_s),
    )


def wanted_active(job: Object, counts: Tally) -> int:
    """How many pods should be active now."""
    spec = job["spec"]
    if spec.get("suspend"):
        return 0
    if spec.get("completions") is None:
        return len(counts.active) if counts.succeeded else int(spec["parallelism"])
    completions, parallelism = int(spec["completions"]), int(spec["parallelism"])
    return max(0, min(completions - counts.succeeded, parallelism))


def surplus(job: Object, counts: Tally) -> list[Object]:
    """Active pods to delete: without a valid index, of an index taken twice, least far first."""
    ordered = sorted(counts.active, key=progress)
    chosen: list[Object] = []
    if is_indexed(job):
        seen: set[int] = set()
        for pod in reversed(ordered):
            index = index_of(pod)
            if index in seen or not _has_index(job, pod) or index in counts.completed:
                chosen.append(pod)
            seen.add(index)
    too_many = len(ordered) - wanted_active(job, counts)
    rest = [pod for pod in ordered if pod not in chosen]
    if is_indexed(job):
        rest.sort(key=index_of, reverse=True)
    return chosen + rest[: max(0, too_many - len(chosen))]


def missing(job: Object, counts: Tally) -> list[int]:
    """A completion index for each pod to create; -1 for a Job without indexes."""
    lacking = wanted_active(job, counts) - len(counts.active)
    if job["spec"].get("podReplacementPolicy") == "Failed":
        lacking -= counts.terminating
    if lacking <= 0:
        return []
    if not is_indexed(job):
        return [-1] * lacking
    taken = counts.completed | {index_of(pod) for pod in counts.active}
    free = [index for index in range(job["spec"]["completions"]) if index not in taken]
    return free[:lacking]


def is_indexed(job: Object) -> bool:
    """Whether each pod of the Job has a number."""
    return bool(job["spec"].get("completionMode") == "Indexed")


def is_finished(job: Object) -> bool:
    """Whether the Job is over."""
    return condition_is_true(job, "Complete") or condition_is_true(job, "Failed")


def index_of(pod: Object) -> int:
    """A pod's completion index, -1 if it has none that is a number of 64 bits."""
    text = (pod["metadata"].get("annotations") or {}).get(INDEX, "")
    return int(text) if _NUMBER.fullmatch(text) else -1


def _has_index(job: Object, pod: Object) -> bool:
    return 0 <= index_of(pod) < int(job["spec"]["completions"])


def finished_s(pod: Object) -> float:
    """When a pod ended (or began to), in seconds since the epoch."""
    for status in pod["status"].get("containerStatuses") or ():
        ended = (status.get("state") or {}).get("terminated") or {}
        if ended.get("finishedAt"):
            return seconds(ended["finishedAt"])
    fields = pod["metadata"]
    if fields.get("deletionTimestamp"):
        grace = fields.get("deletionGracePeriodSeconds") or 0
        return seconds(fields["deletionTimestamp"]) - grace
    return seconds(fields["creationTimestamp"])


def _outcome(
    job: Object,
    pods: Sequence[Object],
    active: int,
    succeeded: int,
    failed: int,
    *,
    now_s: float,
) -> Outcome | None:
    spec, status = job["spec"], job.get("status") or {}
    for condition in status.get("conditions") or ():
        interim = (condition["type"], condition["status"])
        if interim == ("SuccessCriteriaMet", "True"):
            return Outcome(
                "SuccessCriteriaMet", "Complete", condition["reason"], condition["message"]
            )
        if interim == ("FailureTarget", "True"):
            return Outcome("FailureTarget", "Failed", condition["reason"], condition["message"])
    for pod in pods:
        verdict = failure_policy.verdict(job, pod)
        if pod["status"].get("phase") == "Failed" and verdict.action == "FailJob":
            return Outcome("FailureTarget", "Failed", "PodFailurePolicy", verdict.message)
    if failed > spec["backoffLimit"]:
        message = "Job has reached the specified backoff limit"
        return Outcome("FailureTarget", "Failed", "BackoffLimitExceeded", message)
    deadline = spec.get("activeDeadlineSeconds")
    started = status.get("startTime")
    if deadline is not None and started and not spec.get("suspend"):
        overdue = now_s - seconds(started) >= deadline
        message = "Job was active longer than specified deadline"
        if overdue:
            return Outcome("FailureTarget", "Failed", "DeadlineExceeded", message)
    wanted = spec.get("completions")
    complete = succeeded > 0 and not active if wanted is None else succeeded >= wanted
    if complete and not job["metadata"].get("deletionTimestamp"):
        message = "Reached expected number of succeeded pods"
        return Outcome("SuccessCriteriaMet", "Complete", "CompletionsReached", message)
    return None


def is_tracked(pod: Object) -> bool:
    return TRACKING in (pod["metadata"].get("finalizers") or ())


def _finished(job: Object, pod: Object) -> bool:
    """Terminal; or being deleted, where the Job replaces pods as soon as they terminate."""
    if pod["status"].get("phase") in ("Succeeded", "Failed"):
        return True
    replaces_early = job["spec"].get("podReplacementPolicy") != "Failed"
    return replaces_early and "deletionTimestamp" in pod["metadata"]


def is_terminating(pod: Object) -> bool:
    terminal = pod["status"].get("phase") in ("Succeeded", "Failed")
    return not terminal and "deletionTimestamp" in pod["metadata"]
