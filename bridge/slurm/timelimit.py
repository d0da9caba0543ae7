"""Slurm's time limits ("90", "1:30:00", "2-12", "UNLIMITED") as minutes.

Forms of sbatch(1), --time: minutes, minutes:seconds, hours:minutes:seconds, days-hours,
days-hours:minutes, days-hours:minutes:seconds. Slurm rounds seconds up to a minute.
"""

import re
from typing import Final

from bridge.errors import BadInput

UNLIMITED: Final = -1
"""No limit, where minutes are expected."""

_DAYS = re.compile(r"^(\d{1,6})-(\d{1,4})(?::(\d{1,4}))?(?::(\d{1,4}))?$")
_CLOCK = re.compile(r"^(\d{1,9})(?::(\d{1,4}))?(?::(\d{1,4}))?$")


def parse(text: str) -> int:
    """Minutes, or UNLIMITED. Raises BadInput for what isn't a time limit."""
    text = text.strip()
    if text.upper() in ("UNLIMITED", "INFINITE", "-1"):
        return UNLIMITED
    if match := _DAYS.match(text):
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return _minutes(days * 24 + hours, minutes, seconds)
    if match := _CLOCK.match(text):
        first, second, third = match.groups()
        if third is not None:
            return _minutes(int(first), int(second), int(third))
        return _minutes(0, int(first), int(second or 0))
    raise BadInput(
        f"{text[:80]!r} is not a time limit; write it like 90 (minutes), 1:30:00, 2-12:00 or "
        "UNLIMITED"
    )


def _minutes(hours: int, minutes: int, seconds: int) -> int:
    return hours * 60 + minutes + (seconds + 59) // 60


def format(minutes: int) -> str:  # noqa: A001 — read as timelimit.format
    """As squeue shows it: `D-HH:MM:SS`, `HH:MM:SS`, or UNLIMITED."""
    if minutes == UNLIMITED:
        return "UNLIMITED"
    days, rest = divmod(minutes, 24 * 60)
    clock = f"{rest // 60:02}:{rest % 60:02}:00"
    return f"{days}-{clock}" if days else clock
