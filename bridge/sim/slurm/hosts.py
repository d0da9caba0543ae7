"""Lists of node names in Slurm's short form, `n[0-3,7],x`, as slurmctld writes them."""

import re
from collections.abc import Iterable

from bridge.slurm import hostlist

_NUMBERED = re.compile(r"^(.*?)(\d+)$")

expand = hostlist.expand
"""Names of a list, in order. Raises BadInput."""


def in_order(names: Iterable[str]) -> list[str]:
    """Sorted as slurmctld sorts what a user listed: by prefix, then by number."""

    def key(name: str) -> tuple[str, int]:
        match = _NUMBERED.match(name)
        return (match[1], int(match[2])) if match else (name, -1)

    return sorted(set(names), key=key)


def compress(names: Iterable[str]) -> str:
    """Short form in the order given, as slurmctld lists a job's nodes in its table's order.

    (The client's own `hostlist.compress` sorts, and finds shorter forms than Slurm does.)
    """
    groups: list[tuple[str, list[str]]] = []
    for name in names:
        match = _NUMBERED.match(name)
        prefix, digits = (match[1], match[2]) if match else (name, "")
        if digits and groups and groups[-1][0] == prefix and groups[-1][1]:
            groups[-1][1].append(digits)
        else:
            groups.append((prefix, [digits] if digits else []))
    return ",".join(
        prefix + (f"[{_ranges(digits)}]" if len(digits) > 1 else "".join(digits))
        for prefix, digits in groups
    )


def _ranges(digits: list[str]) -> str:
    pieces: list[tuple[str, str]] = []
    for text in digits:
        if pieces:
            first, last = pieces[-1]
            padded = first.startswith("0") or text.startswith("0")
            if int(text) == int(last) + 1 and (len(text) == len(last) or not padded):
                pieces[-1] = (first, text)
                continue
        pieces.append((text, text))
    return ",".join(first if first == last else f"{first}-{last}" for first, last in pieces)
