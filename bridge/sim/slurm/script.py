"""What the process of a batch job does, as far as it is played here.

Understood of a script are `sleep`, endless loops, `exit N` and `trap 'exit N' SIGNAL …` (`trap ''`
ignores the signal); whatever else stands in it takes no time and succeeds.
"""

import math
import re
import signal
from dataclasses import dataclass

SIGNALS = (
    "HUP", "INT", "QUIT", "ABRT", "KILL", "ALRM", "TERM", "USR1", "USR2", "URG", "CONT", "STOP",
    "TSTP", "TTIN", "TTOU",
)  # fmt: skip
"""Those that slurmrestd knows by name."""

_HARMLESS = frozenset({"URG", "CONT", "STOP", "TSTP", "TTIN", "TTOU"})
"""Signals that end no process by themselves."""

_LOOP = re.compile(r"^\s*(while|until)\b", re.MULTILINE)
_SLEEP = re.compile(r"^\s*(?:exec +)?sleep +(\d+(?:\.\d+)?|infinity)", re.MULTILINE)
_EXIT = re.compile(r"^\s*exit +(\d+)", re.MULTILINE)
_TRAP = re.compile(r"^\s*trap +'(?:exit +(\d+))?' +(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended: with a code, or by a signal (its number, 0 for none)."""

    code: int = 0
    signal: int = 0

    @property
    def failed(self) -> bool:
        """Whether it is a failure to Slurm."""
        return bool(self.code or self.signal)

    @property
    def reason(self) -> str:
        """Slurm's word for it, "" for a success."""
        if self.signal:
            return "RaisedSignal"
        return "NonZeroExitCode" if self.code else ""

    @property
    def description(self) -> str:
        """Slurm's longer words."""
        if not self.signal:
            return ""
        return f"RaisedSignal:{self.signal}({signal.strsignal(self.signal)})"


@dataclass(frozen=True, slots=True)
class Script:
    """`seconds` is how long it runs unless disturbed, infinity for ever; `traps` has what it does
    on a signal: an exit code, None to go on.
    """

    seconds: float = 0.0
    end: Exit = Exit()
    traps: tuple[tuple[str, int | None], ...] = ()

    def on(self, name: str) -> Exit | None:
        """What a signal (USR1 …) makes of it; None: it runs on."""
        traps = dict(self.traps)
        if name in traps:
            code = traps[name]
            return None if code is None else Exit(code)
        return None if name in _HARMLESS else Exit(signal=signal.Signals[f"SIG{name}"])


def parse(text: str) -> Script:
    """The script that is written so."""
    traps = [
        (name.removeprefix("SIG"), None if code == "" else int(code))
        for code, names in _TRAP.findall(text)
        for name in names.split()
    ]
    last = _EXIT.search(text)
    if last is not None:
        text = text[: last.start()]
    pauses = [math.inf if one == "infinity" else float(one) for one in _SLEEP.findall(text)]
    seconds = math.inf if _LOOP.search(text) else sum(pauses)
    return Script(seconds, Exit(int(last[1]) if last else 0), tuple(traps))
