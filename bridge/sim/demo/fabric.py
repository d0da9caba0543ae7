"""The nodes under their leaf switches, GPU by GPU, in the colours of who has them (pure).

A row is a leaf switch, a cell a node. With much room a character is a GPU, with less two GPUs
share one (left and right half), with little a character is a node and its height the GPUs in use.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rich.style import Style
from rich.text import Text

from bridge.sim.demo.chronicle import Chronicle
from bridge.sim.demo.colours import FREE, Colours
from bridge.sim.demo.scene import GPUS_PER_NODE
from bridge.sim.demo.sight import Node

Size = Literal["large", "medium", "small"]
_LABEL = 8
_CELL: Mapping[Size, int] = {"large": 9, "medium": 5, "small": 1}
_HEIGHTS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Row:
    """A leaf switch and its nodes."""

    number: int
    block: str
    nodes: tuple[Node, ...]


def rows(chronicle: Chronicle) -> list[Row]:
    """The leaves in the fabric's order."""
    found: dict[str, list[Node]] = defaultdict(list)
    for node in chronicle.nodes.values():
        found[node.leaf].append(node)
    return [
        Row(number, found[leaf][0].switches[-2], tuple(found[leaf]))
        for leaf, number in chronicle.leaves.items()
    ]


def width(size: Size, per_leaf: int = 8) -> int:
    """Columns that a row takes."""
    return _LABEL + per_leaf * _CELL[size]


def size_for(columns: int) -> Size:
    """The largest that fits."""
    if columns >= width("large"):
        return "large"
    return "medium" if columns >= width("medium") else "small"


def draw(chronicle: Chronicle, colours: Colours, *, size: Size, coloured: bool = True) -> Text:
    """One line for each leaf; a blank one between blocks."""
    owners = _owners(chronicle)
    drawn = Text(no_wrap=True, overflow="crop", end="")
    block = ""
    for row in rows(chronicle):
        if block:
            drawn.append("\n" if row.block == block else "\n\n")
        block = row.block
        drawn.append(f"leaf {row.number:<2} ", "dim")
        for node in row.nodes:
            cell = owners.get(node.name, ["" for _ in range(GPUS_PER_NODE)])
            drawn.append(_cell(cell, colours, size) if coloured else _letters(cell, colours, size))
            if size != "small":
                drawn.append(" ")
    return drawn


def _owners(chronicle: Chronicle) -> dict[str, list[str]]:
    """For each node the workload of each of its GPUs, "" for a free one; as Slurm tells it."""
    found: dict[str, list[str]] = {}
    for job in chronicle.sight.after.values():
        for node, gpus in job.gpus.items():
            cell = found.setdefault(node, [""] * GPUS_PER_NODE)
            for gpu in gpus:
                cell[gpu] = job.workload
    return found


def _cell(cell: list[str], colours: Colours, size: Size) -> Text:
    shades = [colours.of(owner) if owner else FREE for owner in cell]
    text = Text()
    if size == "large":
        for owner, shade in zip(cell, shades, strict=True):
            text.append("▆" if owner else "▁", shade)
    elif size == "medium":
        for left, right in zip(shades[::2], shades[1::2], strict=True):
            if left == right:
                text.append("▄" if left == FREE else "█", left)
            else:
                text.append("▌", Style(color=left, bgcolor=right))
    else:
        used = [shade for shade in shades if shade != FREE]
        text.append(_HEIGHTS[len(used)] if used else "·", used[0] if used else FREE)
    return text


def _letters(cell: list[str], colours: Colours, size: Size) -> Text:
    letters = [colours.letter(owner) if owner else "·" for owner in cell]
    if size == "medium":
        letters = letters[::2]
    elif size == "small":
        letters = [max(letters)]
    return Text("".join(letters))
