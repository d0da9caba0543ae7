"""How a gang gets its next Slurm job: what is under way, and what has failed so far."""

import math

from bridge.lifecycle.tuning import Tuning
from bridge.model.gang import Gang
from bridge.retry import Backoff


class Submission:
    """Outlives the gang's jobs. Times are monotonic seconds."""

    def __init__(self, tuning: Tuning) -> None:
        self._backoff = Backoff(first_s=tuning.retries.first_s, most_s=tuning.retries.most_s)
        self._retry_at_s = -math.inf
        self.generation = 0
        """Number of the gang's present job; while it has none, of the next one."""
        self.under_way: Gang | None = None
        """What is being submitted: the job may be in Slurm before its answer comes."""
        self.trouble = ""
        """Why Slurm did not take the last job."""
        self.trouble_since_s = 0.0
        self.changes = Backoff(
            first_s=tuning.retries.first_s,
            most_s=tuning.retries.most_s,
            forget_s=tuning.retries.most_s,
        )
        """Changes of a job that waits. Whoever makes pods changes what they ask for as often as the
        API server takes it, and each time it costs slurmctld a change, or a job that ends and one
        that begins. So the first change is made at once, and further ones wait longer and longer;
        only the newest of them is made."""

    @property
    def retry_at_s(self) -> float:
        """Nothing is tried before that."""
        return self._retry_at_s

    def failed(self, now_s: float, delay_s: float = 0.0) -> None:
        """The gang's job could not be had or was of no use: the next try waits longer, and at least
        `delay_s` unless something changes."""
        self._backoff.failed(now_s)
        self._retry_at_s = max(self._backoff.due_s, now_s + delay_s)

    def retry_soon(self, now_s: float) -> None:
        """What was in the way may be gone. In a large cluster something changes all the time, so
        the growing wait holds all the same."""
        self._retry_at_s = min(self._retry_at_s, max(now_s, self._backoff.due_s))

    def succeeded(self) -> None:
        """A pod of the gang runs."""
        self._backoff.reset()
        self._retry_at_s = -math.inf

    def refused(self, message: str, now_s: float) -> None:
        """Slurm did not take the job."""
        if not self.trouble:
            self.trouble_since_s = now_s
        self.trouble = message
