"""A clock that a test moves."""

from dataclasses import dataclass


@dataclass
class StoppedClock:
    """Time stands still until the test says otherwise."""

    now_s: float = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def time(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
