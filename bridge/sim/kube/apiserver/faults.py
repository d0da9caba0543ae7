"""Faults on order: the next N requests that match are answered badly, or watches go bad."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["error", "drop", "silence", "expire", "delay"]


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong, `times` times, for requests that match."""

    kind: Kind
    times: int
    method: str = ""
    """"" is every method; "WATCH" is a GET that watches."""
    path: str = ""
    """A part of the path; "" is every path."""
    code: int = 500
    delay_s: float = 0.0

    def meets(self, method: str, path: str) -> bool:
        """Whether it still waits for a request like this."""
        return self.times > 0 and self.method in ("", method) and self.path in path


class Faults:
    """What is going wrong for clients over HTTP. The embedded controllers are spared."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def fail(self, code: int = 500, *, times: int = 1, method: str = "", path: str = "") -> Fault:
        """Answer with `code` (429 carries Retry-After, 410 the reason Expired)."""
        return self._add(Fault("error", times, method, path, code=code))

    def drop(self, *, times: int = 1, method: str = "", path: str = "") -> Fault:
        """Close the connection without an answer; a watch right after its first bytes."""
        return self._add(Fault("drop", times, method, path))

    def silence_watch(self, *, times: int = 1, path: str = "") -> Fault:
        """A watch that stays open and never says anything."""
        return self._add(Fault("silence", times, "WATCH", path))

    def expire_watch(self, *, times: int = 1, path: str = "") -> Fault:
        """A watch that ends at once with an ERROR event of code 410."""
        return self._add(Fault("expire", times, "WATCH", path))

    def delay(self, delay_s: float, *, times: int = 1, method: str = "", path: str = "") -> Fault:
        """Answer late."""
        return self._add(Fault("delay", times, method, path, delay_s=delay_s))

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def clear(self) -> None:
        """All is well again."""
        self._waiting.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault for this request, if one waits; counts it down."""
        for fault in self._waiting:
            if fault.meets(method, path):
                fault.times -= 1
                if not fault.times:
                    self._waiting.remove(fault)
                return fault
        return None

    def _add(self, fault: Fault) -> Fault:
        self._waiting.append(fault)
        return fault
