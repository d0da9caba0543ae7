"""What must not reach a log: credentials, and objects so large that they are somebody's whole pod.

The rule for the code is not to log them. This is the net below it: exceptions of libraries carry
headers and URLs that nobody chose to log.
"""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "[hidden]"
LONGEST_TEXT = 2000
"""Characters of one value; more than any sentence of ours needs, less than a pod."""
LONGEST_EXCEPTION = 20_000
"""Characters of a traceback."""

_SECRET_KEY = re.compile(
    r"(token|jwt|password|passwd|secret|authorization|bearer|credentials?|private_key)$",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*"  # a JSON web token, wherever it stands
    r"|(?i:(?<=bearer )[\w.~+/=-]+)"
    r"|(?i:(?<=x-slurm-user-token: )\S+)"
    r"|(?<=://)[^\s/@]+:[^\s/@]+(?=@)"  # user:password in a URL
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)",
    re.DOTALL,
)


def redact(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event without credentials, every value cut to a readable size."""
    return {key: _field(key, value) for key, value in event.items()}


def _field(key: str, value: object) -> object:
    if _SECRET_KEY.search(key) and value:
        return HIDDEN
    limit = LONGEST_EXCEPTION if key == "exception" else LONGEST_TEXT
    return _value(value, limit)


def _value(value: object, limit: int) -> object:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return _cut(_SECRET_TEXT.sub(HIDDEN, value), limit)
        case bytes():
            return f"{len(value)} bytes"
        case dict():
            if len(text := repr(value)) > limit:
                return _value(text, limit)
            return {str(key): _field(str(key), inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            if len(text := repr(value)) > limit:
                return _value(text, limit)
            return [_value(inner, limit) for inner in value]
        case _:
            return _value(str(value), limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
