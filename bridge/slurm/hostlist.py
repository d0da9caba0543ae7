"""Slurm's host lists: `ip-10-0-[1-11]-[0-249].internal,n[001-003,7]` ⇄ single names.

Rules as in `scontrol show hostnames` / `hostlist` (slurm.conf(5), NodeName): ranges may stand
anywhere in a name and several times, zero padding is kept, the last bracket varies fastest.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby, product
from math import prod

from bridge.errors import BadInput

MAX_NAMES = 1 << 18
"""More names than this are refused: a hostile answer must not fill the memory."""

MAX_RANGE = 1 << 16
"""More names than this are not one range to Slurm either."""

_PARTS = re.compile(r"\[([^\[\]]*)\]")
_RANGE = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")


def expand(text: str) -> tuple[str, ...]:
    """Every name, in the order of the list; duplicates stay. Raises BadInput when it isn't one."""
    names: list[str] = []
    for piece in split(text):
        names += _expand_one(piece, MAX_NAMES - len(names))
    return tuple(names)


def split(text: str) -> Iterator[str]:
    """Its parts at the commas outside brackets; empty ones are left out."""
    depth, start = 0, 0
    for position, character in enumerate(text):
        if character == "[":
            depth += 1
        elif character == "]":
            depth -= 1
        if depth not in (0, 1):
            raise BadInput(f"host list {_shown(text)}: brackets don't match at {position}")
        if character == "," and depth == 0:
            if part := text[start:position].strip():
                yield part
            start = position + 1
    if depth:
        raise BadInput(f"host list {_shown(text)}: a bracket is not closed")
    if part := text[start:].strip():
        yield part


def _expand_one(piece: str, room: int) -> Iterator[str]:
    pieces = _PARTS.split(piece)
    literals, brackets = pieces[0::2], pieces[1::2]
    ranges = [list(_ranges_of(bracket, piece)) for bracket in brackets]
    if prod(sum(len(numbers) for numbers, _ in one) for one in ranges) > room:
        raise BadInput(f"host list {_shown(piece)} has more than {MAX_NAMES} names")
    choices = [
        [str(number).zfill(width) for numbers, width in one for number in numbers] for one in ranges
    ]
    for picked in product(*choices):
        yield literals[0] + "".join(
            number + literal for number, literal in zip(picked, literals[1:], strict=True)
        )


def _ranges_of(bracket: str, whole: str) -> Iterator[tuple[range, int]]:
    """The numbers between the commas of a bracket, each with the width they are padded to."""
    for part in bracket.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise BadInput(
                f"host list {_shown(whole)}: {_shown(part)} is no range; write it like 1-8"
            )
        first, last = match[1], match[2] or match[1]
        if int(last) < int(first):
            raise BadInput(f"host list {_shown(whole)}: {_shown(part)} counts down")
        if int(last) - int(first) >= MAX_RANGE:
            raise BadInput(
                f"host list {_shown(whole)}: {_shown(part)} has more than {MAX_RANGE} names"
            )
        yield range(int(first), int(last) + 1), len(first)


def compress(names: Iterable[str]) -> str:
    """The shortest list we know to write: names that differ in one number share a bracket.

    Sorted, without duplicates. The number that varies is each name's last one; where that leaves
    single names, the others are tried too. Raises BadInput for names with `[`, `]` or `,`.
    """
    unique = sorted(set(names))
    for name in unique:
        if not name or any(character in "[], \t\n" for character in name):
            raise BadInput(f"{name!r} can't stand in a host list")
    written = [_Bracketed.of(name) for name in unique]
    return ",".join(sorted(_merge(written)))


class _Bracketed:
    """A name cut at each number: literals around, numbers between."""

    __slots__ = ("literals", "numbers")

    def __init__(self, literals: tuple[str, ...], numbers: tuple[str, ...]) -> None:
        self.literals = literals
        self.numbers = numbers

    @classmethod
    def of(cls, name: str) -> "_Bracketed":
        pieces = re.split(r"([0-9]{1,18})", name)
        return cls(tuple(pieces[0::2]), tuple(pieces[1::2]))

    def text(self, position: int, ranges: str) -> str:
        numbers = [*self.numbers[:position], f"[{ranges}]", *self.numbers[position + 1 :]]
        pairs = zip(numbers, self.literals[1:], strict=True)
        return self.literals[0] + "".join(number + literal for number, literal in pairs)

    def plain(self) -> str:
        pairs = zip(self.numbers, self.literals[1:], strict=True)
        return self.literals[0] + "".join(number + literal for number, literal in pairs)


def _merge(names: list[_Bracketed]) -> Iterator[str]:
    """Bracket the last number first, then for what stays single the one before it, and so on."""
    rest = names
    deepest = max((len(name.numbers) for name in names), default=0)
    for from_end in range(1, deepest + 1):
        alone: list[_Bracketed] = []
        keyed = sorted(rest, key=lambda name: _key(name, from_end))
        for key, group in groupby(keyed, key=lambda name: _key(name, from_end)):
            members = list(group)
            if len(members) == 1 or key[0] < 0:
                alone += members
                continue
            position = len(members[0].numbers) - from_end
            values = sorted({member.numbers[position] for member in members}, key=_by_value)
            yield members[0].text(position, ",".join(_ranges(values)))
        rest = alone
    for name in rest:
        yield name.plain()


def _key(name: _Bracketed, from_end: int) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """What must be equal for two names to share the bracket at that position."""
    position = len(name.numbers) - from_end
    if position < 0:
        return (-1, name.literals, name.numbers)
    others = (*name.numbers[:position], *name.numbers[position + 1 :])
    return (position, name.literals, others)


def _by_value(number: str) -> tuple[int, int]:
    return len(number), int(number)


def _ranges(numbers: list[str]) -> Iterator[str]:
    """Runs of numbers, sorted by width and value: `1-3,9-10`, but `09` and `9` are two."""
    start = previous = numbers[0]
    for number in [*numbers[1:], ""]:
        if number and int(number) == int(previous) + 1 and _same_padding(start, number):
            previous = number
            continue
        yield start if start == previous else f"{start}-{previous}"
        start = previous = number


def _same_padding(start: str, number: str) -> bool:
    """Whether counting from `start`, padded to its width, comes to `number`."""
    return number == str(int(number)).zfill(len(start))


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "…")
