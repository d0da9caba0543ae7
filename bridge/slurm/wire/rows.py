"""Lists of objects in an answer, each checked by its partial model and kept raw beside it."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)


def rows(
    answer: Mapping[str, Any], key: str, model: type[M]
) -> Iterator[tuple[M, Mapping[str, Any]]]:
    """Each object of the list under `key`. Raises ValueError when there is no such list."""
    found = answer.get(key)
    if not isinstance(found, list):
        raise ValueError(f"there is no list of {key} in it")
    for row in found:
        yield model.model_validate(row), row


def names(text: str) -> tuple[str, ...]:
    """Of `alice,bob`."""
    return tuple(part for part in text.split(",") if part)


def said(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without what was not said: None, and objects of which nothing is left."""
    found: dict[str, Any] = {}
    for key, value in fields.items():
        left = said(value) if isinstance(value, dict) else value
        if left is not None and left != {}:
            found[key] = left
    return found
