"""Processor time of named processes, from /proc: what each part of a run costs.

On a small machine where all parts share the processors, and other work too, times on the clock
say little alone; the processor time a pod costs does not depend on who else runs.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Reading:
    """Processor seconds used so far: by each process, and by the whole machine."""

    used_s: Mapping[str, float]
    busy_s: float

    def since(self, before: "Reading") -> "Reading":
        """What was used in between."""
        used = {
            name: seconds - before.used_s.get(name, 0.0) for name, seconds in self.used_s.items()
        }
        return Reading(used, self.busy_s - before.busy_s)

    @property
    def elsewhere_s(self) -> float:
        """Used by processes that are not named."""
        return max(0.0, self.busy_s - sum(self.used_s.values()))


def read(pids: Mapping[str, int | None]) -> Reading:
    """Now; a process that does not run counts as zero."""
    return Reading({name: _used_s(pid) for name, pid in pids.items() if pid}, _busy_s())


def _used_s(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def _busy_s() -> float:
    line = Path("/proc/stat").read_text().split("\n", 1)[0]
    user, nice, system, _, _, irq, softirq, *_ = (int(word) for word in line.split()[1:])
    return (user + nice + system + irq + softirq) * _TICK_S
