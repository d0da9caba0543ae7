"""When waiting jobs will start: running jobs end, windows of nodes are kept for those ahead.

What backfill does (slurm.conf(5), sched/backfill): in the queue's order each job gets the
earliest time at which it fits; if that is within the window its nodes are kept for it whole, and
no job behind it may touch them then. A job that would start beyond the window keeps nothing, so
without time limits small jobs overtake big ones.
"""

import math
from dataclasses import dataclass

import numpy as np

from bridge.sim.slurm.job import Job
from bridge.sim.slurm.nodes import Bools, Free
from bridge.sim.slurm.place import Placer

RESOLUTION_S = 60.0
"""Kept windows end on whole minutes (bf_resolution)."""
_FIRST_WINDOW_S = 30.0
_TRIES = 50


@dataclass(frozen=True, slots=True)
class Start:
    """When and where a job could start."""

    at_s: float
    tasks: dict[int, int]


@dataclass(frozen=True, slots=True)
class _Kept:
    begin_s: float
    end_s: float
    nodes: Bools


class Plan:
    """One backfill cycle's view of the future; `free` is what is free now."""

    def __init__(
        self, placer: Placer, free: Free, running: list[Job], now: float, window_s: float
    ) -> None:
        self._placer = placer
        self._now = now
        self._window_s = window_s
        self._running = sorted(running, key=lambda job: job.end_s)
        self._free = free.copy()
        self._kept: list[_Kept] = []
        self._known: dict[tuple[object, ...], Start | None] = {}

    def started(self, job: Job) -> None:
        """A job was started now."""
        self._free.take(job.shares, whole=job.request.exclusive)
        self._running.append(job)
        self._running.sort(key=lambda job: job.end_s)
        self._known.clear()

    def keep(self, start: Start, duration_s: float) -> bool:
        """Keep a job's nodes for it; False when the start is too far away for that."""
        if start.at_s > self._now + self._window_s:
            return False
        end = math.ceil((start.at_s + duration_s) / RESOLUTION_S) * RESOLUTION_S
        nodes = np.zeros(len(self._free.cpus), np.bool_)
        nodes[list(start.tasks)] = True
        self._kept.append(_Kept(start.at_s, end, nodes))
        return True

    def earliest(self, job: Job, allowed: Bools) -> Start | None:
        """The first time at which the job fits on these nodes, None if never."""
        at = self._now
        duration = job.limit_s
        for _ in range(_TRIES):
            overlapping = [
                kept for kept in self._kept if kept.begin_s < at + duration and kept.end_s > at
            ]
            blocked = np.zeros(len(allowed), np.bool_)
            for kept in overlapping:
                blocked |= kept.nodes
            start = self._after(job, allowed & ~blocked, at)
            if start is not None:
                clash = self._clash(start, duration)
                if clash is None:
                    return start
                overlapping = [clash]
            later = [kept.end_s for kept in overlapping if kept.end_s > at]
            if not later:
                return None
            at = min(later)
        return None

    def _clash(self, start: Start, duration_s: float) -> _Kept | None:
        slots = list(start.tasks)
        for kept in self._kept:
            overlaps = kept.begin_s < start.at_s + duration_s and kept.end_s > start.at_s
            if overlaps and kept.nodes[slots].any():
                return kept
        return None

    def _after(self, job: Job, allowed: Bools, at: float) -> Start | None:
        """Earliest start from `at` on; jobs of one shape share the answer."""
        shape = (*_shape(job), at, allowed.tobytes())
        if shape not in self._known:
            self._known[shape] = self._search(job, allowed, at)
        return self._known[shape]

    def _search(self, job: Job, allowed: Bools, at: float) -> Start | None:
        """Take running jobs away in the order of their ends, more and more at a time.

        Ends that lie close together count as one, at the last of them: 30 s at first, then twice
        as much each time. Jobs on other nodes don't count.
        """
        free = self._free.copy()
        running = [
            other for other in self._running if allowed[[s.slot for s in other.shares]].any()
        ]
        index = 0
        while index < len(running) and running[index].end_s <= at:
            free.give(running[index].shares, whole=running[index].request.exclusive)
            index += 1
        tasks = self._placer.attempt(job.request, free, allowed).tasks
        window_s, last = _FIRST_WINDOW_S, at
        while tasks is None and index < len(running):
            until = running[index].end_s + window_s
            while index < len(running) and running[index].end_s <= until:
                last = running[index].end_s
                free.give(running[index].shares, whole=running[index].request.exclusive)
                index += 1
            tasks = self._placer.attempt(job.request, free, allowed).tasks
            window_s *= 2
        return None if tasks is None else Start(last, tasks)


def _shape(job: Job) -> tuple[object, ...]:
    """What makes two jobs fit alike."""
    request = job.request
    return (
        request.partition,
        request.tasks,
        request.cpus_per_task,
        request.min_nodes,
        request.max_nodes,
        request.tasks_per_node,
        request.memory_per_cpu_mib,
        request.memory_per_node_mib,
        request.gres_per_task,
        request.gres_per_node,
        request.exclusive,
        request.constraints,
        request.required,
    )
