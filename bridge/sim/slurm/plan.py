"""When waiting jobs will start: running jobs end, windows of nodes are kept for those ahead.

What backfill does (slurm.conf(5), sched/backfill): in the queue's order each job gets the
earliest time at which it fits; if that is within the window its nodes are kept for it whole, and
no job behind it may touch them then. A job that would start beyond the window keeps nothing, so
without time limits small jobs overtake big ones.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.sim.slurm.job import Job
from bridge.sim.slurm.nodes import Bools, Free, Ints
from bridge.sim.slurm.place import Placer
from bridge.sim.slurm.reservations import Room, Windows

RESOLUTION_S = 60.0
"""Planned ends are on whole minutes (bf_resolution)."""
_TRIES = 50


@dataclass(frozen=True, slots=True)
class Start:
    """When and where a job could start."""

    at_s: float
    tasks: dict[int, int]


@dataclass(frozen=True, slots=True)
class _Running:
    """A running job, with its slots ready for indexing."""

    job: Job
    end_s: float
    slots: Ints

    @classmethod
    def of(cls, job: Job) -> "_Running":
        return cls(job, job.end_s, np.array([share.slot for share in job.shares], np.int64))

    def give_back(self, free: Free) -> None:
        free.give(self.job.shares, whole=self.job.request.exclusive)


class Plan:
    """One backfill cycle's view of the future; `free` is what is free now."""

    def __init__(
        self, placer: Placer, free: Free, running: list[Job], now: float, window_s: float
    ) -> None:
        self._placer = placer
        self._now = now
        self._window_s = window_s
        self._running = sorted(map(_Running.of, running), key=lambda one: one.end_s)
        self._free = free.copy()
        self._kept_begin: list[float] = []
        self._kept_end: list[float] = []
        self._kept_nodes = np.zeros((0, len(free.cpus)), np.bool_)
        self._known: dict[tuple[object, ...], Start | None] = {}

    def started(self, job: Job) -> None:
        """A job was started now."""
        self._free.take(job.shares, whole=job.request.exclusive)
        self._running.append(_Running.of(job))
        self._running.sort(key=lambda one: one.end_s)
        self._known.clear()

    def keep(self, start: Start, duration_s: float) -> bool:
        """Keep a job's nodes for it; False when the start is too far away for that."""
        if start.at_s > self._now + self._window_s:
            return False
        nodes = np.zeros((1, len(self._free.cpus)), np.bool_)
        nodes[0, list(start.tasks)] = True
        self._kept_begin.append(start.at_s)
        self._kept_end.append(_whole_minute(start.at_s + duration_s))
        self._kept_nodes = np.concatenate((self._kept_nodes, nodes))
        return True

    def earliest(self, job: Job, allowed: Bools, capacity: Ints, room: Room) -> Start | None:
        """The first time at which the job fits on these nodes, None if never.

        `capacity` is how many of its tasks each node takes when empty, `room` what reservations
        leave to it.
        """
        at, duration = self._now, job.limit_s
        begin, end, nodes = self._hindrances(room.windows)
        if room.nodes is not None:
            allowed = allowed & room.nodes
        for _ in range(_TRIES):
            hinders = (begin < _whole_minute(at + duration)) & (end > at)
            available = allowed & ~nodes[hinders].any(axis=0)
            enough = int(capacity[available].sum()) >= job.request.tasks
            start = self._after(job, available, at) if enough else None
            if start is not None:
                later = (begin < _whole_minute(start.at_s + duration)) & (end > start.at_s)
                hinders = later & nodes[:, list(start.tasks)].any(axis=1)
                if not hinders.any():
                    return start
                if start.at_s > at:
                    at = start.at_s  # look again with the nodes that are kept by then left out
                    continue
            if not hinders.any():
                return None
            at = float(end[hinders].min())
        return None

    def untouched(self, job: Job, allowed: Bools, room: Room) -> Bools:
        """Those of the nodes that nobody ahead of the job needs while it would run."""
        begin, end = np.array(self._kept_begin), np.array(self._kept_end)
        hinders = (begin < _whole_minute(self._now + job.limit_s)) & (end > self._now)
        allowed = room.of(allowed, self._now, self._now + job.limit_s)
        return allowed & ~self._kept_nodes[hinders].any(axis=0)

    def _hindrances(
        self, others: Windows
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Begins, ends and nodes of all that is kept: for jobs ahead, and by reservations."""
        begin, end = np.array(self._kept_begin), np.array(self._kept_end)
        if not len(others.begin):
            return begin, end, self._kept_nodes
        return (
            np.concatenate((begin, others.begin)),
            np.concatenate((end, others.end)),
            np.concatenate((self._kept_nodes, others.nodes)),
        )

    def _after(self, job: Job, allowed: Bools, at: float) -> Start | None:
        """Earliest start from `at` on; jobs of one shape share the answer."""
        shape = (job.request.shape, at, allowed.tobytes())
        if shape not in self._known:
            self._known[shape] = self._search(job, allowed, at)
        return self._known[shape]

    def _search(self, job: Job, allowed: Bools, at: float) -> Start | None:
        """As soon as enough running jobs have ended; by bisection, as more ends never hurt.

        Jobs on other nodes don't count.
        """
        running = [one for one in self._running if allowed[one.slots].any()]
        low = sum(one.end_s <= at for one in running)
        tasks = self._try(job, allowed, running[:low])
        if tasks is not None:
            return Start(at, tasks)
        high = len(running)
        tasks = self._try(job, allowed, running) if high > low else None
        if tasks is None:
            return None
        while low + 1 < high:
            middle = (low + high) // 2
            found = self._try(job, allowed, running[:middle])
            if found is None:
                low = middle
            else:
                high, tasks = middle, found
        return Start(running[high - 1].end_s, tasks)

    def _try(self, job: Job, allowed: Bools, ended: list[_Running]) -> dict[int, int] | None:
        free = self._free.copy()
        for one in ended:
            one.give_back(free)
        return self._placer.attempt(job.request, free, allowed).tasks


def _whole_minute(seconds: float) -> float:
    """When a job counts as ended, for whatever is planned after it."""
    return math.ceil(seconds / RESOLUTION_S) * RESOLUTION_S
