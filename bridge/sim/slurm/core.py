"""What a cluster consists of, and how time passes in it.

What slurmctld does on its own (schedule, end jobs at their limit, forget them) is a due moment
here, which makes a run repeatable and lets a simulator jump from moment to moment (`next_due`).
"""

import heapq
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bridge.sim.slurm import licenses as pool
from bridge.sim.slurm import reservations, scheduler
from bridge.sim.slurm.behaviour import Behaviour
from bridge.sim.slurm.errors import INVALID_JOB_ID, INVALID_NODE_NAME, Refused
from bridge.sim.slurm.job import Job, State
from bridge.sim.slurm.nodes import Node, NodeTable
from bridge.sim.slurm.partition import STANDARD, Partition
from bridge.sim.slurm.place import Placer
from bridge.sim.slurm.policy import Anybody, Policy
from bridge.sim.slurm.topology import Tree

FIRST_PRIORITY = 4_294_901_759
"""What priority/basic gives to the first job; each later one gets one less."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to a job: its new state."""

    at_s: float
    job_id: int
    state: State
    nodes: tuple[str, ...]


class Core(ABC):
    """The state that the layers above change: queueing, running, inventory, cluster."""

    def __init__(
        self,
        *,
        partitions: Iterable[Partition] = STANDARD,
        tree: Tree | None = None,
        behaviour: Behaviour | None = None,
        licenses: Mapping[str, int] | None = None,
        policy: Policy | None = None,
    ) -> None:
        self.behaviour = behaviour or Behaviour()
        self.partitions = {partition.name: partition for partition in partitions}
        self.tree = tree
        self.policy = policy or Anybody()
        self.table = NodeTable()
        self.placer = Placer(self.table, tree)
        self.licenses = pool.Pool(licenses or {})
        self.reservations = reservations.Book(self.table, self.behaviour.operators)
        self.jobs: dict[int, Job] = {}
        """All jobs that are remembered, by id, in the order of their ids."""
        self.last_backfill_s = 0.0
        self._waiting: dict[int, Job] = {}
        self._queue = scheduler.Queue(self.partitions)
        self._running: dict[int, Job] = {}
        self._next_id = self.behaviour.first_job_id
        self._next_priority = FIRST_PRIORITY
        self._moments: list[tuple[float, int, Callable[[float], None]]] = []
        self._moment_count = 0
        self._pass_due = self._backfill_due = math.inf
        self._watchers: list[Callable[[Change], None]] = []

    # Time

    def next_due(self) -> float:
        """When something happens next by itself; infinity if nothing will."""
        timed = self._moments[0][0] if self._moments else math.inf
        return min(timed, self._pass_due, self._backfill_due)

    def watch(self, tell: Callable[[Change], None]) -> None:
        """Tell of every change of a job's state from now on, in order, as it happens."""
        self._watchers.append(tell)

    @abstractmethod
    def advance(self, now: float) -> None:
        """Let happen, in order, what was due up to `now`."""

    @abstractmethod
    def _end(self, job: Job, state: State, now: float, *, reason: str = "") -> None:
        """A job that waits or runs is over."""

    def _stir(self, now: float) -> None:
        """Something changed that may let a job start."""
        if not self._waiting:
            return
        self._pass_due = min(self._pass_due, now + self.behaviour.decision_delay_s)
        next_cycle = self.last_backfill_s + self.behaviour.backfill_interval_s
        earliest = now + self.behaviour.decision_delay_s
        self._backfill_due = min(self._backfill_due, max(next_cycle, earliest))

    def _at(self, when: float, what: Callable[[float], None]) -> None:
        self._moment_count += 1
        heapq.heappush(self._moments, (when, self._moment_count, what))

    def _note(self, job: Job, now: float) -> None:
        change = Change(now, job.id, job.state, job.nodes)
        for tell in self._watchers:
            tell(change)

    # What an observer may ask

    def job(self, job_id: int) -> Job:
        """Raises Refused (2017) for an id that is not (or no longer) known."""
        job = self.jobs.get(job_id)
        if job is None:
            raise Refused(INVALID_JOB_ID)
        return job

    def node(self, name: str) -> Node:
        """Raises Refused (2018) for a name that no node has."""
        node = self.table.get(name)
        if node is None:
            raise Refused(INVALID_NODE_NAME)
        return node

    @property
    def waiting(self) -> tuple[Job, ...]:
        """Pending jobs by id."""
        return tuple(sorted(self._waiting.values(), key=lambda job: job.id))

    @property
    def running(self) -> tuple[Job, ...]:
        """Running jobs in the order of their starts."""
        return tuple(self._running.values())
