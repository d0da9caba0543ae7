"""How often to look: quickly after something of ours, rarely at rest, never more than it costs.

Pure arithmetic. After a trigger or a change the pause is `quick_s` for some looks (an idle Slurm
starts a job within 0.2 s), then doubles with each look that finds nothing new, up to the resting
pause: `interval_s` while jobs are watched, `longest_s` while none are. Looking takes at most a
tenth of the time while hurried, a fiftieth at rest.
"""

from collections.abc import Callable

from bridge.retry import Backoff

_FIRST_PAUSE_S = 0.2
_RESTING_SHARE = 0.02
_HURRIED_SHARE = 0.1
_QUICK_LOOKS = 8
_FORGET = 0.3


class Pace:
    """The pause before the next look. All in seconds."""

    def __init__(self, *, quick_s: float, interval_s: float, longest_s: float) -> None:
        self._quick_s = quick_s
        self._interval_s = interval_s
        self.longest_s = max(longest_s, interval_s)
        """No pause is longer."""
        self._step_s = interval_s
        self._quick_looks = 0
        self.cost_s = 0.0
        """What a look takes, smoothed."""

    def hurry(self) -> None:
        """Something is about to happen."""
        self._step_s = self._quick_s
        self._quick_looks = _QUICK_LOOKS

    def looked(self, *, took_s: float, changed: bool) -> None:
        """A look is over."""
        self.cost_s = took_s if not self.cost_s else self.cost_s + _FORGET * (took_s - self.cost_s)
        if changed:
            self.hurry()
        elif self._quick_looks:
            self._quick_looks -= 1
        else:
            self._step_s = min(2 * self._step_s, self.longest_s)

    def pause_s(self, *, watching: bool) -> float:
        """How long to wait now."""
        resting_s = self._interval_s if watching else self.longest_s
        resting_s = min(max(resting_s, self.cost_s / _RESTING_SHARE), self.longest_s)
        return min(max(self._step_s, self.cost_s / _HURRIED_SHARE), resting_s)


def back_off(*, longest_s: float, jitter: Callable[[], float]) -> Backoff:
    """The pauses of a watcher after failures: half of each is left to chance, so that many clients
    don't come at once. `jitter` gives a number in [0, 1)."""
    return Backoff(
        first_s=_FIRST_PAUSE_S, most_s=longest_s, draw=lambda full_s: full_s * (0.5 + jitter() / 2)
    )
