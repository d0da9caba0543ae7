"""Generic resources: what jobs ask for, what nodes have, and the strings Slurm shows them in."""

import re
from dataclasses import dataclass

from bridge.sim.slurm.errors import INVALID_GRES, INVALID_TRES, Refused

_COUNT = re.compile(r"^\d+$")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource on a node; `type` may be "". What has device files is `indexed`:
    its pieces are told apart; of the rest only the count matters.
    """

    name: str
    type: str = ""
    indexed: bool = True

    def text(self, count: int | None = None) -> str:
        """`gpu:h100:8`, without a count `gpu:h100`."""
        words = (self.name, self.type, "" if count is None else str(count))
        return ":".join(word for word in words if word)


@dataclass(frozen=True, slots=True)
class Ask:
    """So many of one kind; without a type any will do."""

    name: str
    type: str
    count: int

    def accepts(self, kind: Kind) -> bool:
        """Whether a node's pool can serve it."""
        return kind.name == self.name and self.type in ("", kind.type)


def parse_tres(text: str, known: frozenset[str]) -> tuple[Ask, ...]:
    """`gres/gpu:h100:2,gres/efa=4` of a job. Raises Refused for what Slurm does not know.

    Memory, CPUs and the like in it are read by nobody: Slurm ignores them for tasks.
    """
    asks = []
    for word in filter(None, (word.strip() for word in text.split(","))):
        if not word.startswith("gres/"):
            if word.partition(":")[0].partition("=")[0] in ("mem", "cpu", "node", "billing"):
                continue
            raise Refused(INVALID_TRES)
        name, *rest = re.split(r"[:=]", word.removeprefix("gres/"))
        if name not in known:
            raise Refused(INVALID_GRES)
        count = int(rest.pop()) if rest and _COUNT.match(rest[-1]) else 1
        asks.append(Ask(name, rest[0] if rest else "", count))
    return tuple(asks)


def parse_pools(text: str) -> dict[Kind, int]:
    """`gpu:h100:8,efa:4` of a node; all of it indexed, for the caller to correct."""
    pools: dict[Kind, int] = {}
    for word in filter(None, (word.strip() for word in text.split(","))):
        name, *rest = word.split(":")
        count = int(rest.pop()) if rest and _COUNT.match(rest[-1]) else 1
        kind = Kind(name, rest[0] if rest else "")
        pools[kind] = pools.get(kind, 0) + count
    return pools


def index_list(mask: int) -> str:
    """Set bits as Slurm writes them: `0-3,6`; `N/A` when none is set."""
    pieces: list[str] = []
    number = 0
    while mask >> number:
        if mask >> number & 1:
            first = number
            while mask >> (number + 1) & 1:
                number += 1
            pieces.append(str(first) if first == number else f"{first}-{number}")
        number += 1
    return ",".join(pieces) or "N/A"


def lowest(mask: int, count: int) -> int:
    """The `count` lowest bits set in `mask`."""
    chosen = 0
    for _ in range(count):
        bit = mask & -mask
        chosen |= bit
        mask ^= bit
    return chosen
