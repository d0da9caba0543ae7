"""The time limit of a gang's job, and what its pods were told of the limit.

Slurm gives an external job's nodes away at the limit itself. So that nobody else's job meets pods
that still end, they are told in time to finish their grace by then; but nobody loses more than half
of a short limit to a long grace.
"""

from typing import Literal

Due = Literal["", "warn", "end"]


class Deadline:
    """The time limit of one job. All times are monotonic seconds, handed in."""

    def __init__(self, *, warn_s: float, margin_s: float) -> None:
        self._warn_s = warn_s
        self._margin_s = margin_s
        self._end_s: float | None = None
        self._first_left_s = 0.0
        self._warned = False
        self.ending = False
        """Whether only the pods' grace period is left of the job's time."""
        self.due_s: float | None = None
        """When there is something to do; None if time changes nothing."""

    @property
    def is_set(self) -> bool:
        """Whether the job has a time limit."""
        return self._end_s is not None

    def seen(self, left_s: float | None, now_s: float) -> None:
        """Takes in that Slurm ends the job in `left_s` seconds; None means never."""
        if left_s is None:
            self._end_s, self._warned, self.ending = None, False, False
            return
        if self._end_s is None:
            self._first_left_s = left_s
            self._warned = left_s <= self._warn_s  # who asked for so little knows
        elif now_s + left_s > self._end_s + self._margin_s:
            self.ending = False  # the limit was raised
        self._end_s = now_s + left_s

    def check(self, grace_s: float, now_s: float) -> Due:
        """What is to be done now, for pods that need so long to end; a warning comes once."""
        self.due_s = None
        if self._end_s is None:
            return ""
        lead_s = min(grace_s + self._margin_s, self._first_left_s / 2)
        self.ending = self.ending or now_s >= self._end_s - lead_s
        if self.ending:
            return "end"
        self.due_s = self._end_s - lead_s
        if self._warned:
            return ""
        if now_s >= self._end_s - self._warn_s:
            self._warned = True
            return "warn"
        self.due_s = min(self.due_s, self._end_s - self._warn_s)
        return ""
