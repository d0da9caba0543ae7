"""Claims that are not ready: since when, and whether that was told. Pure.

A claim may be away for a moment only: that of an ephemeral volume is made after its pod, a pod of
a gang comes before its own. So nobody is told at once, and a job that queues already is not given
up at once.
"""


class UnreadyVolumes:
    """What the gang's volumes keep it waiting for."""

    def __init__(self, *, tell_after_s: float, patience_s: float) -> None:
        self._tell_after_s = tell_after_s
        self._patience_s = patience_s
        self._told = False
        self.why = ""
        """The sentence; "" when all are ready."""
        self.since_s = 0.0
        """Since when they are not."""

    def see(self, why: str, now_s: float) -> None:
        """The newest sentence."""
        if why and not self.why:
            self.since_s, self._told = now_s, False
        self.why = why

    def look_again_s(self, now_s: float) -> float | None:
        """When time changes something; None when it does not."""
        if not self.why:
            return None
        moments = (self.since_s + self._tell_after_s, self.since_s + self._patience_s)
        return min((at_s for at_s in moments if at_s > now_s), default=None)

    def to_tell(self, now_s: float) -> str:
        """What the pods' author is to be told now, once until all are ready.

        Claims of a large gang are bound one after another: the condition follows, not the events.
        """
        if self._told or now_s < self.since_s + self._tell_after_s:
            return ""
        self._told = bool(self.why)
        return self.why

    def too_long(self, now_s: float) -> bool:
        """Whether no job is kept for their sake any more."""
        return bool(self.why) and now_s >= self.since_s + self._patience_s
