"""Slurm's memory sizes ("16000M", "62.50G", "1T") as MiB.

Slurm's K, M, G, T are powers of 1024, also as KB, MB …; a bare number is MiB (sbatch(1), --mem).
What Slurm writes has more forms than what sbatch reads: fractions (1.50G), and P.
"""

import re
from fractions import Fraction
from math import ceil

from bridge.errors import BadInput

_FORM = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)(?:([KMGTP])B?)?", re.IGNORECASE)
_MIB = {"K": Fraction(1, 1024), "": Fraction(1), "M": Fraction(1)} | {
    unit: Fraction(1024**power) for power, unit in enumerate("GTP", start=1)
}
_STEPS = (("P", 1024**3), ("T", 1024**2), ("G", 1024))


def parse(text: str) -> int:
    """MiB, rounded up. Raises BadInput for what isn't a size."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise BadInput(f"{text[:80]!r} is not a memory size; write it like 512M, 16G or 1.5T")
    return ceil(Fraction(match[1]) * _MIB[(match[2] or "").upper()])


def format(mib: int) -> str:  # noqa: A001 — read as memory.format
    """The shortest exact form: 1024 → "1G", 1000 → "1000M"."""
    for unit, size in _STEPS:
        if mib and mib % size == 0:
            return f"{mib // size}{unit}"
    return f"{mib}M"
