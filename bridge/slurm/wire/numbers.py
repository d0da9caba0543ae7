"""Slurm's number with flags: {"set": bool, "infinite": bool, "number": n}, or a plain one."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, FiniteFloat

from bridge.model import timelimit


def _plain(value: object) -> object:
    """The number; None when it is not set or infinite."""
    if isinstance(value, Mapping):
        if value.get("infinite") or not value.get("set"):
            return None
        return value.get("number")
    return value


Number = Annotated[int | None, BeforeValidator(_plain)]
"""None: not set, or infinite."""

Fraction = Annotated[FiniteFloat | None, BeforeValidator(_plain)]
"""The same for one that need not be whole."""


def number(value: float) -> dict[str, Any]:
    """What is sent for a number that is set."""
    return {"set": True, "infinite": False, "number": value}


def optional(value: float | None) -> dict[str, Any] | None:
    """The same for one that may not be said."""
    return None if value is None else number(value)


def minutes(value: int) -> dict[str, Any]:
    """The same for a time limit, which may be UNLIMITED."""
    if value == timelimit.UNLIMITED:
        return {"set": False, "infinite": True, "number": 0}
    return number(value)
