"""How often Slurm is told that a gang which waits asks for something else now.

What a gang asks for is written by its author, as often as the API server takes it, and each time it
costs slurmctld a change, or a job that ends and one that begins. The first change is made at once;
those that follow each other wait longer and longer, and only the newest of them is made.
"""


class SpecChanges:
    """Spaces the changes of one gang's job."""

    def __init__(self, *, first_s: float, most_s: float) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._made = 0
        self.next_s = float("-inf")
        """The next one may be made from then on."""

    def made(self, now_s: float) -> None:
        """Takes in that a change is made now."""
        if now_s >= self.next_s + self._most_s:
            self._made = 0
        self.next_s = now_s + min(self._most_s, self._first_s * 2.0 ** min(self._made, 16))
        self._made += 1
