"""Pods of a gang that ends as a whole which end a moment after the others.

A gang of several Jobs (a JobSet) has one owner that looks at the first Job that fails. Some Jobs
say what a disruption means (podFailurePolicy), others don't. The Job controller judges a pod of a
Job with a policy when the pod has ended; a pod of a Job without one counts as failed as soon as it
is deleted. If all were deleted at once, the Job without a policy would fail first, and its failure
would decide. So its pods are deleted when the others have ended and there was time to judge them.
"""

from collections.abc import Collection, Iterable, Mapping

from bridge.model.ids import PodUid
from bridge.model.pod import Pod


class SparedPods:
    """Which pods are spared, and until when. Times are monotonic seconds."""

    def __init__(self, *, moment_s: float, unscheduled_s: float) -> None:
        self._moment_s = moment_s
        self._unscheduled_s = unscheduled_s
        self._spared: frozenset[PodUid] = frozenset()
        self._first: frozenset[PodUid] = frozenset()
        self._until_s = 0.0
        self.reason = self.message = ""
        """Why they end."""

    def __contains__(self, uid: PodUid) -> bool:
        return uid in self._spared

    def spare(
        self,
        pods: Iterable[Pod],
        *,
        first: Collection[Pod],
        reason: str,
        message: str,
        now_s: float,
    ) -> None:
        """The `pods` end when those of `first` have ended, or had their grace."""
        self._spared |= {pod.uid for pod in pods}
        self._first |= {pod.uid for pod in first}
        self._until_s = now_s + self.longest_s(first)
        self.reason, self.message = reason, message

    def longest_s(self, first: Iterable[Pod]) -> float:
        """How long others are spared at the most, if these pods end first.

        No kubelet ends a pod that has no node: its Job can judge it when the garbage collector has
        marked it as failed.
        """
        ends_s = (pod.grace_s if pod.node_name else self._unscheduled_s for pod in first)
        return max(ends_s) + 2 * self._moment_s

    def check(self, rows: Mapping[PodUid, Pod], now_s: float) -> float | None:
        """When they end; None where nobody is spared."""
        if not self._spared:
            return None
        if not any(uid in rows and not rows[uid].ended for uid in self._first):
            self._until_s = min(self._until_s, now_s + self._moment_s)
        return self._until_s

    def release(self) -> None:
        """Nobody is spared any more."""
        self._spared = self._first = frozenset()
