"""Slurm's time limits ("90", "1:30:00", "2-12", "UNLIMITED") as minutes.

Forms of sbatch(1), --time: minutes, minutes:seconds, hours:minutes:seconds, days-hours,
days-hours:minutes, days-hours:minutes:seconds. As sbatch 26.05 reads them: seconds count as a
minute begun, no part is bounded by the next ("90:61", "1-25"), nothing may follow the hyphen, and
zero is no limit. Over REST zero is a limit of zero minutes, so it must not be sent as a number.
"""

import re
from typing import Final

from bridge.errors import BadInput
from bridge.model import bounds

UNLIMITED: Final = -1
"""No limit, where minutes are expected."""
LONGEST_MIN: Final = (2**32 - 1) // 60 - 1
"""136 years: sbatch counts seconds in 32 bits, and beyond that makes another limit of it."""

_WORDS = frozenset({"UNLIMITED", "INFINITE", "-1"})
_DAYS = re.compile(r"([0-9]{1,24})-(?:([0-9]{1,24})(?::([0-9]{1,24}))?(?::([0-9]{1,24}))?)?")
FORMS: Final = (
    "write it like 90 (minutes), 90:30 (minutes:seconds), 1:30:00 (hours:minutes:seconds), 2-12 or "
    "2-12:30:00 (days-hours:minutes:seconds) or UNLIMITED"
)
_CLOCK = re.compile(r"(?:([0-9]{1,24}):)??([0-9]{1,24})(?::([0-9]{1,24}))?")


def parse(text: str) -> int:
    """Minutes, or UNLIMITED. Raises BadInput for what isn't a time limit."""
    if bounds.within(text, bounds.LONGEST_TIME, FORMS).upper() in _WORDS:
        return UNLIMITED
    if match := _DAYS.fullmatch(text):
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    elif match := _CLOCK.fullmatch(text):
        days, (hours, minutes, seconds) = 0, (int(part or 0) for part in match.groups())
    else:
        raise BadInput(f"{bounds.shown(text)} is not a time limit; {FORMS}")
    found = (days * 24 + hours) * 60 + minutes + -(-seconds // 60)
    if found > LONGEST_MIN:
        raise BadInput(
            f"{bounds.shown(text)} is longer than Slurm can count ({format(LONGEST_MIN)}); write "
            "it like UNLIMITED"
        )
    return found or UNLIMITED


def format(minutes: int) -> str:  # noqa: A001 — read as timelimit.format
    """As squeue shows it: `D-HH:MM:SS`, `HH:MM:SS`, or UNLIMITED."""
    if minutes == UNLIMITED:
        return "UNLIMITED"
    days, rest = divmod(minutes, 24 * 60)
    clock = f"{rest // 60:02}:{rest % 60:02}:00"
    return f"{days}-{clock}" if days else clock
