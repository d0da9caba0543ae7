"""Quantities as the API server writes them back: "1000m" is "1", 1.5 is "1500m", "1024Mi" "1Gi".

Rule: k8s.io/apimachinery/pkg/api/resource, Quantity.CanonicalizeBytes.
"""

from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Final

from bridge.errors import BadInput
from bridge.model import quantity
from bridge.sim.kube.apiserver.objects import Object

_DECIMAL: Final = {
    -9: "n",
    -6: "u",
    -3: "m",
    0: "",
    3: "k",
    6: "M",
    9: "G",
    12: "T",
    15: "P",
    18: "E",
}
_BINARY: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


def canonical_list(amounts: Object | None) -> Object | None:
    """A resource list with each amount in its canonical form."""
    if not amounts:
        return amounts
    return {name: canonical(value) for name, value in amounts.items()}


@lru_cache(maxsize=4096)
def canonical(value: str | int | float) -> str:
    """The canonical text of a quantity; what is none is left as it is (validation says so)."""
    try:
        amount = quantity.parse(value)
    except BadInput:
        return str(value)
    text = str(value)
    if text.endswith("i") and abs(amount) >= 1024:
        return _binary(ceil(amount))
    exponent = any(letter in text for letter in "eE") and not text.endswith("E")
    return _decimal(amount, exponent=exponent)


def _binary(amount: int) -> str:
    power = 0
    while amount and amount % 1024 == 0 and power < len(_BINARY) - 1:
        amount //= 1024
        power += 1
    return f"{amount}{_BINARY[power]}"


def _decimal(amount: Fraction, *, exponent: bool) -> str:
    nano = ceil(amount * 10**9)
    power = -9
    while nano and nano % 1000 == 0 and power < 18:
        nano //= 1000
        power += 3
    if not nano:
        return "0"
    if exponent:
        return f"{nano}e{power}" if power else str(nano)
    return f"{nano}{_DECIMAL[power]}"
