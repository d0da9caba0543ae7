"""Where a run is shown: a live view on a terminal, lines everywhere else."""

from collections import deque
from contextlib import AbstractContextManager
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live

from bridge.sim.demo import lines
from bridge.sim.demo.colours import Colours
from bridge.sim.demo.picture import Picture
from bridge.sim.demo.scenario import Scenario
from bridge.sim.demo.timeline import Happening, Timeline

_REMEMBERED = 100
_STATE_EVERY_S = 2.0


class Screen(AbstractContextManager["Screen"], Protocol):
    """Shows what the timeline says; use as a context."""

    def show(self, timeline: Timeline) -> None:
        """After each look."""


def screen(console: Console, scenario: Scenario) -> Screen:
    """The one for this console."""
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveScreen(console, scenario)
    return LineScreen(console)


class LiveScreen:
    """Takes the whole terminal while it lasts, and gives it back as it was."""

    def __init__(self, console: Console, scenario: Scenario) -> None:
        self._console = console
        self._colours = Colours(one.name for one in scenario.workloads)
        self._happenings: deque[Happening] = deque(maxlen=_REMEMBERED)
        self._live = Live(console=console, screen=True, auto_refresh=False, transient=True)

    def show(self, timeline: Timeline) -> None:
        """Draw it anew, in the terminal's size of this moment."""
        self._happenings += timeline.news()
        picture = Picture(
            timeline,
            list(self._happenings),
            self._colours,
            coloured=self._console.color_system is not None and not self._console.no_color,
        )
        width, height = self._console.size
        self._live.update(picture.drawn(width, height), refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._live.stop()


class LineScreen:
    """One line for each happening, and how all stands every two seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next_state_s = 0.0

    def show(self, timeline: Timeline) -> None:
        """Print what is new."""
        for one in timeline.news():
            self._print(lines.happening(one))
        at_s = timeline.snapshot.at_s
        if at_s >= self._next_state_s:
            self._next_state_s = at_s + _STATE_EVERY_S
            self._print(lines.state(timeline))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
