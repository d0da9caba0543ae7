"""The live view and the tables, for any terminal."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from bridge.sim.demo import fabric, summary, tables
from bridge.sim.demo.checks import Checks
from bridge.sim.demo.colours import Colours
from bridge.sim.demo.demo_run import Outcome
from bridge.sim.demo.picture import Picture
from bridge.sim.demo.timeline import Timeline
from tests.unit.sim.demo.snapshots import SCENE, Looking, a_job, a_pod, nodes

COLOURS = Colours(one.name for one in SCENE.workloads)


def busy() -> Timeline:
    """A gang runs, another pod runs, one pod waits with a node kept for it."""
    timeline = Timeline(SCENE, nodes())
    timeline.arrived("train", 0.1)
    timeline.take(
        Looking().sees(
            jobs=(
                a_job(1, tasks=2, on={"n-01": range(8), "n-02": range(8)}),
                a_job(2, "bench", on={"n-03": range(3)}),
                a_job(3, "sweep", state="PENDING", planned=("n-10",), starts_s=1043.0),
                a_job(4, "sweep", state="PENDING"),
            ),
            pods=(
                a_pod("train-0", node="n-01", job=1),
                a_pod("train-1", node="n-02", job=1),
                a_pod("bench-0", node="n-03", job=2, gpus=3),
                a_pod("sweep-0", gated=True, gpus=1),
                a_pod("sweep-1", gated=True, gpus=1),
            ),
        )
    )
    return timeline


def printed(what: RenderableType, *, width: int, height: int = 50) -> list[str]:
    """The lines on a terminal of that size."""
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=True, color_system=None)
    console.print(what)
    return out.getvalue().removesuffix("\n").split("\n")


@given(width=st.integers(1, 220), height=st.integers(1, 70), coloured=st.booleans())
def test_it_fits_a_terminal_of_any_size(width: int, height: int, coloured: bool) -> None:
    """Never wider, never higher, never an error."""
    timeline = busy()
    picture = Picture(timeline, timeline.news(), COLOURS, coloured=coloured)
    lines = printed(picture.drawn(width, height), width=width, height=height)
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)


@pytest.mark.parametrize(("width", "height"), [(100, 30), (160, 50)])
def test_it_shows_nodes_queue_running_jobs_and_what_happens(width: int, height: int) -> None:
    """On the usual sizes all four panels are there, filled, side by side."""
    timeline = busy()
    picture = Picture(timeline, timeline.news(), COLOURS)
    lines = printed(picture.drawn(width, height), width=width, height=height)
    text = "\n".join(lines)
    assert len(lines) == height
    for title in ("nodes by leaf switch", "Slurm's queue: 2 jobs", "running", "what happens"):
        assert title in text
    assert "leaf 1" in text
    assert "leaf 2" in text
    (queued,) = [line for line in lines if "2×1" in line]
    assert "sweep" in queued
    assert "Resources" in queued
    assert "+42 s" in queued
    assert any("train" in line and "submitted" in line for line in lines)


@pytest.mark.parametrize(
    ("size", "first", "third", "kept"),
    [
        ("large", "▆▆▆▆▆▆▆▆", "▆▆▆▁▁▁▁▁", "░░░░░░░░"),
        ("medium", "████", "█▌▄▄", "░░░░"),
        ("small", "█", "▃", "·"),
    ],
)
def test_a_node_is_drawn_gpu_by_gpu(size: fabric.Size, first: str, third: str, kept: str) -> None:
    """Full, partly used, and free but kept for a waiting job."""
    drawn = fabric.draw(busy(), COLOURS, size=size).plain.split("\n")
    assert len(drawn) == 2
    gap = "" if size == "small" else " "
    assert drawn[0].startswith(f"leaf 1 {first}{gap}{first}{gap}{third}")
    assert drawn[1].removeprefix("leaf 2 ")[len(first + gap) :].startswith(kept)
    assert all(len(line) == fabric.width(size) for line in drawn)


def test_without_colours_letters_tell_who_has_a_gpu() -> None:
    """NO_COLOR and old terminals."""
    drawn = fabric.draw(busy(), COLOURS, size="large", coloured=False).plain
    assert drawn.startswith("leaf 1 AAAAAAAA AAAAAAAA CCC····· ········")


def test_the_queue_is_in_slurms_order() -> None:
    """The high partition first, then priority, then age; jobs of a workload are one row."""
    timeline = Timeline(SCENE, nodes())
    timeline.take(
        Looking().sees(
            jobs=(
                a_job(1, "sweep", state="PENDING"),
                a_job(2, "train", state="PENDING", priority=5000, tasks=2),
                a_job(3, "sweep", state="PENDING"),
                a_job(4, "bench", state="PENDING", partition="high"),
            )
        )
    )
    rows = tables.queue(timeline.snapshot)
    assert [(one.workload, one.jobs, one.tasks) for one in rows] == [
        ("bench", 1, 1),
        ("train", 1, 2),
        ("sweep", 2, 2),
    ]


def test_rows_that_do_not_fit_are_counted() -> None:
    """Never silently cut."""
    entries = tables.queue(busy().snapshot) * 5
    table = tables.draw_queue(entries, COLOURS, now_s=1000, rows=3, width=60)
    lines = printed(table, width=60)
    assert len(lines) == 4
    assert "… 3 more" in lines[-1]


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([3], "3"), ([1, 2, 3, 5, 8, 7], "1-3,5,7-8")]
)
def test_numbers_in_a_row_are_a_span(numbers: list[int], text: str) -> None:
    """1-3,5."""
    assert tables.spans(numbers) == text


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_the_summary_is_legible_at_any_width(width: int) -> None:
    """Job, priority, waiting time, nodes and leaves; nothing cut from 80 columns on."""
    timeline = busy()
    outcome = Outcome("stuck", timeline, Checks(SCENE))
    lines = printed(summary.table(outcome, COLOURS, width=width), width=width)
    assert all(len(line) <= width for line in lines)
    if width >= 80:
        (row,) = [line for line in lines if "train" in line]
        assert "…" not in row
        for cell in ("2×8", "1000", "0.9 s", "never", " 2 ", " 1"):
            assert cell in row
    assert any("nothing moved any more" in line for line in lines)


def test_the_object_for_programs_tells_the_same() -> None:
    """The names are interface."""
    checks = Checks(SCENE)
    checks.off_allocation, checks.leaked_jobs, checks.problems = 1, 2, ["something"]
    told = summary.as_object(Outcome("wrong", busy(), checks))
    assert told["ok"] is False
    assert (told["workloads"], told["pods_run"]) == (3, 0)
    assert (told["off_allocation"], told["leaked_jobs"]) == (1, 2)
    assert told["problems"] == ["something"]
    assert [job["name"] for job in told["jobs"]] == ["train", "sweep", "bench"]
