"""What the conditions of a gang's pods say, and how often they are written. Pure.

A condition is written at most once in an interval, and not at all for what is over in a moment (a
job that starts at once, a node that is just being registered): each write costs the API server as
much as a bind.
"""

from collections.abc import Collection
from dataclasses import dataclass

from bridge.lifecycle import messages
from bridge.lifecycle.messages import NO_LACK, Lack
from bridge.lifecycle.waits.pending_claims import PendingClaims
from bridge.model.gang import Gang, Shortfall
from bridge.model.ids import PodUid, SlurmJobId
from bridge.model.job import JobFacts
from bridge.model.pod import Condition, Pod

LONG_AGO = float("-inf")


@dataclass(frozen=True, slots=True)
class GangStatus:
    """The status of a gang, for its pods without a place. Times are monotonic seconds."""

    gang: Gang | None
    job_id: SlurmJobId | None
    facts: JobFacts | None
    problem: str
    """Why the gang's demand can't be understood."""
    trouble: str
    """Why there is no job, since `trouble_s`."""
    trouble_s: float
    submitted_s: float
    shortfall: Shortfall | None
    """Why the nodes that the job holds can't be used yet."""
    lacking: int
    """The number of members that must come before the gang is submitted."""
    full: bool
    """Every slot has its node: a pod without a slot waits for a pod that is ending."""
    claims: PendingClaims
    """The sentence about the claim that keeps the pods from running."""
    lack: Lack = NO_LACK
    """Which nodes the gang lacks."""

    @property
    def waits(self) -> bool:
        """Whether the gang's job waits in Slurm's queue."""
        return self.facts is not None and self.facts.waits

    def condition(self, pod: Pod, *, has_slot: bool) -> Condition | None:
        """What a pod that is not pinned reads (`has_slot`: a slot is its own); None for nothing."""
        if self.problem:
            return messages.waits("InvalidRequest", self.problem)
        if pod.foreign_gates:
            return messages.waits("OtherGates", messages.gated(pod.foreign_gates))
        if self.claims.why:
            return messages.waits("VolumesNotReady", messages.pending_claims(self.claims.why))
        if self.job_id is None and self.lacking and self.gang is not None:
            return messages.incomplete(self.gang, self.lacking)
        if self.job_id is None:
            return messages.not_submitted(self.trouble, self.lack) if self.trouble else None
        if self.facts is not None and self.facts.waits:
            return messages.queued(self.facts, self.lack)
        if self.shortfall is not None:
            return messages.waits_for_room(self.job_id, self.shortfall.reason)
        if self.full and not has_slot:  # one for which there will be no slot has left the gang
            return messages.waits_for_room(self.job_id, messages.STILL_ENDING)
        return None

    def moment(self, pod: Pod) -> float:
        """Since when the gang has this status, if it may be over in a moment; else long ago."""
        if self.problem or pod.foreign_gates:
            return LONG_AGO
        if self.claims.why:
            return self.claims.since_s
        if self.job_id is None:
            return LONG_AGO if self.lacking else self.trouble_s
        return self.submitted_s if self.waits else LONG_AGO

    def sentence(self) -> str:
        """Why the extender lets no pod of it through; "" where only the moment is in the way."""
        if self.problem or self.trouble:
            return self.problem or self.trouble
        if self.claims.why:
            return messages.pending_claims(self.claims.why)
        if self.facts is not None and self.facts.waits:
            return messages.queued(self.facts, self.lack).message
        if self.shortfall is not None and self.job_id is not None:
            return messages.waits_for_room(self.job_id, self.shortfall.reason).message
        return ""


class ConditionThrottle:
    """Keeps the condition that was last written to each pod, and when."""

    def __init__(self, *, interval_s: float) -> None:
        self._interval_s = interval_s
        self._written: dict[PodUid, tuple[Condition | None, float]] = {}

    def keep(self, pods: Collection[PodUid]) -> None:
        """Forgets all pods except these."""
        for uid in self._written.keys() - set(pods):
            del self._written[uid]

    def failed(self, pod: Pod) -> None:
        """Notes that the last write failed: the pod has its former condition."""
        if pod.uid in self._written:
            self._written[pod.uid] = (pod.allocated, self._written[pod.uid][1])

    def due_s(self, pod: Pod, condition: Condition) -> float | None:
        """When the condition may be written; None if the pod has it already."""
        written, at_s = self._written.get(pod.uid, (pod.allocated, LONG_AGO))
        return None if condition == written else at_s + self._interval_s

    def write(self, pod: Pod, condition: Condition, now_s: float) -> None:
        """Notes that the condition is being written."""
        self._written[pod.uid] = (condition, now_s)
