"""Members that never come: a quota or an admission that refuses them, and nodes held in vain. Pure.

Once all of its members were there, a gang that lacks some is another matter: their owner replaces
them (`Tuning.replacement_s`). And where the controller makes members only when others are ready
(`Gang.staged`) an empty slot says nothing.
"""

from bridge.model.gang import Gang


class AbsentMembers:
    """How long a gang's members have been missing since it has its nodes."""

    def __init__(self, *, patience_s: float) -> None:
        self._patience_s = patience_s
        self._since_s: float | None = None
        self._was_whole = False
        self.look_again_s: float | None = None
        """When patience ends."""

    def reset(self) -> None:
        """The gang has no nodes (any more)."""
        self._since_s = self.look_again_s = None
        self._was_whole = False

    def look(self, gang: Gang, vacant: int, now_s: float) -> str:
        """It holds its nodes, `vacant` slots have nobody: why it gives them back; "" to go on."""
        self.look_again_s = None
        self._was_whole = self._was_whole or not vacant
        if self._was_whole or gang.staged:
            return ""
        if self._since_s is None:
            self._since_s = now_s
        if now_s < self._since_s + self._patience_s:
            self.look_again_s = self._since_s + self._patience_s
            return ""
        return (
            f"{vacant} of {gang.size} pods of {gang.owner} did not come within "
            f"{self._patience_s:.0f} s; its events may tell why (a quota, an admission)"
        )
