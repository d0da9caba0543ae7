"""One decision of a gang: its time, and the instructions that follow."""

from collections.abc import Iterable

from bridge.lifecycle import instructions as do


class Decision:
    """Collects the instructions that one event leads to. `now_s` is monotonic seconds."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s
        self.instructions: list[do.Instruction] = []
        self._wake_s: float | None = None

    def add(self, instruction: do.Instruction) -> None:
        """Appends an instruction."""
        self.instructions.append(instruction)

    def extend(self, instructions: Iterable[do.Instruction]) -> None:
        """Appends several instructions."""
        self.instructions.extend(instructions)

    def wake_at(self, at_s: float | None) -> None:
        """Asks for a Tick at that time or earlier; None asks for nothing."""
        if at_s is not None and (self._wake_s is None or at_s < self._wake_s):
            self._wake_s = at_s

    @property
    def wake(self) -> do.Wake | None:
        """The timer that the decision asks for."""
        return None if self._wake_s is None else do.Wake(max(0.0, self._wake_s - self.now_s))
