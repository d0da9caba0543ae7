"""How a gang gets its next Slurm job: what is under way, and what has failed so far."""

from bridge.lifecycle.tuning import Tuning
from bridge.lifecycle.waits.spec_changes import SpecChanges
from bridge.model.gang import Gang


class Submission:
    """Outlives the gang's jobs. Times are monotonic seconds."""

    def __init__(self, tuning: Tuning) -> None:
        self._first_s, self._most_s = tuning.retry_first_s, tuning.retry_most_s
        self._failures = 0
        self.retry_at_s = float("-inf")
        """Nothing is tried before that."""
        self.generation = 0
        """Number of the gang's present job; while it has none, of the next one."""
        self.under_way: Gang | None = None
        """What is being submitted: the job may be in Slurm before its answer comes."""
        self.trouble = ""
        """Why Slurm did not take the last job."""
        self.trouble_since_s = 0.0
        self.changes = SpecChanges(first_s=tuning.retry_first_s, most_s=tuning.retry_most_s)

    def failed(self, now_s: float, delay_s: float | None = None) -> None:
        """The gang's job could not be had or was of no use: the next try waits longer."""
        if delay_s is None:
            delay_s = min(self._most_s, self._first_s * 2.0 ** min(self._failures, 16))
        self._failures += 1
        self.retry_at_s = now_s + delay_s

    def succeeded(self) -> None:
        """A pod of the gang runs."""
        self._failures = 0

    def refused(self, message: str, now_s: float) -> None:
        """Slurm did not take the job."""
        if not self.trouble:
            self.trouble_since_s = now_s
        self.trouble = message
