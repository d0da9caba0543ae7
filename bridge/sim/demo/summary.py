"""What is said at the end: a table for people, an object for programs (pure)."""

from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bridge.sim.demo import tables
from bridge.sim.demo.colours import Colours
from bridge.sim.demo.demo_run import Outcome
from bridge.sim.demo.scenario import HIGH, PARTITION, URGENT
from bridge.sim.demo.timeline import Story, Timeline

_FOR_NOTES, _FOR_PARTITIONS = 100, 116
"""Columns that a terminal needs for them."""


def table(outcome: Outcome, colours: Colours, *, width: int) -> RenderableType:
    """Every workload, then what was checked, for a terminal of `width` columns."""
    timeline = outcome.timeline
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    shown.add_column("job", no_wrap=True)
    shown.add_column("pods×GPU", justify="right", no_wrap=True)
    if width >= _FOR_PARTITIONS:
        shown.add_column("partition", no_wrap=True)
    for heading in ("priority", "waited", "done at", "nodes"):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("leaf switches", no_wrap=True)
    if width >= _FOR_NOTES:
        shown.add_column("", style="dim")
    for story in timeline.stories.values():
        shown.add_row(*_cells(story, timeline, colours, width=width))
    return Group(shown, *_findings(outcome))


def as_object(outcome: Outcome) -> dict[str, Any]:
    """One JSON object; `seconds` is the run's time."""
    timeline, checks = outcome.timeline, outcome.checks
    return {
        "ok": outcome.ok,
        "ending": outcome.ending,
        "workloads": len(timeline.stories),
        "workloads_complete": timeline.done,
        "pods_run": timeline.pods_run,
        "off_allocation": checks.off_allocation,
        "leaked_jobs": checks.leaked_jobs,
        "seconds": round(timeline.snapshot.at_s, 2),
        "gpu_utilization": round(timeline.utilization(), 3),
        "preempted": sum(story.preempted for story in timeline.stories.values()),
        "looks": checks.snapshots,
        "nodes_compared": checks.compared,
        "problems": outcome.problems,
        "jobs": [_as_row(story, timeline) for story in timeline.stories.values()],
    }


def _cells(
    story: Story, timeline: Timeline, colours: Colours, *, width: int
) -> Iterator[Text | str]:
    one = story.workload
    high = one.partition == HIGH
    yield Text("█ ", colours.of(one.name)).append(one.name, "default")
    yield one.wants
    priority = Text(str(one.priority), "bold yellow" if one.priority >= URGENT else "dim")
    if width >= _FOR_PARTITIONS:
        yield Text(one.partition, "bold red" if high else "dim")
        yield priority
    else:
        yield Text("high", "bold red") if high else priority
    yield _seconds(story.waited_s)
    yield _seconds(story.done_s) if story.done_s is not None else Text("never", "bold red")
    yield str(len(story.nodes) or "–")
    yield tables.spans(timeline.leaves_of(story.nodes))
    if width >= _FOR_NOTES:
        yield ", ".join(_notes(story, timeline))


def _notes(story: Story, timeline: Timeline) -> Iterator[str]:
    """What is to be known of this workload's way."""
    one = story.workload
    fewest = -(-one.fewest_nodes // timeline.nodes_per_leaf)
    if one.gang and len(timeline.leaves_of(story.nodes)) > fewest:
        yield f"fewest: {fewest}"
    if one.exclusive:
        yield "alone"
    if story.preempted:
        yield f"preempted {story.preempted}×"


def _findings(outcome: Outcome) -> Iterator[Text]:
    timeline, checks = outcome.timeline, outcome.checks
    done = f"{timeline.done} of {len(timeline.stories)} Jobs complete"
    yield _finding(timeline.all_done, f"{done} in {timeline.snapshot.at_s:.1f} s; "
                   f"the GPUs were in use {timeline.utilization():.0%} of the time")  # fmt: skip
    yield _finding(
        not checks.off_allocation,
        f"{timeline.pods_run} pods ran, {checks.off_allocation} of them off their allocation",
    )
    yield _finding(
        not checks.mismatches,
        f"GPUs that pods used = GPUs that Slurm held, {checks.compared} busy nodes compared "
        f"in {checks.snapshots} looks",
    )
    yield _finding(not checks.leaked_jobs, f"{checks.leaked_jobs} jobs left behind in Slurm")
    for problem in outcome.problems:
        yield Text.assemble(("✗ ", "bold red"), problem)


def _finding(good: bool, text: str) -> Text:
    return Text.assemble(("✓ ", "bold green") if good else ("✗ ", "bold red"), text)


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} s"


def _as_row(story: Story, timeline: Timeline) -> dict[str, Any]:
    def rounded(value: float | None) -> float | None:
        return None if value is None else round(value, 2)

    one = story.workload
    return {
        "name": one.name,
        "pods": one.pods,
        "gpus_per_pod": one.gpus,
        "gang": one.gang,
        "partition": one.partition or PARTITION,
        "priority": one.priority,
        "waited_s": rounded(story.waited_s),
        "done_s": rounded(story.done_s),
        "nodes": len(story.nodes),
        "leaf_switches": timeline.leaves_of(story.nodes),
        "preempted": story.preempted,
    }
