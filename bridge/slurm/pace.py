"""How often to look: quickly after something of ours, rarely at rest, never more than it costs.

Pure arithmetic. After a trigger or a change the pause is `quick_s` for some looks (an idle Slurm
starts a job within 0.2 s), then doubles with each look that finds nothing new, up to the resting
pause: `interval_s` while jobs are watched, `longest_s` while none are. Looking takes at most a
tenth of the time while hurried, a fiftieth at rest.
"""

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


class BackOff:
    """The pause after failures: doubling, with jitter, so that many clients don't come at once."""

    def __init__(self, *, first_s: float = 0.2, longest_s: float = 5.0) -> None:
        self._first_s = first_s
        self._longest_s = longest_s

    def pause_s(self, failures: int, jitter: float) -> float:
        """After the `failures`-th failure in a row; `jitter` in [0, 1)."""
        full_s = min(self._first_s * 2.0 ** min(failures - 1, 16), self._longest_s)
        return full_s * (0.5 + jitter / 2)
