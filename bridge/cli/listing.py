"""Rows for people as a table, for programs as JSON."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bridge.slurm import gres, hostlist

if TYPE_CHECKING:
    from bridge.slurm import Job, SlurmNode

_TIMES = frozenset({"start", "end"})
_BASE_STATES = ("IDLE", "MIXED", "ALLOCATED", "DOWN", "ERROR", "FUTURE", "UNKNOWN")


def job_row(job: "Job") -> dict[str, Any]:
    """What is told of a job."""
    return {
        "id": job.id,
        "name": job.name,
        "user": job.user,
        "partition": job.partition,
        "state": job.state,
        "reason": job.reason,
        "nodes": hostlist.compress(job.nodes),
        "start": job.start_s,
        "end": job.end_s,
    }


def node_row(node: "SlurmNode") -> dict[str, Any]:
    """What is told of a node; of its states the one that says whether it is free comes first."""
    return {
        "name": node.name,
        "state": "+".join(sorted(node.states, key=lambda one: (one not in _BASE_STATES, one))),
        "cpus": node.cpus,
        "allocated_cpus": node.allocated_cpus,
        "memory_mib": node.memory_mib,
        "gres": gres.format(node.gres),
        "gres_used": gres.format(one for one in node.gres_used if one.count),
        "partitions": ",".join(node.partitions),
        "reason": node.reason,
    }


def show(rows: Sequence[dict[str, Any]], *, noun: str, as_json: bool) -> None:
    """Print them. `noun`: what one row is."""
    if as_json:
        print(json.dumps(list(rows), indent=1))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    title = f"{len(rows) or 'no'} {noun}{'' if len(rows) == 1 else 's'}"
    if not rows:
        print(title)
        return
    table = Table(title=title)
    for key in rows[0]:
        table.add_column(key.replace("_", " "))
    for row in rows:  # Slurm's words are shown as they are: brackets in them are no markup
        table.add_row(*(Text(_cell(key, value)) for key, value in row.items()))
    Console(width=None if os.isatty(1) else 200).print(table)


def _cell(key: str, value: Any) -> str:
    if value is None:
        return ""
    if key in _TIMES:
        with suppress(ValueError, OverflowError, OSError):  # beyond the year 9999
            return datetime.fromtimestamp(value, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return printable(str(value))


def printable(text: str) -> str:
    """Without what steers a terminal: names of jobs are anybody's."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
