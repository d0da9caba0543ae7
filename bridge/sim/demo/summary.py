"""What is said at the end: a table for people, an object for programs (pure)."""

from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bridge.sim.demo import tables
from bridge.sim.demo.chronicle import Chronicle, Story
from bridge.sim.demo.colours import Colours
from bridge.sim.demo.play import Outcome
from bridge.sim.demo.scene import HIGH, PARTITION, URGENT

_FOR_NOTES, _FOR_PARTITIONS = 100, 116
"""Columns that a terminal needs for them."""


def table(outcome: Outcome, colours: Colours, *, width: int) -> RenderableType:
    """Every workload, then what was checked, for a terminal of `width` columns."""
    chronicle = outcome.chronicle
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
    for story in chronicle.stories.values():
        shown.add_row(*_cells(story, chronicle, colours, width=width))
    return Group(shown, *_findings(outcome))


def as_object(outcome: Outcome) -> dict[str, Any]:
    """One JSON object; `seconds` is the play's time."""
    chronicle, audit = outcome.chronicle, outcome.audit
    return {
        "ok": outcome.ok,
        "ending": outcome.ending,
        "workloads": len(chronicle.stories),
        "workloads_complete": chronicle.done,
        "pods_run": chronicle.pods_run,
        "off_allocation": audit.off_allocation,
        "leaked_jobs": audit.leaked_jobs,
        "seconds": round(chronicle.sight.at_s, 2),
        "gpu_utilization": round(chronicle.utilization(), 3),
        "preempted": sum(story.preempted for story in chronicle.stories.values()),
        "looks": audit.sights,
        "nodes_compared": audit.compared,
        "problems": outcome.problems,
        "jobs": [_as_row(story, chronicle) for story in chronicle.stories.values()],
    }


def _cells(
    story: Story, chronicle: Chronicle, colours: Colours, *, width: int
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
    yield tables.spans(chronicle.leaves_of(story.nodes))
    if width >= _FOR_NOTES:
        yield ", ".join(_notes(story, chronicle))


def _notes(story: Story, chronicle: Chronicle) -> Iterator[str]:
    """What is to be known of this workload's way."""
    one = story.workload
    fewest = -(-one.fewest_nodes // chronicle.nodes_per_leaf)
    if one.gang and len(chronicle.leaves_of(story.nodes)) > fewest:
        yield f"fewest: {fewest}"
    if one.exclusive:
        yield "alone"
    if story.preempted:
        yield f"preempted {story.preempted}×"


def _findings(outcome: Outcome) -> Iterator[Text]:
    chronicle, audit = outcome.chronicle, outcome.audit
    done = f"{chronicle.done} of {len(chronicle.stories)} Jobs complete"
    yield _finding(chronicle.all_done, f"{done} in {chronicle.sight.at_s:.1f} s; "
                   f"the GPUs were in use {chronicle.utilization():.0%} of the time")  # fmt: skip
    yield _finding(
        not audit.off_allocation,
        f"{chronicle.pods_run} pods ran, {audit.off_allocation} of them off their allocation",
    )
    yield _finding(
        not audit.mismatches,
        f"GPUs that pods used = GPUs that Slurm held, {audit.compared} busy nodes compared "
        f"in {audit.sights} looks",
    )
    yield _finding(not audit.leaked_jobs, f"{audit.leaked_jobs} jobs left behind in Slurm")
    for problem in outcome.problems:
        yield Text.assemble(("✗ ", "bold red"), problem)


def _finding(good: bool, text: str) -> Text:
    return Text.assemble(("✓ ", "bold green") if good else ("✗ ", "bold red"), text)


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} s"


def _as_row(story: Story, chronicle: Chronicle) -> dict[str, Any]:
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
        "leaf_switches": chronicle.leaves_of(story.nodes),
        "preempted": story.preempted,
    }
