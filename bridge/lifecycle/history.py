"""What has happened to one gang, in order, as far back as it is kept. Only shown to people."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from bridge.lifecycle import events as ev
from bridge.lifecycle import messages
from bridge.lifecycle.state import GangState, State
from bridge.model.ids import SlurmJobId
from bridge.model.job import JobFacts

StepKind = Literal[
    "known", "refused", "queued", "granted", "unusable", "running", "ended", "ending", "done"
]
_OF_STATE: Final[dict[State, StepKind]] = {
    State.QUEUED: "queued",
    State.ALLOCATED: "granted",
    State.PLACING: "granted",
    State.RUNNING: "running",
    State.ENDING: "ending",
    State.DONE: "done",
}
_MOST: Final = 24
"""A gang that is refused again and again would have a step for each time."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened. `at_s` is a monotonic time."""

    at_s: float
    kind: StepKind
    job_id: SlurmJobId | None = None
    detail: str = ""
    """Of `queued` Slurm's reason; of `refused`, `unusable` and `ended` why, as a sentence."""


class History:
    """The steps of one gang: the first one and the last ones."""

    def __init__(self) -> None:
        self._steps: list[Step] = []

    def __iter__(self) -> Iterator[Step]:
        return iter(self._steps)

    def hear(self, gang: GangState, event: ev.Event, now_s: float) -> None:
        """Notes what an event says that no state tells later; called before it is taken in."""
        job_id = gang.job_id
        match event:
            case ev.SubmitFailed(message):
                self._add(Step(now_s, "refused", None, message))
            case ev.NotPlaced(job, shortfall) if job == job_id:
                self._add(Step(now_s, "unusable", job_id, shortfall.reason))
            case ev.JobObserved(facts) if facts.job_id == job_id:
                if facts.ended or facts.suspended:
                    self._add(Step(now_s, "ended", job_id, _why_ended(gang, facts)))
            case ev.JobVanished(job) if job == job_id:
                why = f"Slurm job {job} is not known to Slurm any more."
                self._add(Step(now_s, "ended", job_id, why))

    def see(self, gang: GangState, state: State, now_s: float) -> None:
        """Notes how the gang stands after an event."""
        kind = _OF_STATE.get(state)
        if not self._steps:
            self._steps.append(Step(now_s, "known"))
        if kind is None:
            return
        last = self._steps[-1]
        is_of_job = gang.job_id == last.job_id
        if kind == last.kind and is_of_job and kind != "queued":
            return
        facts = gang.run.facts if gang.run is not None else None
        reason = facts.reason if kind == "queued" and facts is not None else ""
        if kind == "granted" and last.kind in ("unusable", "running") and is_of_job:
            return  # the nodes are looked at again and again, and for each pod that comes late
        self._add(Step(now_s, kind, gang.job_id, reason))

    def _add(self, step: Step) -> None:
        steps = self._steps
        last = steps[-1] if steps else None
        if last is not None and _same(last, step):
            return
        is_again = last is not None and (last.kind, last.job_id) == (step.kind, step.job_id)
        if last is not None and is_again and step.kind == "unusable":
            steps[-1] = Step(last.at_s, *_rest(step))  # each pod that ends there changes a number
            return
        if last is not None and is_again and step.kind == "queued":
            if not last.detail:
                steps[-1] = Step(last.at_s, *_rest(step))  # Slurm's first word
                return
            if len(steps) > 1 and (steps[-2].kind, steps[-2].job_id) == ("queued", step.job_id):
                steps.pop()  # reasons alternate: a job's first and its present one are enough
                if _same(steps[-1], step):
                    return
        steps.append(step)
        if len(steps) > _MOST:
            del steps[1]


def _why_ended(gang: GangState, facts: JobFacts) -> str:
    if facts.state == "CANCELLED" and gang.run is not None and gang.run.ending.cancel_at_s:
        return f"Slurm job {facts.job_id} was ended, as no pod needs it."
    return messages.what_ended(facts)[1]


def _same(one: Step, other: Step) -> bool:
    return _rest(one) == _rest(other)


def _rest(step: Step) -> tuple[StepKind, SlurmJobId | None, str]:
    return step.kind, step.job_id, step.detail
