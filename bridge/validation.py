"""What pydantic finds wrong with what came from outside, as a sentence. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_MOST = 1000
"""Faults that are written out to find the first: each costs two microseconds."""


class Fault(NamedTuple):
    """One thing that is wrong; `path` is where it stands, "" for the whole."""

    path: str
    words: str

    def sentence(self, whole: str) -> str:
        """Path and words; `whole` is what the whole is called."""
        return f"{self.path or whole}: {self.words}"


def first_fault(error: ValidationError) -> Fault:
    """The first that was found; where there are very many, only their number."""
    if error.error_count() > _MOST:
        return Fault("", f"{error.error_count()} parts of it have the wrong type")
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return Fault(path(details[0]["loc"]), words(details[0]))


def words(detail: ErrorDetails) -> str:
    """What is wrong, to stand behind a colon."""
    if detail["type"] == "value_error":  # it was raised by a check of ours
        return detail["msg"].removeprefix("Value error, ")
    return detail["msg"][:1].lower() + detail["msg"][1:]


def path(location: Sequence[int | str]) -> str:
    """("spec", "containers", 0, "name") as Kubernetes writes it: spec.containers[0].name"""
    text = ""
    for piece in location:
        text += f"[{piece}]" if isinstance(piece, int) else f".{piece}"
    return text.removeprefix(".")
