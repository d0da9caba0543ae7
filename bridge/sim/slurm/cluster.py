"""The cluster: nodes, partitions and jobs, and what happens to them as time goes by.

Pure: no clock, no I/O. Every operation is told the time (`now`, seconds since the epoch) and first
lets happen what was due before. `advance(now)` does only that, so an observer may look at any time.
What slurmctld does on its own (schedule, end jobs at their limit, forget them) is a due moment
here, which makes a run repeatable and lets a simulator jump from moment to moment (`next_due`).
"""

import heapq
import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from bridge.sim.slurm import nodeconf, scheduler
from bridge.sim.slurm.errors import (
    ALREADY_DONE,
    INVALID_JOB_ID,
    INVALID_NODE_NAME,
    INVALID_PARTITION,
    NODE_EXISTS,
    NODES_BUSY,
    Refused,
)
from bridge.sim.slurm.job import Job, Request, Share, State
from bridge.sim.slurm.nodes import Node, NodeTable
from bridge.sim.slurm.partition import STANDARD, Partition
from bridge.sim.slurm.place import Placer
from bridge.sim.slurm.policy import Anybody, Policy
from bridge.sim.slurm.submit import check
from bridge.sim.slurm.topology import Tree

_DECISIONS = 10
FIRST_PRIORITY = 4_294_901_759
"""What priority/basic gives to the first job; each later one gets one less."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How this slurmctld is configured; times in seconds.

    `decision_delay_s` lies between a change and the scheduling it causes; the real one is up to a
    second, as its scheduler looks once a second. `sink` stands for a slurmd that answers for all
    external nodes: without it what slurmctld tells a node in vain makes it NOT_RESPONDING after
    `lost_after_s`.
    """

    decision_delay_s: float = 0.0
    backfill_interval_s: float = 1.0
    backfill_window_s: float = 24 * 3600.0
    backfill_depth: int = 200
    min_job_age_s: float = 30.0
    lost_after_s: float = 9.5
    sink: bool = False
    gres_types: frozenset[str] = frozenset({"gpu", "efa"})
    first_job_id: int = 1


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to a job: its new state."""

    at_s: float
    job_id: int
    state: State
    nodes: tuple[str, ...]


class Cluster:
    """One Slurm cluster."""

    def __init__(
        self,
        *,
        partitions: Iterable[Partition] = STANDARD,
        tree: Tree | None = None,
        behaviour: Behaviour | None = None,
        policy: Policy | None = None,
    ) -> None:
        self.behaviour = behaviour or Behaviour()
        self.partitions = {partition.name: partition for partition in partitions}
        self.tree = tree
        self.policy = policy or Anybody()
        self.table = NodeTable()
        self.placer = Placer(self.table, tree)
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

    def advance(self, now: float) -> None:
        """Let happen, in order, what was due up to `now`."""
        while (due := self.next_due()) <= now:
            if self._moments and self._moments[0][0] == due:
                heapq.heappop(self._moments)[2](due)
            elif self._pass_due == due:
                self.schedule(due)
            else:
                self._backfill(due)

    def decide(self, now: float) -> None:
        """Decide now, whatever delay is configured, until nothing more follows from it."""
        self.advance(now)
        for _ in range(_DECISIONS):
            before = self.table.usage_version
            self.schedule(now)
            self._backfill(now)
            if self.table.usage_version == before:
                return

    def schedule(self, now: float) -> None:
        """One pass of the main scheduler."""
        self._pass_due = math.inf
        waiting = self._queue.in_order()
        if not waiting:
            return
        if scheduler.main_pass(self, waiting, list(self._running.values()), now):
            self._pass_due = now + self.behaviour.decision_delay_s
        if any(not job.priority for job in waiting):  # BadConstraints
            self._queue.changed()

    def _backfill(self, now: float) -> None:
        self._backfill_due = math.inf
        self.last_backfill_s = now
        any_started = scheduler.backfill(
            self,
            self._queue.in_order(),
            list(self._running.values()),
            now,
            window_s=self.behaviour.backfill_window_s,
            depth=self.behaviour.backfill_depth,
        )
        if any_started:  # reasons of the others have changed
            self._pass_due = min(self._pass_due, now + self.behaviour.decision_delay_s)

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

    # Nodes

    def add_nodes(self, line: str, now: float) -> list[Node]:
        """Register the nodes of a `NodeName=…` line. Raises Refused."""
        self.advance(now)
        confs = nodeconf.parse(line, gres_types=self.behaviour.gres_types)
        if any(self.table.get(conf.name) for conf in confs):
            raise Refused(NODE_EXISTS)
        added = []
        for conf in confs:
            leaf = self.tree.place(conf.topology) if self.tree else -1
            if leaf >= 0 and self.tree:
                self.tree.switches[leaf].nodes += 1
            added.append(self.table.add(conf, leaf, now))
        self._stir(now)
        return added

    def node(self, name: str) -> Node:
        """Raises Refused (2018) for a name that no node has."""
        node = self.table.get(name)
        if node is None:
            raise Refused(INVALID_NODE_NAME)
        return node

    def remove_node(self, name: str, now: float) -> None:
        """Raises Refused: 2018 unknown, 2016 while jobs are on it."""
        self.advance(now)
        node = self.node(name)
        if node.jobs:
            raise Refused(NODES_BUSY)
        if self.tree and node.leaf >= 0:
            self.tree.switches[node.leaf].nodes -= 1
        self.table.remove(node)
        self._stir(now)

    def move_node(self, node: Node, topology: str) -> None:
        """Hang a node elsewhere into the tree. Raises Refused (2178)."""
        if self.tree:
            leaf = self.tree.place(topology)
            for index, sign in ((node.leaf, -1), (leaf, 1)):
                if index >= 0:
                    self.tree.switches[index].nodes += sign
            node.leaf = leaf
        node.topology = topology

    def node_changed(self, now: float) -> None:
        """A node's record was changed by its caller (`node_update`)."""
        self.table.changed()
        self._stir(now)

    def node_down(self, node: Node, now: float) -> None:
        """A node goes DOWN: its jobs end NODE_FAIL."""
        node.down = True
        for job_id in list(node.jobs):
            job = self.jobs[job_id]
            job.killed_by = 1
            self._end(job, "NODE_FAIL", now, reason="NodeDown")
        self.node_changed(now)

    def lose(self, names: Iterable[str], now: float) -> None:
        """slurmctld tells these nodes something that nobody answers: they are lost later."""
        if self.behaviour.sink:
            return
        wanted = [node for node in (self.table.get(name) for name in names) if node is not None]

        def happen(_: float) -> None:
            for node in wanted:
                if self.table.get(node.name) is node:
                    node.responding = False
            self.table.changed()

        self._at(now + self.behaviour.lost_after_s, happen)

    # Jobs

    def submit(
        self, request: Request, now: float, *, priority: int | None = None, held: bool = False
    ) -> tuple[Job, int]:
        """The new job, and the number of Slurm's warning (0 for none). Raises Refused."""
        self.advance(now)
        partition = self.partitions.get(request.partition)
        if partition is None:
            raise Refused(INVALID_PARTITION)
        others = itertools.chain(self._waiting.values(), self._running.values())
        admission = self.policy.admit(request, others)
        warning = check(request, partition, self.placer, self.table)
        request.time_limit_min = admission.time_limit_min
        job = Job(self._next_id, request, priority or 0, now, held=held, charge=admission.charge)
        if held:
            job.reason, job.priority = "JobHeldUser", 0
        elif priority is None:
            job.priority = self._new_priority()
        if warning.reason:
            job.reason = warning.reason
        self._next_id += 1
        self.jobs[job.id] = self._waiting[job.id] = job
        self._queue.add(job)
        self._note(job, now)
        self._stir(now)
        return job, warning.number

    def job(self, job_id: int) -> Job:
        """Raises Refused (2017) for an id that is not (or no longer) known."""
        job = self.jobs.get(job_id)
        if job is None:
            raise Refused(INVALID_JOB_ID)
        return job

    def touched(self, job: Job, now: float) -> None:
        """After any accepted update: the job is looked at anew, a broken one gets its place."""
        self._queue.changed()
        if job.pending and not job.held:
            if job.priority == 0:
                job.priority = self._new_priority()
            if job.reason != "PartitionConfig":
                job.reason, job.description = "None", ""
        self._stir(now)

    def limits_changed(self, now: float) -> None:
        """Waiting jobs are looked at again: at once here, at the next look in the real one."""
        self.advance(now)
        self._stir(now)

    def hold(self, job: Job, held: bool) -> None:
        """Hold a job, or let it go with a fresh priority."""
        if held:
            job.held, job.priority, job.reason = True, 0, "JobHeldAdmin"
        elif job.held:
            job.held, job.priority, job.reason = False, self._new_priority(), "None"

    def set_limit(self, job: Job, minutes: int | None, now: float) -> None:
        """Change the time limit, also of a running job."""
        job.request = replace(job.request, time_limit_min=minutes)
        if job.running:
            job.end_s = (now if minutes is None else job.start_s) + job.limit_s
            self._watch_limit(job)

    def shrink(self, job: Job, keep: list[str], now: float) -> None:
        """Let a running job keep only these nodes. Raises Refused (2018) for others."""
        if not keep or not set(keep) <= set(job.nodes):
            raise Refused(INVALID_NODE_NAME)
        freed = tuple(share for share in job.shares if share.node not in keep)
        self.table.give(job.id, freed, now)
        job.shares = tuple(share for share in job.shares if share.node in keep)
        self.lose([share.node for share in freed], now)
        self._note(job, now)
        self._stir(now)

    def cancel(self, job_id: int, now: float) -> None:
        """Raises Refused: 2017 unknown, 2021 already over."""
        self.advance(now)
        job = self.job(job_id)
        if not job.pending and not job.running:
            raise Refused(ALREADY_DONE)
        self._end(job, "CANCELLED", now)

    def signal(self, job_id: int, now: float) -> None:
        """Signal a job: an external one runs on, its nodes are lost. Raises Refused."""
        self.advance(now)
        job = self.job(job_id)
        if not job.pending and not job.running:
            raise Refused(ALREADY_DONE)
        self.lose(job.nodes, now)

    def start(self, job: Job, tasks: dict[int, int], now: float) -> None:
        """Give a job its nodes (called by the schedulers)."""
        job.shares = self.placer.shares(job.request, tasks)
        self.table.take(job.id, job.shares, whole=job.request.exclusive)
        job.state, job.reason, job.description, job.planned = "RUNNING", "None", "", ()
        job.start_s, job.end_s = now, now + job.limit_s
        self._running[job.id] = self._waiting.pop(job.id)
        self._queue.remove(job)
        self._watch_limit(job)
        self._note(job, now)

    def preempt(self, job: Job, now: float) -> None:
        """End a job for another of a higher tier, after its partition's grace."""
        job.preempt_s = now
        grace = self.partitions[job.request.partition].grace_time_s
        if not grace:
            self._end(job, "PREEMPTED", now)
            return
        job.end_s = now + grace
        self.lose(job.nodes, now)
        self._at(job.end_s, lambda due: self._end_if_running(job, "PREEMPTED", due))

    def _watch_limit(self, job: Job) -> None:
        if job.request.time_limit_min is None:
            return
        end = job.end_s

        def happen(due: float) -> None:
            if job.end_s == end:
                self._end_if_running(job, "TIMEOUT", due, reason="TimeLimit")

        self._at(end, happen)

    def _end_if_running(self, job: Job, state: State, now: float, *, reason: str = "") -> None:
        if job.running:
            self._end(job, state, now, reason=reason)

    def _end(self, job: Job, state: State, now: float, *, reason: str = "") -> None:
        self.table.give(job.id, job.shares, now)
        if job.pending:
            job.start_s = now
            del self._waiting[job.id]
            self._queue.remove(job)
        else:
            del self._running[job.id]
        job.state, job.end_s = state, now
        if reason:
            job.reason, job.description = reason, ""
        self._at(now + self.behaviour.min_job_age_s, lambda _: self._forget(job.id))
        self._note(job, now)
        self._stir(now)

    def _forget(self, job_id: int) -> None:
        self.jobs.pop(job_id, None)

    def _new_priority(self) -> int:
        priority = self._next_priority
        self._next_priority -= 1
        return priority

    def _note(self, job: Job, now: float) -> None:
        change = Change(now, job.id, job.state, job.nodes)
        for tell in self._watchers:
            tell(change)

    def lose_state(self) -> None:
        """slurmctld starts with an empty state folder: no nodes, no jobs, ids begin anew."""
        for node in list(self.table):
            node.jobs.clear()
            self.table.remove(node)
        for switch in self.tree.switches if self.tree else ():
            switch.nodes = 0
        self.jobs.clear()
        self._waiting.clear()
        self._running.clear()
        self._moments.clear()
        self._queue = scheduler.Queue(self.partitions)
        self._next_id, self._next_priority = self.behaviour.first_job_id, FIRST_PRIORITY
        self._pass_due = self._backfill_due = math.inf

    # What an observer may ask

    def shares_on(self, name: str) -> dict[int, Share]:
        """What running jobs hold of one node, by job id."""
        return dict(self.node(name).jobs)

    @property
    def waiting(self) -> tuple[Job, ...]:
        """Pending jobs by id."""
        return tuple(self._waiting.values())

    @property
    def running(self) -> tuple[Job, ...]:
        """Running jobs in the order of their starts."""
        return tuple(self._running.values())
