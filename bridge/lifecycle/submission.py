"""How a gang gets its next Slurm job: what is under way, and what has failed so far."""

import math

from bridge.lifecycle.tuning import Tuning
from bridge.model.gang import Gang
from bridge.retry import Backoff


class Submission:
    """The submits of a gang; it outlives the gang's jobs. Times are monotonic seconds."""

    def __init__(self, tuning: Tuning) -> None:
        self._backoff = Backoff(first_s=tuning.retries.first_s, most_s=tuning.retries.most_s)
        self._retry_at_s = -math.inf
        self.generation = 0
        """The number of the gang's present job; while the gang has no job, of the next one."""
        self.under_way: Gang | None = None
        """The gang that is being submitted: its job may be in Slurm before the answer comes."""
        self.trouble = ""
        """Why Slurm did not accept the last job."""
        self.trouble_since_s = 0.0
        self.lacks_nodes = False
        """Whether the last job was refused because no nodes can take it."""
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
        """The time before which nothing is tried."""
        return self._retry_at_s

    def failed(self, now_s: float, delay_s: float = 0.0) -> None:
        """The gang's job could not be had or was of no use: the next try waits longer, and at least
        `delay_s` unless something changes."""
        self._backoff.failed(now_s)
        self._retry_at_s = max(self._backoff.due_s, now_s + delay_s)

    def retry_soon(self, now_s: float) -> None:
        """Something changed that may have been in the way: after one failure the next try comes at
        once. In a large cluster something changes all the time, so after further failures the
        growing wait holds all the same."""
        earliest_s = now_s if self._backoff.failures <= 1 else max(now_s, self._backoff.due_s)
        self._retry_at_s = min(self._retry_at_s, earliest_s)

    def succeeded(self) -> None:
        """Notes that a pod of the gang runs."""
        self._backoff.reset()
        self._retry_at_s = -math.inf

    def refused(self, message: str, now_s: float) -> None:
        """Notes that Slurm did not accept the job."""
        if not self.trouble:
            self.trouble_since_s = now_s
        self.trouble = message
