"""Lists and sets in an answer: checking them ends at the first mistake.

Else a long list of nonsense would be kept as as many errors, each of a kilobyte and more: sixteen
megabytes of `[],[],…` became seven gigabytes.
"""

from typing import Annotated, TypeVar

from pydantic import FailFast

T = TypeVar("T")


class _FailFast(FailFast):
    """Hashable, as the parts of a union (`Words | None`) must be."""

    __hash__ = object.__hash__


Many = Annotated[list[T], _FailFast()]
Words = Annotated[frozenset[str], _FailFast()]
