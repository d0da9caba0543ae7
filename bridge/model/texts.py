"""Texts made of what anybody may have written: printable, of a known length, and still told apart.

Names of owners, labels and annotations come from whoever may create a pod, and the API server lets
much through: the name in an owner reference may be 100 KB of line feeds. Nobody who reads a text
later (a terminal, a log, another program) may be misled or burdened by it.

A text that is fine stays as it is. Any other is cut and cleaned, and ends in a hash of the whole:
different texts stay different, and the same text always becomes the same. All results are fine
texts themselves, so doing it twice changes nothing.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

_HASH_DIGITS = 12
"""48 bits. Who searches for two equal ones finds two names of their own making."""
_INSTEAD = "_"
_OUTSIDE_COMPONENT = re.compile(r"[^A-Za-z0-9._-]")
_COMPONENT_BYTES = 128


def printable(text: str, most: int) -> str:
    """The text for people: at most `most` bytes of UTF-8, of printable characters of any script.

    No line feeds, no control or formatting characters, no lone surrogates; `most` is at least 32.
    """
    if text.isprintable() and len(text.encode()) <= most:
        return text
    return _mended(text, most, str.isprintable)


def plain(text: str, most: int) -> str:
    """The text for programs: at most `most` printable ASCII characters, no quotes or backslashes.

    Such a text is the same in JSON, in a log and in a shell's single quotes; `most` is at least 32.
    """
    if len(text) <= most and all(map(_is_plain, text)):
        return text
    return _mended(text, most, _is_plain)


def some_of(items: Sequence[str], most: int) -> str:
    """The first `most` of the items, and how many more there are: "a, b and 3 more"."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def nodes(count: int) -> str:
    """So many nodes: "1 node", "2 nodes"."""
    return "1 node" if count == 1 else f"{count} nodes"


def time(epoch_s: float) -> str:
    """A time in seconds since the epoch, in UTC and to the second: 2026-01-31T12:00:00Z"""
    return f"{datetime.fromtimestamp(epoch_s, UTC):%Y-%m-%dT%H:%M:%SZ}"


def path(*components: str) -> str:
    """An absolute path that has exactly these components, and so leads nowhere else.

    Each consists of at most 128 ASCII letters, digits, `.`, `_` and `-`, and begins with a letter,
    a digit or `_`.
    """
    return "".join(f"/{component(text)}" for text in components)


def component(text: str) -> str:
    """One of these components."""
    cleaned = _OUTSIDE_COMPONENT.sub(_INSTEAD, text[: _COMPONENT_BYTES + 1]) or _INSTEAD
    if cleaned[0] in ".-":
        cleaned = _INSTEAD + cleaned
    if cleaned == text and len(text) <= _COMPONENT_BYTES:
        return text
    return cleaned[: _COMPONENT_BYTES - _HASH_DIGITS - 1] + _mark(text)


def _is_plain(character: str) -> bool:
    return " " <= character <= "~" and character not in "\"'\\"


def _mended(text: str, most: int, keeps: Callable[[str], bool]) -> str:
    kept = "".join(one if keeps(one) else _INSTEAD for one in text[:most])
    room = most - _HASH_DIGITS - 1
    return kept.encode()[:room].decode(errors="ignore") + _mark(text)


def _mark(text: str) -> str:
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return f"-{digest[:_HASH_DIGITS]}"
