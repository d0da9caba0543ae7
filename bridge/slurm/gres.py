"""GRES and TRES strings, as Slurm writes and reads them.

| where | looks like |
|---|---|
| a node's `gres` | `gpu:h100:8,efa:4(S:0-1)`, `bandwidth:lustre:no_consume:4G` |
| a node's `gres_used`, a job's `gres_detail` | `gpu:h100:2(IDX:0-1)`, `gpu:h100:0(IDX:N/A)`, `efa(CNT:4)` |
| a job's `tres_per_task` | `gres/gpu:h100:2,gres/efa:4` |
| `tres_req_str`, a node's `tres` | `cpu=4,mem=400M,node=2,billing=4,gres/gpu:h100=2` |
"""  # noqa: E501

import re
from collections.abc import Iterable, Iterator, Mapping

from bridge.errors import BadInput
from bridge.model.job import Gres

_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}
_INNER_COUNT = re.compile(r"\(CNT:([0-9]{1,18})\)")
_COUNT = re.compile(r"([0-9]{1,18})(?:([KMGTP])(B|iB)?)?", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]*")
_TYPE = re.compile(r"[A-Za-z0-9_.\-]*")
_DEVICES = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")
_MAX_DEVICES = 1 << 16
_EMPTY = frozenset({"", "(null)", "N/A", "none"})


def parse(text: str) -> tuple[Gres, ...]:
    """Each part's name, type and count, in order; device numbers are left out.

    A part without a count counts one, an empty one nothing. Raises BadInput when it isn't a GRES
    string.
    """
    if text.strip() in _EMPTY:
        return ()
    return tuple(_parse_one(part, text) for part in _split(text) if part)


def _parse_one(part: str, whole: str) -> Gres:
    inner = _INNER_COUNT.search(part)  # a job's GRES without device files: `efa(CNT:4)`
    bare = part.split("(", 1)[0].removeprefix("gres/").removeprefix("gres:")
    before, equals, after = bare.partition("=")
    words = [word for word in before.split(":") if word != "no_consume"]
    count = 1
    if equals:
        found = _COUNT.fullmatch(after)
        count = -1 if found is None else _number(found)
    elif len(words) > 1 and (found := _COUNT.fullmatch(words[-1])):
        count = _number(found)
        words.pop()
    elif not words[-1]:
        count = -1
    elif inner:
        count = int(inner[1])
    name, kind = words[0], words[1] if len(words) == 2 else ""
    if count < 0 or len(words) > 2 or not _NAME.fullmatch(name) or not _TYPE.fullmatch(kind):
        raise BadInput(
            f"{part[:80]!r} in {whole[:120]!r} is not a GRES; write it like gpu:2 or gpu:h100:2"
        )
    return Gres(name, kind, count)


def _number(count: re.Match[str]) -> int:
    """Of `4`, `4K`, `4KiB` (both 4096) and `4KB` (4000)."""
    base = 1000 if (count[3] or "").upper() == "B" else 1024
    size: int = base ** _POWERS[(count[2] or "").upper()]
    return int(count[1]) * size


def _split(text: str) -> Iterator[str]:
    """At the commas outside parentheses and brackets (`gpu:2(IDX:0,3)`)."""
    depth, start = 0, 0
    for position, character in enumerate(text):
        if character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif character == "," and depth == 0:
            yield text[start:position]
            start = position + 1
    yield text[start:]


def format(gres: Iterable[Gres]) -> str:  # noqa: A001 — read as gres.format
    """As a node is configured: `gpu:h100:8,efa:4`."""
    return ",".join(":".join(filter(None, (g.name, g.type, str(g.count)))) for g in gres)


def format_tres(gres: Iterable[Gres]) -> str:
    """As a job asks for it, per task, node or job: `gres/gpu:h100:2,gres/efa:4`."""
    return ",".join(f"gres/{part}" for g in gres if (part := format([g])))


def indices(text: str) -> Mapping[tuple[str, str], tuple[int, ...]]:
    """(name, type) → the devices given, from a job's `gres_detail` of one node.

    What is given without device numbers (`efa(CNT:4)`) is left out. Raises BadInput.
    """
    found: dict[tuple[str, str], tuple[int, ...]] = {}
    if text.strip() in _EMPTY:
        return found
    for part in _split(text):
        match = re.search(r"\(IDX:([0-9,\-]+)\)", part)
        if match is None:
            continue
        one = _parse_one(part, text)
        found[one.name, one.type] = found.get((one.name, one.type), ()) + numbers(match[1], text)
    return found


def numbers(ranges: str, whole: str = "") -> tuple[int, ...]:
    """Of `0-3,7`: the numbers of devices. Raises BadInput."""
    found: list[int] = []
    for part in ranges.split(","):
        match = _DEVICES.fullmatch(part)
        if match is None or int(match[2] or match[1]) > _MAX_DEVICES:
            raise BadInput(f"{ranges[:80]!r} in {whole[:120]!r} are no device numbers")
        if len(found) > _MAX_DEVICES:  # they may repeat: no answer may fill the memory
            raise BadInput(f"{ranges[:80]!r} are more devices than {_MAX_DEVICES}")
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    return tuple(found)


def parse_tres(text: str) -> Mapping[str, str]:
    """`cpu=4,mem=400M,gres/gpu:h100=2` → {"cpu": "4", "mem": "400M", "gres/gpu:h100": "2"}.

    Values stay text, since their units differ (see memory.parse). Raises BadInput.
    """
    found: dict[str, str] = {}
    for part in filter(None, _split(text)):
        name, equals, value = part.partition("=")
        if not equals:
            name, _, value = part.rpartition(":")
        if not name or not value:
            raise BadInput(f"{part[:80]!r} is not a TRES; write it like cpu=4 or gres/gpu:2")
        found[name] = value
    return found
