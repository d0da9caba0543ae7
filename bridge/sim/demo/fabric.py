"""The nodes under their leaf switches, GPU by GPU, in the colours of who has them (pure).

A row is a leaf switch, a cell a node. With much room a character is a GPU, with less two GPUs
share one (left and right half), with little a character is a node and its height the GPUs in use.
Free GPUs that Slurm's backfill keeps for a waiting job are hatched in that job's colour.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rich.style import Style
from rich.text import Text

from bridge.sim.demo.colours import FREE, Colours
from bridge.sim.demo.scenario import GPUS_PER_NODE
from bridge.sim.demo.snapshot import Node
from bridge.sim.demo.timeline import Timeline

Size = Literal["large", "medium", "small"]
_LABEL = 7
_CELL: Mapping[Size, int] = {"large": 9, "medium": 5, "small": 1}
_HEIGHTS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Row:
    """A leaf switch and its nodes."""

    number: int
    block: str
    nodes: tuple[Node, ...]


def rows(timeline: Timeline) -> list[Row]:
    """The leaves in the fabric's order."""
    found: dict[str, list[Node]] = defaultdict(list)
    for node in timeline.nodes.values():
        found[node.leaf].append(node)
    return [
        Row(number, found[leaf][0].switches[-2], tuple(found[leaf]))
        for leaf, number in timeline.leaves.items()
    ]


def width(size: Size, per_leaf: int = 8) -> int:
    """Columns that a row takes."""
    return _LABEL + per_leaf * _CELL[size] - (size != "small")


def size_for(columns: int) -> Size:
    """The largest that fits."""
    if columns >= width("large"):
        return "large"
    return "medium" if columns >= width("medium") else "small"


def draw(
    timeline: Timeline,
    colours: Colours,
    *,
    size: Size,
    coloured: bool = True,
    airy: bool = False,
) -> Text:
    """One line for each leaf; a blank one between blocks (`airy`: between leaves too)."""
    owners, kept = _owners(timeline), _kept(timeline)
    drawn = Text(no_wrap=True, overflow="crop", end="")
    block = ""
    for row in rows(timeline):
        if block:
            drawn.append("\n" * (1 + (row.block != block) + airy))
        block = row.block
        drawn.append(f"leaf {row.number}".ljust(_LABEL), "dim")
        for number, node in enumerate(row.nodes):
            if number and size != "small":
                drawn.append(" ")
            cell = owners.get(node.name, [""] * GPUS_PER_NODE)
            keeper = kept.get(node.name, "")
            if not coloured:
                drawn.append(_letters(cell, colours, size))
            elif size == "large":
                drawn.append(_large(cell, keeper, colours))
            elif size == "medium":
                drawn.append(_medium(cell, keeper, colours))
            else:
                drawn.append(_small(cell, colours))
    return drawn


def _owners(timeline: Timeline) -> dict[str, list[str]]:
    """For each node the workload of each of its GPUs, "" for a free one; as Slurm tells it."""
    found: dict[str, list[str]] = {}
    for job in timeline.snapshot.after.values():
        for node, gpus in job.gpus.items():
            cell = found.setdefault(node, [""] * GPUS_PER_NODE)
            for gpu in gpus:
                cell[gpu] = job.workload
    return found


def _kept(timeline: Timeline) -> dict[str, str]:
    """For each node the workload that backfill keeps it for: the first in the queue."""
    found: dict[str, str] = {}
    for job in timeline.snapshot.waiting:
        for node in job.planned:
            found.setdefault(node, job.workload)
    return found


def _large(cell: list[str], keeper: str, colours: Colours) -> Text:
    text = Text()
    for owner in cell:
        if owner or keeper:
            text.append("▆" if owner else "░", colours.of(owner or keeper))
        else:
            text.append("▁", FREE)
    return text


def _medium(cell: list[str], keeper: str, colours: Colours) -> Text:
    text = Text()
    for left, right in zip(cell[::2], cell[1::2], strict=True):
        if left == right:
            if left or keeper:
                text.append("█" if left else "░", colours.of(left or keeper))
            else:
                text.append("▄", FREE)
        else:
            shades = [colours.of(owner) if owner else FREE for owner in (left, right)]
            text.append("▌", Style(color=shades[0], bgcolor=shades[1]))
    return text


def _small(cell: list[str], colours: Colours) -> Text:
    used = [owner for owner in cell if owner]
    if not used:
        return Text("·", FREE)
    return Text(_HEIGHTS[len(used)], colours.of(used[0]))


def _letters(cell: list[str], colours: Colours, size: Size) -> Text:
    letters = [colours.letter(owner) if owner else "·" for owner in cell]
    if size == "medium":
        letters = letters[::2]
    elif size == "small":
        letters = [max(letters)]
    return Text("".join(letters))
