"""Kubernetes quantities ("100m", "1.5Gi", "2e3") as exact integers.

Rule: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ . Values
are rounded up to the asked unit, as the API server's own `MilliValue` and `Value` do.
"""

import re
from fractions import Fraction
from math import ceil

from bridge.errors import BadInput

_FORM = re.compile(
    r"^([+-]?)(\d+\.?\d*|\.\d+)(?:([eE][+-]?\d{1,3})|(m|u|n|k|M|G|T|P|E|[KMGTPE]i))?$"
)
_SUFFIX = {
    "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": Fraction(1),
    "k": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9),
    "T": Fraction(10**12), "P": Fraction(10**15), "E": Fraction(10**18),
    "Ki": Fraction(2**10), "Mi": Fraction(2**20), "Gi": Fraction(2**30),
    "Ti": Fraction(2**40), "Pi": Fraction(2**50), "Ei": Fraction(2**60),
}  # fmt: skip


def parse(text: str | int | float) -> Fraction:
    """The exact value of a quantity. Raises BadInput for anything that isn't one."""
    match = _FORM.match(str(text))
    if match is None:
        raise BadInput(f"{text!r} is not a quantity; write it like 500m, 2, 1.5Gi or 2e3")
    sign, digits, exponent, suffix = match.groups()
    value = Fraction(digits.rstrip(".") if digits.endswith(".") else digits)
    if exponent:
        value *= Fraction(10) ** int(exponent[1:])
    return (-value if sign == "-" else value) * _SUFFIX[suffix or ""]


def milli(text: str | int | float) -> int:
    """Thousandths, rounded up: the unit CPUs are counted in."""
    return ceil(parse(text) * 1000)


def whole(text: str | int | float) -> int:
    """Whole units, rounded up: bytes of memory, pieces of an extended resource."""
    return ceil(parse(text))
