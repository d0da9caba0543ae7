"""Sets of completion indexes in the text form of Job status: "0-3,7" (pure)."""

from collections.abc import Iterable


def parse(text: str) -> frozenset[int]:
    """The indexes that `text` names."""
    found: set[int] = set()
    for piece in filter(None, text.split(",")):
        first, _, last = piece.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def text(indexes: Iterable[int]) -> str:
    """The shortest form: runs of three or more are joined by a dash, two stand by themselves."""
    runs: list[list[int]] = []
    for index in sorted(set(indexes)):
        if runs and runs[-1][-1] == index - 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    pieces = []
    for run in runs:
        if len(run) > 2:
            pieces.append(f"{run[0]}-{run[-1]}")
        else:
            pieces += [str(index) for index in run]
    return ",".join(pieces)
