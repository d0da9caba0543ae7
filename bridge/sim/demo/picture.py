"""The live view: nodes, queue, what runs, what happened; for any size of terminal (pure).

Two columns where there is room: with 136 columns every GPU is a character, with 92 two share one.
Below that the panels stand one under the other, as many as the height allows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bridge.sim.demo import fabric, tables
from bridge.sim.demo.colours import Colours
from bridge.sim.demo.timeline import Happening, Timeline

_WIDE, _MEDIUM = 136, 92
_TALL = 40
_FOR_SENTENCES = 80
_HEAD = 3
_FRAME = 2
_TITLE = "slurm-bridge demo"


@dataclass(frozen=True, slots=True)
class Picture:
    """What is shown after a look; `happenings` oldest first."""

    timeline: Timeline
    happenings: Sequence[Happening]
    colours: Colours
    coloured: bool = True

    def drawn(self, width: int, height: int) -> Layout:
        """All of it, `width` × `height` characters."""
        screen = Layout()
        body = Layout(name="body")
        screen.split_column(Layout(self._head(width), size=_HEAD, name="head"), body)
        left, right = self._columns(width, max(height - _HEAD, 1))
        if right is None:
            body.split_column(*left)
            return screen
        nodes = self._nodes_width(width)
        columns = (Layout(size=nodes), Layout())
        for column, parts in zip(columns, (left, right), strict=True):
            column.split_column(*parts)
        body.split_row(*columns)
        return screen

    def _columns(self, width: int, height: int) -> tuple[list[Layout], list[Layout] | None]:
        """What stands in the left column and in the right one (None: there is only one)."""
        if width < _MEDIUM:
            return self._stack(width, height), None
        inner = self._nodes_width(width)
        airy = height >= _TALL
        nodes_height = self._lines(airy=airy) + _FRAME
        rest = max(height - nodes_height, 0)
        nodes = Layout(self._nodes(inner, airy=airy), size=nodes_height)
        if width >= _WIDE:
            upper = max(height * 2 // 5, 6)
            left = [nodes, Layout(self._events(inner, rest))]
            right = [
                Layout(self._queue(width - inner, upper), size=upper),
                Layout(self._running(width - inner, height - upper)),
            ]
        else:
            left = [nodes, Layout(self._running(inner, rest))]
            right = [
                Layout(self._queue(width - inner, nodes_height), size=nodes_height),
                Layout(self._events(width - inner, rest)),
            ]
        return left, right

    def _stack(self, width: int, height: int) -> list[Layout]:
        """Nodes, then queue, then what runs; the last ones only where there is room."""
        nodes_height = min(self._lines() + _FRAME, height)
        rest = height - nodes_height
        parts = [Layout(self._nodes(width), size=nodes_height)]
        if rest >= 4:
            upper = rest if rest < 10 else rest // 2
            parts.append(Layout(self._queue(width, upper), size=upper))
            if rest - upper >= 4:
                parts.append(Layout(self._running(width, rest - upper)))
        return parts

    def _lines(self, *, airy: bool = False) -> int:
        """Of the fabric: a leaf each, and one between blocks (or between all)."""
        rows = fabric.rows(self.timeline)
        blocks = len({row.block for row in rows})
        return 2 * len(rows) - 1 + blocks - 1 if airy else len(rows) + blocks - 1

    def _nodes_width(self, width: int) -> int:
        return fabric.width("large" if width >= _WIDE else "medium") + 4

    def _head(self, width: int) -> Table:
        timeline = self.timeline
        scenario, counts = timeline.scenario, timeline.counts()
        held = sum(pod.gpus for pod in timeline.snapshot.pods if pod.holds)
        head = Table.grid(expand=True)
        head.add_column(no_wrap=True, overflow="ellipsis")
        head.add_column(no_wrap=True, justify="right")
        title = Text.assemble(
            (_TITLE, "bold"),
            (f"   {scenario.nodes} nodes, {scenario.gpus} GPUs, 3 network layers", "dim"),
        )
        head.add_row(title, Text(f"{timeline.snapshot.at_s:5.1f} s", "bold"))
        bar = Text.assemble(
            "GPUs ",
            tables.bar(held / scenario.gpus, max(min(width - 40, 60), 8)),
            f" {held}/{scenario.gpus}",
        )
        head.add_row(bar, f"{timeline.done}/{len(scenario.workloads)} Jobs")
        stages = Text("pods ")
        for stage, style in (
            ("gated", "yellow"), ("pinned", "magenta"), ("bound", "green"), ("finished", "cyan"),
        ):  # fmt: skip
            stages.append(f" {counts[stage]:>3}", f"bold {style}").append(f" {stage}  ", style)
        head.add_row(stages, "")
        return head

    def _nodes(self, width: int, *, airy: bool = False) -> Panel:
        size = fabric.size_for(width - 4)
        drawn = fabric.draw(
            self.timeline, self.colours, size=size, coloured=self.coloured, airy=airy
        )
        return _panel(drawn, "nodes by leaf switch")

    def _queue(self, width: int, height: int) -> Panel:
        entries = tables.queue(self.timeline.snapshot)
        shown = tables.draw_queue(
            entries, self.colours, now_s=self.timeline.snapshot.now_s, rows=height - 3,
            width=width - 4,
        )  # fmt: skip
        return _panel(shown, f"Slurm's queue: {sum(one.jobs for one in entries)} jobs")

    def _running(self, width: int, height: int) -> Panel:
        entries = tables.running(self.timeline)
        shown = tables.draw_running(entries, self.colours, rows=height - 3, width=width - 4)
        return _panel(shown, "running")

    def _events(self, width: int, height: int) -> Panel:
        told = self.happenings[-max(height - _FRAME, 0) :] if height > _FRAME else ()
        drawn = Text(no_wrap=True, overflow="ellipsis", end="")
        for number, one in enumerate(told):
            drawn.append("\n" if number else "")
            drawn.append(f"{one.at_s:5.1f} ", "dim")
            drawn.append(one.workload, self.colours.of(one.workload))
            drawn.append(f" {one.text if width >= _FOR_SENTENCES else one.short}")
        return _panel(drawn, "what happens")


def _panel(content: Table | Text, title: str) -> Panel:
    return Panel(content, title=title, title_align="left", border_style="dim", padding=(0, 1))
