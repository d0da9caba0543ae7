"""JSON of the API server, however deeply nested.

The API server takes objects that are nested thousands of levels deep (a CRD that prunes nothing,
managed fields), and the JSON parser stops at 200. One such object must not make the list that it
stands in unreadable, so what lies deeper than anything that is read here is left out, and the rest
is read.
"""

import re
from typing import Any, Final

from pydantic_core import from_json

DEEPEST: Final = 100
"""Levels that are kept. A pod inside a training job inside a list has 20."""
_PIECE = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


def read(data: bytes) -> Any:
    """What the bytes say, with null for whatever is nested too deeply. Raises ValueError for what
    is not JSON."""
    try:
        return from_json(data)
    except ValueError as error:
        if "recursion" not in str(error):
            raise
    return from_json(shallow(data))


def shallow(data: bytes) -> bytes:
    """The same JSON, with null for each list and object that is nested more than DEEPEST levels."""
    kept: list[bytes] = []
    depth, end, begin = 0, 0, 0
    for piece in _PIECE.finditer(data):
        sign = data[piece.start() : piece.start() + 1]
        if sign in b"[{":
            depth += 1
            if depth == DEEPEST + 1:
                begin = piece.start()
        elif sign in b"]}":
            if depth == DEEPEST + 1:
                kept += (data[end:begin], b"null")
                end = piece.end()
            depth -= 1
    return b"".join((*kept, data[end:]))
