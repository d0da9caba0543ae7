"""What a bench prints and leaves behind: a table, `bench/out/<name>.json`, an exit code.

Every bench has the same output, so that a reader (or a script) needs to learn it once:
`{"name", "seed", "machine", "rows": [{...}], "floors": [{"metric", "value", "floor", "unit",
"ok", "sense"}]}`. `sense` says which side of the floor is good.
"""

import json
import os
import platform
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

Value = str | int | float | bool | None
Sense = Literal["at least", "at most"]

OUT = Path(__file__).parent / "out"


@dataclass(frozen=True, slots=True)
class Floor:
    """A promise about one number: `value` must be `sense` `floor`."""

    metric: str
    value: float
    floor: float
    unit: str
    sense: Sense

    @property
    def ok(self) -> bool:
        """Whether it is kept (a value that is not a number never is)."""
        if self.sense == "at least":
            return self.value >= self.floor
        return self.value <= self.floor


@dataclass(slots=True)
class Report:
    """Collects rows and floors; `finish` shows, writes and judges them."""

    name: str
    seed: int
    rows: list[dict[str, Value]] = field(default_factory=list)
    floors: list[Floor] = field(default_factory=list)

    def row(self, **cells: Value) -> None:
        """One measurement; the first row's keys order the table's columns."""
        self.rows.append(cells)

    def at_least(self, metric: str, value: float, floor: float, unit: str = "") -> None:
        """Fails the run when `value` is below `floor`."""
        self.floors.append(Floor(metric, value, floor, unit, "at least"))

    def at_most(self, metric: str, value: float, floor: float, unit: str = "") -> None:
        """Fails the run when `value` is above `floor`."""
        self.floors.append(Floor(metric, value, floor, unit, "at most"))

    def finish(self, *, out: Path = OUT, console: Console | None = None) -> int:
        """Print the tables, write `<out>/<name>.json`; 0 if every floor is kept, else 1."""
        table = _rows_table(self)
        if console is None:  # never cut a figure: a longer line is for the terminal to wrap
            console = Console()
            wanted = Console(width=1000).measure(table).maximum
            console.width = max(120, console.width, wanted)
        console.print(table)
        if self.floors:
            console.print(_floors_table(self))
        out.mkdir(parents=True, exist_ok=True)
        path = out / f"{self.name}.json"
        path.write_text(json.dumps(self.as_json(), indent=1) + "\n", encoding="utf-8")
        missed = [floor.metric for floor in self.floors if not floor.ok]
        if missed:
            console.print(f"[bold red]missed:[/] {escape(', '.join(missed))}")
        return 1 if missed else 0

    def as_json(self) -> dict[str, object]:
        """The report as it stands in the file."""
        return {
            "name": self.name,
            "seed": self.seed,
            "machine": machine(),
            "rows": self.rows,
            "floors": [
                {
                    "metric": floor.metric,
                    "value": floor.value,
                    "floor": floor.floor,
                    "unit": floor.unit,
                    "ok": floor.ok,
                    "sense": floor.sense,
                }
                for floor in self.floors
            ],
        }


def machine() -> dict[str, Value]:
    """What a reader needs to judge the times; nothing that names the machine."""
    return {
        "cpus": os.cpu_count(),
        "architecture": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
    }


def _rows_table(report: Report) -> Table:
    columns = list(dict.fromkeys(key for row in report.rows for key in row))
    table = Table(title=f"{report.name} (seed {report.seed})", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        numeric = all(not isinstance(row.get(column), str) for row in report.rows)
        table.add_column(column, justify="right" if numeric else "left")
    for row in report.rows:
        table.add_row(*(escape(_cell(row.get(column))) for column in columns))
    return table


def _floors_table(report: Report) -> Table:
    table = Table(title="floors")
    for column in ("metric", "value", "", "floor", "unit", "ok"):
        table.add_column(column, justify="right" if column in ("value", "floor") else "left")
    for floor in report.floors:
        table.add_row(
            floor.metric, _cell(floor.value), floor.sense, _cell(floor.floor), floor.unit,
            "[green]yes[/]" if floor.ok else "[bold red]NO[/]",
        )  # fmt: skip
    return table


def _cell(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)
