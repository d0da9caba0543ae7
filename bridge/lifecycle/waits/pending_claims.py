"""Claims that keep a gang's pods from running: not bound yet, gone, or being made anew.

A claim that is away for a moment (made anew by whoever deploys) costs nothing: nobody is told at
once, and a job that queues already is not given up at once.
"""


class PendingClaims:
    """Keeps what the gang's volumes make it wait for."""

    def __init__(self, *, tell_after_s: float, patience_s: float) -> None:
        self._tell_after_s = tell_after_s
        self._patience_s = patience_s
        self._told = False
        self.why = ""
        """The sentence about the claim that is not ready; "" if all claims are ready."""
        self.since_s = 0.0
        """Since when claims are not ready."""

    def see(self, why: str, now_s: float) -> None:
        """Takes in the newest sentence."""
        if why and not self.why:
            self.since_s, self._told = now_s, False
        self.why = why

    def due_s(self, now_s: float) -> float | None:
        """When time changes something; None if it does not."""
        if not self.why:
            return None
        moments = (self.since_s + self._tell_after_s, self.since_s + self._patience_s)
        return min((at_s for at_s in moments if at_s > now_s), default=None)

    def to_tell(self, now_s: float) -> str:
        """The sentence for the pods' author now; "" after it was given, until all claims are ready.

        Claims of a large gang are bound one after another: the condition follows, not the events.
        """
        if self._told or now_s < self.since_s + self._tell_after_s:
            return ""
        self._told = bool(self.why)
        return self.why

    def too_long(self, now_s: float) -> bool:
        """Whether the claims have been away so long that the job is given up."""
        return bool(self.why) and now_s >= self.since_s + self._patience_s
