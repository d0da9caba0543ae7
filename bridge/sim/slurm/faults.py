"""What can go wrong on the way to Slurm, switched on by tests."""

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["refuse", "status", "lose answer", "delay"]


@dataclass(slots=True)
class Fault:
    """One fault: which requests it meets, and how often it still happens.

    `refuse` breaks the connection before anything is done, `lose answer` after it was done.
    """

    kind: Kind
    path: str = ""
    """Beginning of the path behind `/slurm/<version>`; "" meets all."""
    method: str = ""
    times: float = float("inf")
    status: int = 500
    text: str = ""
    delay_s: float = 0.0

    def meets(self, method: str, path: str) -> bool:
        """Whether it happens to this request."""
        _, _, behind = path.removeprefix("/slurm/").partition("/")
        return (
            self.times > 0
            and (not self.method or self.method == method)
            and ("/" + behind).startswith(self.path)
        )


@dataclass(slots=True)
class Faults:
    """The faults that are switched on, first match first."""

    active: list[Fault] = field(default_factory=list)

    def refuse(self, *, path: str = "", times: float = float("inf")) -> Fault:
        """Connections break before anything is read or done."""
        return self._add(Fault("refuse", path=path, times=times))

    def fail(
        self,
        status: int = 500,
        *,
        path: str = "",
        method: str = "",
        times: float = float("inf"),
        text: str = "Unspecified error",
    ) -> Fault:
        """Requests are answered with this status and text, and nothing is done."""
        fault = Fault("status", path=path, method=method, times=times, status=status, text=text)
        return self._add(fault)

    def lose_answer(self, *, path: str, method: str = "", times: float = 1) -> Fault:
        """The request is done, its answer never arrives."""
        return self._add(Fault("lose answer", path=path, method=method, times=times))

    def delay(self, seconds: float, *, path: str = "", times: float = float("inf")) -> Fault:
        """Requests wait before they are done."""
        return self._add(Fault("delay", path=path, times=times, delay_s=seconds))

    def heal(self) -> None:
        """All is well again."""
        self.active.clear()

    def meeting(self, method: str, path: str) -> list[Fault]:
        """The faults that this request meets; their counts go down."""
        met = [fault for fault in self.active if fault.meets(method, path)]
        for fault in met:
            fault.times -= 1
        return met

    def _add(self, fault: Fault) -> Fault:
        self.active.append(fault)
        return fault
