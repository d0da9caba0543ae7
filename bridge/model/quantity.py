"""Kubernetes quantities ("100m", "1.5Gi", "2e3") as exact integers.

Rule: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ . Values
are rounded up to the asked unit, as the API server's own `MilliValue` and `Value` do, and cut
where they are larger than 2^63 - 1, as it cuts them.
"""

import re
from fractions import Fraction
from math import ceil

from bridge.errors import BadInput
from bridge.model import bounds

_FORM = re.compile(
    r"([+-]?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
    r"(?:([eE][+-]?[0-9]{1,3})|(m|u|n|k|M|G|T|P|E|[KMGTPE]i))?"
)
_FORMS = "write it like 500m, 2, 1.5Gi or 2e3"
_SUFFIX = {
    "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": Fraction(1),
    "k": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9),
    "T": Fraction(10**12), "P": Fraction(10**15), "E": Fraction(10**18),
    "Ki": Fraction(2**10), "Mi": Fraction(2**20), "Gi": Fraction(2**30),
    "Ti": Fraction(2**40), "Pi": Fraction(2**50), "Ei": Fraction(2**60),
}  # fmt: skip
_MOST = Fraction(bounds.MOST_AMOUNT)


def parse(text: str | int | float) -> Fraction:
    """The exact value of a quantity, at most 2^63 - 1. Raises BadInput for anything that isn't
    one, and for a text of more than 64 characters."""
    if isinstance(text, int) and abs(text) > bounds.MOST_AMOUNT:
        return _MOST if text > 0 else -_MOST
    written = bounds.within(str(text), bounds.LONGEST_QUANTITY, _FORMS)
    match = _FORM.fullmatch(written)
    if match is None:
        raise BadInput(f"{bounds.shown(written)} is not a quantity; {_FORMS}")
    sign, digits, exponent, suffix = match.groups()
    value = Fraction(digits.rstrip("."))
    if exponent:
        value *= Fraction(10) ** int(exponent[1:])
    value = min(value * _SUFFIX[suffix or ""], _MOST)
    return -value if sign == "-" else value


def milli(text: str | int | float) -> int:
    """Thousandths, rounded up: the unit CPUs are counted in."""
    return ceil(parse(text) * 1000)


def whole(text: str | int | float) -> int:
    """Whole units, rounded up: bytes of memory, pieces of an extended resource."""
    return ceil(parse(text))
