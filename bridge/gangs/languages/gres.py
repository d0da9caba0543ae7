"""The annotation `gres`: devices by name, type and count."""

import re
from typing import Final

from bridge import names
from bridge.errors import BadInput
from bridge.model import bounds

KEY: Final = names.JOB_PREFIX + "gres"
_FIELD: Final = f"metadata.annotations[{KEY}]"
_NAME = re.compile(r"[a-z][a-z0-9_.\-]*")
_TYPE = re.compile(r"[A-Za-z0-9_.\-]+")
FORMS: Final = "write it like gpu:2 or gpu:h100:2,efa:4"

Demand = dict[tuple[str, str], int]
"""(GRES name, type or "") → how many."""


def parse(wish: str) -> Demand:
    """`gpu:h100:2,efa:4`, `gres/gpu=2`, `GPU:V100:2`: each item once. Raises BadInput."""
    if len(wish) > bounds.LONGEST_LIST:
        raise refusal(f"more than {bounds.LONGEST_LIST} characters; {FORMS}")
    items = [item for piece in wish.split(",") if (item := piece.strip())]
    if len(items) > bounds.MOST_GRES:
        raise refusal(f"{len(items)} items, at most {bounds.MOST_GRES} are read; {FORMS}")
    found: Demand = {}
    for item in items:
        key, count = _read(item)
        if count is None or key in found:
            raise refusal(f"{bounds.shown(item)} is not name[:type][:count], each once; {FORMS}")
        found[key] = count
    return found


def _read(item: str) -> tuple[tuple[str, str], int | None]:
    """(name, type) and how many; None for an item of another form."""
    parts = item.removeprefix("gres/").removeprefix("gres:").replace("=", ":").split(":")
    count: int | None = 1
    if len(parts) > 1 and parts[-1].isascii() and parts[-1].isdigit():
        count = bounds.number_in(parts.pop()) or None
    name, kind = parts[0].lower(), parts[1] if len(parts) == 2 else ""
    named = _NAME.fullmatch(name) and (len(parts) == 1 or _TYPE.fullmatch(kind))
    return (name, kind), count if named and len(parts) <= 2 else None


def refusal(what: str) -> BadInput:
    """The refusal of the annotation, for this reason."""
    return BadInput(f"annotation {KEY}: {what}", field=_FIELD)
