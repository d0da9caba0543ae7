"""How long to wait before the next try: twice as long after each failure in a row, up to a bound.

Pure: the time is handed in. So is the chance, where many would come back at the same moment.
"""

import math
from collections.abc import Callable

_DOUBLINGS = 30
"""More than anybody's bound allows, and still a number."""


def pause_s(failures: int, *, first_s: float, most_s: float) -> float:
    """The time to wait after so many failures in a row, in seconds."""
    return min(most_s, first_s * 2.0 ** min(max(0, failures - 1), _DOUBLINGS))


class Backoff:
    """The failures in a row of one thing, and when it is tried again. All times in seconds.

    `draw` makes the time to wait of the doubled one; by default it is that one. A failure that
    comes `forget_s` after the try was due is the first again.
    """

    def __init__(
        self,
        *,
        first_s: float,
        most_s: float,
        forget_s: float = math.inf,
        draw: Callable[[float], float] = float,
    ) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._forget_s = forget_s
        self._draw = draw
        self.failures = 0
        """In a row."""
        self.due_s = -math.inf
        """From then on it may be tried again."""

    def next_s(self) -> float:
        """The time to wait after one more failure."""
        self.failures += 1
        return self._draw(pause_s(self.failures, first_s=self._first_s, most_s=self._most_s))

    def failed(self, now_s: float) -> float:
        """One more failure, at `now_s`: sets `due_s`. The time to wait until then."""
        if now_s - self.due_s >= self._forget_s:
            self.reset()
        wait_s = self.next_s()
        self.due_s = now_s + wait_s
        return wait_s

    def reset(self) -> None:
        """It worked: the next failure is the first again."""
        self.failures = 0
        self.due_s = -math.inf
