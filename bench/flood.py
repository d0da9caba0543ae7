"""What one tenant's flood of pods costs another tenant's single pods.

In one namespace pods are created as quickly as the API server takes them; all wait for a node that
is full. Meanwhile another namespace creates one pod after the other, for a node that is free. The
time from creating a single pod to its binding is compared with the same in the same run, when the
bridge has dealt with the flood and all of it waits in Slurm's queue, and in a quiet cluster.

    python -m bench.flood --pods 600 --singles 9 --stack embedded
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from bench.report import Report
from tests.arena.arena import Arena
from tests.hostile.flood import Flood, nodes

_MOST = 4.0
"""Kubernetes and Slurm are busy with the flood too, and share the machine with the bridge."""


def run(arena: Arena, *, pods: int, singles: int) -> Report:
    """Play it and report."""
    report = Report("flood", seed=0)
    with tempfile.TemporaryDirectory() as folder:
        arena.begin(Path(folder), nodes())
        flood = Flood(arena, count=pods)
        times = flood.run(singles)
        flood.end()
        arena.finish()
    for when, seconds in (
        ("quiet", times.quiet_s),
        ("amid the flood", times.amid_s),
        ("the flood waits in Slurm", times.queued_s),
    ):
        report.row(
            single_pods=when,
            count=len(seconds),
            p50_ms=round(1000 * statistics.median(seconds)),
            max_ms=round(1000 * max(seconds)),
        )
    report.row(single_pods="of the flood not dealt with at the first", count=times.untold[0])
    report.at_most("create → bound amid the flood, per when it waits", times.ratio, _MOST, "x")
    report.at_least("pods of the flood that a single pod overtook", times.untold[0], 1)
    return report


def main(arguments: list[str] | None = None) -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        prog="python -m bench.flood",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pods", type=int, default=600, help="in the flood")
    parser.add_argument("--singles", type=int, default=9, help="single pods, before and amid it")
    parser.add_argument("--stack", choices=("embedded", "real"), default="embedded")
    asked = parser.parse_args(arguments)
    arena = stack(asked.stack)
    try:
        report = run(arena, pods=asked.pods, singles=asked.singles)
    finally:
        arena.close()
    return report.finish()


def stack(name: str) -> Arena:
    """The stack of that name, started."""
    if name == "real":
        from tests.arena.real import RealArena  # needs root and Debian

        return RealArena()
    from tests.arena.embedded import EmbeddedArena

    return EmbeddedArena()


if __name__ == "__main__":
    sys.exit(main())
