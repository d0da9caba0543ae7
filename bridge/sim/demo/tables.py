"""Queue and running workloads as tables that fit a given room (pure)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from bridge.sim.demo.colours import Colours
from bridge.sim.demo.scenario import HIGH, URGENT
from bridge.sim.demo.snapshot import Snapshot
from bridge.sim.demo.timeline import Timeline

_NARROW = 52


@dataclass(frozen=True, slots=True)
class Queued:
    """Waiting Slurm jobs of one workload: one of a gang, several of independent pods."""

    workload: str
    jobs: int
    tasks: int
    gpus: int
    """Per pod."""
    partition: str
    priority: int
    reason: str
    starts_s: float | None
    """Slurm's expected start of the first, seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Running:
    """What holds GPUs, workload by workload."""

    workload: str
    pods: int
    nodes: int
    leaves: Sequence[int]
    progress: float
    """0 to 1: of its time for a gang, of its pods for the others."""


def queue(snapshot: Snapshot) -> list[Queued]:
    """In the order in which Slurm looks at them: tier, priority, age."""
    gpus = {pod.workload: pod.gpus for pod in snapshot.pods}
    found: dict[str, Queued] = {}
    order = sorted(snapshot.waiting, key=lambda job: job.partition != HIGH)
    for job in order:
        known = found.get(job.workload)
        starts = [one for one in (job.expected_start_s, known and known.starts_s) if one]
        found[job.workload] = Queued(
            workload=job.workload,
            jobs=1 + (known.jobs if known else 0),
            tasks=job.tasks + (known.tasks if known else 0),
            gpus=gpus.get(job.workload, 0),
            partition=job.partition,
            priority=job.priority,
            reason=known.reason if known else job.reason,
            starts_s=min(starts) if starts else None,
        )
    return list(found.values())


def running(timeline: Timeline) -> list[Running]:
    """The largest first."""
    nodes: dict[str, list[str]] = defaultdict(list)
    snapshot = timeline.snapshot
    for pod in snapshot.pods:
        if pod.holds:
            nodes[pod.workload].append(pod.node)
    found = []
    for name, held in nodes.items():
        story = timeline.stories[name]
        if story.workload.gang:
            since_s = story.running_since_s
            progress = 0.0 if since_s is None else (snapshot.at_s - since_s) / story.workload.runs_s
        else:
            progress = snapshot.succeeded.get(name, 0) / story.workload.pods
        found.append(
            Running(name, len(held), len(set(held)), timeline.leaves_of(held), min(progress, 1.0))
        )
    return sorted(found, key=lambda one: (-one.nodes, -one.pods, one.workload))


def draw_queue(
    entries: Sequence[Queued], colours: Colours, *, now_s: float, rows: int, width: int
) -> Table:
    """At most `rows` rows below the heading; the rest is counted."""
    table = _table(width)
    table.add_column("job", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("size", no_wrap=True, justify="right")
    if width >= _NARROW:
        table.add_column("partition", no_wrap=True)
    table.add_column("prio", no_wrap=True, justify="right")
    table.add_column("Slurm says", no_wrap=True, overflow="ellipsis", max_width=14)
    table.add_column("start", no_wrap=True, justify="right")
    shown = entries if len(entries) <= rows else entries[: max(rows - 1, 0)]
    for one in shown:
        style = "bold red" if one.partition == HIGH else ""
        priority = Text(str(one.priority), "bold yellow" if one.priority >= URGENT else "dim")
        cells: list[Text | str] = [_name(one.workload, colours), f"{one.tasks}×{one.gpus}"]
        if width >= _NARROW:
            cells.append(Text(one.partition, style or "dim"))
        elif style:
            priority = Text("high", style)
        table.add_row(*cells, priority, one.reason, _until(one.starts_s, now_s))
    if len(shown) < len(entries):
        table.add_row(Text(f"… {len(entries) - len(shown)} more", "dim"))
    return table


def draw_running(entries: Sequence[Running], colours: Colours, *, rows: int, width: int) -> Table:
    """At most `rows` rows below the heading; the rest is counted."""
    table = _table(width)
    table.add_column("job", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("pods", no_wrap=True, justify="right")
    table.add_column("nodes", no_wrap=True, justify="right")
    table.add_column("leaves", no_wrap=True, overflow="ellipsis", max_width=12)
    table.add_column("", no_wrap=True, width=8 if width < _NARROW else 14)
    shown = entries if len(entries) <= rows else entries[: max(rows - 1, 0)]
    for one in shown:
        table.add_row(
            _name(one.workload, colours),
            str(one.pods),
            str(one.nodes),
            spans(one.leaves),
            bar(one.progress, 8 if width < _NARROW else 14, colours.of(one.workload)),
        )
    if len(shown) < len(entries):
        table.add_row(Text(f"… {len(entries) - len(shown)} more", "dim"))
    return table


def bar(share: float, width: int, style: str = "green") -> Text:
    """A bar of `width` characters, `share` (0 to 1) of it filled."""
    filled = round(min(max(share, 0.0), 1.0) * width)
    return Text.assemble(("━" * filled, style), ("━" * (width - filled), "grey30"))


def spans(numbers: Sequence[int]) -> str:
    """1, 2, 3, 7 as "1-3, 7"."""
    groups: list[list[int]] = []
    for number in sorted(numbers):
        if groups and groups[-1][-1] == number - 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    return ",".join(f"{one[0]}-{one[-1]}" if len(one) > 1 else str(one[0]) for one in groups)


def _table(width: int) -> Table:
    return Table(
        box=None, expand=True, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim",
        width=max(width, 1),
    )  # fmt: skip


def _name(workload: str, colours: Colours) -> Text:
    text = Text("█ ", colours.of(workload))
    return text.append(workload, "default")


def _until(starts_s: float | None, now_s: float) -> str:
    return "–" if starts_s is None else f"+{max(starts_s - now_s, 0):.0f} s"
