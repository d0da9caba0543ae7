"""Members that never come (a quota, an admission webhook that refuses them) while nodes are held.

Once all of its members were there, a gang that lacks some is another matter: their owner replaces
them (`Patience.replacement_s`). And where the controller makes members only when others are ready
(`Gang.staged`) nobody misses them.
"""

from bridge.model.gang import Gang


class MissingMembers:
    """Keeps how long members have been missing since the gang has its nodes."""

    def __init__(self, *, patience_s: float) -> None:
        self._patience_s = patience_s
        self._since_s: float | None = None
        self._was_whole = False
        self.due_s: float | None = None
        """When the gang stops waiting; None if time changes nothing."""

    def check(self, gang: Gang, vacant: int, now_s: float) -> str:
        """Why the gang gives its nodes back, of which `vacant` slots have nobody; "" to go on."""
        self.due_s = None
        self._was_whole = self._was_whole or not vacant
        if self._was_whole:
            return ""
        if self._since_s is None:
            self._since_s = now_s
        if now_s < self._since_s + self._patience_s:
            self.due_s = self._since_s + self._patience_s
            return ""
        return (
            f"{vacant} of {gang.size} pods of {gang.owner} did not come within "
            f"{self._patience_s:.0f} s; its events may tell why (a quota, an admission)"
        )
