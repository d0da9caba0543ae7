"""The report that all benches share."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from bench.report import Report


def finished(report: Report, out: Path) -> tuple[int, str, dict[str, object]]:
    """Exit code, what was printed, what was written."""
    text = io.StringIO()
    code = report.finish(out=out, console=Console(file=text, width=160))
    written = json.loads((out / f"{report.name}.json").read_text(encoding="utf-8"))
    return code, text.getvalue(), written


def test_rows_and_floors_are_shown_and_written(tmp_path: Path) -> None:
    """The table and the file say the same; the file has the contract's form."""
    report = Report("speed", seed=7)
    report.row(what="query", nodes=15_000, ms=0.25)
    report.row(what="other", extra="only here")
    report.at_least("faster", 30.0, 20, "x")
    code, text, written = finished(report, tmp_path / "deep" / "out")
    assert code == 0
    assert all(cell in text for cell in ("query", "15,000", "0.25", "only here", "faster", "yes"))
    assert written.keys() == {"name", "seed", "machine", "rows", "floors"}
    assert (written["name"], written["seed"]) == ("speed", 7)
    assert written["rows"] == report.rows
    assert written["floors"] == [
        {"metric": "faster", "value": 30.0, "floor": 20, "unit": "x", "ok": True,
         "sense": "at least"}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sense", "value", "code"),
    [
        ("at_least", 20.0, 0), ("at_least", 19.9, 1), ("at_least", float("nan"), 1),
        ("at_most", 20.0, 0), ("at_most", 20.1, 1), ("at_most", float("nan"), 1),
    ],
)  # fmt: skip
def test_a_missed_floor_fails_the_run(tmp_path: Path, sense: str, value: float, code: int) -> None:
    """Exit code 1 and the metric's name, also for what is not a number."""
    report = Report("floors", seed=1)
    getattr(report, sense)("kept", 20.0, 20.0)
    getattr(report, sense)("judged", value, 20.0)
    found, text, _ = finished(report, tmp_path)
    assert found == code
    assert ("missed: judged" in text) == bool(code)


def test_text_with_brackets_is_shown_as_it_is(tmp_path: Path) -> None:
    """Cells are data, never markup."""
    report = Report("markup", seed=1)
    report.row(what="node[1-3]", note="[red]x")
    _, text, _ = finished(report, tmp_path)
    assert "node[1-3]" in text
    assert "[red]x" in text


def test_the_machine_is_described_but_not_named(tmp_path: Path) -> None:
    """Nobody's host name goes into a report."""
    import platform

    _, text, written = finished(Report("quiet", seed=1), tmp_path)
    host = platform.node()
    assert not host or host not in json.dumps(written)
    assert not host or host not in text
