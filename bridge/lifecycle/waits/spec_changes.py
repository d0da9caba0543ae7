"""How often Slurm is told that a gang which waits asks for something else now.

What a gang asks for is written by its author, as often as the API server takes it, and each time it
costs slurmctld a change, or a job that ends and one that begins. The first change is made at once;
those that follow each other wait longer and longer, and only the newest of them is made.
"""

from bridge.retry import Backoff


class SpecChanges:
    """Spaces the changes of one gang's job."""

    def __init__(self, *, first_s: float, most_s: float) -> None:
        self._backoff = Backoff(first_s=first_s, most_s=most_s, forget_s=most_s)

    @property
    def next_s(self) -> float:
        """The next one may be made from then on."""
        return self._backoff.due_s

    def made(self, now_s: float) -> None:
        """Takes in that a change is made now."""
        self._backoff.failed(now_s)
