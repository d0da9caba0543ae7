"""The cluster: nodes, partitions and jobs, and what happens to them as time goes by.

Pure: no clock, no I/O. Every operation is told the time (`now`, seconds since the epoch) and first
lets happen what was due before. `advance(now)` does only that, so an observer may look at any time.
What slurmctld does on its own (schedule, end jobs at their limit, forget them) is a due moment
here, which makes a run repeatable and lets a simulator jump from moment to moment (`next_due`).
"""

import heapq
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.sim.slurm import batch, het, nodeconf, reservations, scheduler
from bridge.sim.slurm import licenses as pool
from bridge.sim.slurm.errors import (
    ALREADY_DONE,
    INVALID_JOB_ID,
    INVALID_NODE_NAME,
    INVALID_PARTITION,
    JOB_NOT_ALTERABLE,
    NODE_EXISTS,
    NODES_BUSY,
    Refused,
)
from bridge.sim.slurm.job import Charge, Het, Job, Request, Share, State
from bridge.sim.slurm.nodes import Node, NodeTable
from bridge.sim.slurm.partition import STANDARD, Partition
from bridge.sim.slurm.place import Placer
from bridge.sim.slurm.policy import Anybody, Policy
from bridge.sim.slurm.reserved import at_submit
from bridge.sim.slurm.script import Exit
from bridge.sim.slurm.submit import Caveat, check, check_names
from bridge.sim.slurm.topology import Tree

_DECISIONS = 10
FIRST_PRIORITY = 4_294_901_759
"""What priority/basic gives to the first job; each later one gets one less."""
COMPUTED_PRIORITY = 0xFFFFFFFE
"""NO_VAL; with INFINITE after it."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How this slurmctld is configured; times in seconds.

    `decision_delay_s` lies between a change and the scheduling it causes; the real one is up to a
    second, as its scheduler looks once a second. `sink` stands for a slurmd that answers for all
    external nodes: without it what slurmctld tells a node in vain makes it NOT_RESPONDING after
    `lost_after_s`. `requeue_delay_s`: a requeued job doesn't start before its old credential has
    expired (slurm.conf(5), AuthInfo=cred_expire).
    """

    decision_delay_s: float = 0.0
    backfill_interval_s: float = 1.0
    backfill_window_s: float = 24 * 3600.0
    backfill_depth: int = 200
    min_job_age_s: float = 30.0
    lost_after_s: float = 9.5
    requeue_delay_s: float = 121.0
    sink: bool = False
    gres_types: frozenset[str] = frozenset({"gpu", "efa"})
    operators: frozenset[int] = frozenset({0, 64030})
    """Ids of root and SlurmUser, who may use what is reserved for others."""
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
            for job in het.components(self.jobs, self.jobs[job_id]):
                if job.running:
                    job.exit = Exit(signal=1)
                    self._end(job, "NODE_FAIL", now, reason="NodeDown")
        self.node_changed(now)

    def lose(self, names: Iterable[str], now: float) -> None:
        """slurmctld tells these nodes something that nobody answers: they are lost later."""
        if self.behaviour.sink:
            return
        found = [self.table.get(name) for name in names]
        wanted = [node for node in found if node is not None and node.conf.external]

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
        charge, caveat = self._admit(request, now)
        job = Job(self._next_id, request, priority or 0, now, held=held, charge=charge)
        self._add(job, caveat, now, priority=priority)
        return job, caveat.number

    def submit_het(
        self, components: Sequence[tuple[Request, int | None, bool]], now: float
    ) -> tuple[Job, int]:
        """As `submit`, for the components (request, priority, held) of a het job; gives the first
        job, and the last one's warning. Raises Refused; then there is none of them.
        """
        self.advance(now)
        admitted = [self._admit(request, now) for request, *_ in components]
        ids = tuple(range(self._next_id, self._next_id + len(components)))
        jobs = [
            Job(number, request, priority or 0, now, held=held, het=Het(ids, offset), charge=charge)
            for offset, (number, (request, priority, held), (charge, _)) in enumerate(
                zip(ids, components, admitted, strict=True)
            )
        ]
        self.policy.admit_together(jobs)
        for job, (_, priority, _), (_, caveat) in zip(jobs, components, admitted, strict=True):
            self._add(job, caveat, now, priority=priority)
        return jobs[0], admitted[-1][1].number

    def _admit(self, request: Request, now: float) -> tuple[Charge, Caveat]:
        """What a new job is charged to, and what is to be said about it. Raises Refused; where a
        job is wrong in several ways, as slurmctld does.
        """
        check_names(request, self.placer, self.table)
        partition = self.partitions.get(request.partition)
        if partition is None:
            raise Refused(INVALID_PARTITION)
        charge = self.policy.charge(request)
        self.licenses.parse(request.licenses)
        others = itertools.chain(self._waiting.values(), self._running.values())
        request.time_limit_min = self.policy.admit(request, charge, others)
        self.reservations.admit(request)
        caveat = check(request, partition, self.placer, self.table)
        if not caveat.number:
            room = self.reservations.room(request)
            caveat = at_submit(request, room, partition, self.placer, self.table, now)
        return charge, caveat

    def _add(self, job: Job, caveat: Caveat, now: float, *, priority: int | None) -> None:
        if job.held:
            job.reason, job.priority = "JobHeldUser", 0
        elif priority is None:
            job.priority = self._new_priority() - job.request.nice
        if caveat.reason:
            job.reason, job.description = caveat.reason, caveat.description
        self._next_id += 1
        self.jobs[job.id] = job
        self._wait(job, now)

    def _wait(self, job: Job, now: float) -> None:
        """It is in the queue now."""
        self._waiting[job.id] = job
        self._queue.add(job)
        self._note(job, now)
        self.set_begin(job, job.request.begin_s, now)

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

    def set_begin(self, job: Job, begin_s: float, now: float) -> None:
        """Let a pending job not start before that."""
        if begin_s != job.request.begin_s:
            job.request = replace(job.request, begin_s=begin_s)
        if begin_s > now:
            self._at(begin_s, self._stir)
        job.start_s = begin_s if begin_s > now else 0.0
        self._stir(now)

    def admit(self, request: Request) -> None:
        """Raises Refused for a license or reservation that its job can't have: 2048, 2052, 2053."""
        self.licenses.parse(request.licenses)
        self.reservations.admit(request)

    def change(self, job: Job, request: Request) -> None:
        """What a job asks for from now on; licenses also while it runs."""
        if job.running:
            self.licenses.give(job.request.licenses)
            self.licenses.take(request.licenses)
        job.request = request

    def set_priority(self, job: Job, priority: int) -> None:
        """A priority of its own; Slurm's INFINITE, or the number before it, takes it back."""
        own = priority < COMPUTED_PRIORITY
        job.priority = priority if own else self._new_priority() - job.request.nice

    def set_nice(self, job: Job, nice: int) -> None:
        """Move its priority by what it is nicer."""
        job.priority -= nice - job.request.nice
        job.request = replace(job.request, nice=nice)

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
        told = het.addressed(self.jobs, self.job(job_id))
        alive = [job for job in told if not job.over]
        if not alive:
            raise Refused(ALREADY_DONE)
        for job in alive:
            if job.running and job.request.script:
                job.exit = Exit(signal=15)
            self._end(job, "CANCELLED", now)

    def signal(self, job_id: int, name: str, now: float) -> None:
        """Signal (USR1 …) a running job: a script does with it what it does; an external job runs
        on, its nodes are lost. Raises Refused.
        """
        self.advance(now)
        for job in het.addressed(self.jobs, self.job(job_id)):
            if job.over:
                raise Refused(ALREADY_DONE)
            if job.pending:
                raise Refused(JOB_NOT_ALTERABLE)
            ended = job.request.script.on(name) if job.request.script else None
            if ended is not None:
                self._exit(job, ended, now)
            self.lose(job.nodes, now)

    def requeue(self, job_id: int, now: float, *, hold: bool = False) -> None:
        """End a batch job, if it hasn't yet, and let it wait again under its id. Raises Refused."""
        self.advance(now)
        job = self.job(job_id)
        batch.check_requeue(job)
        if job.running:
            self._give_back(job, now)
        run = batch.begin_anew(job, now, now + self.behaviour.requeue_delay_s, hold=hold)
        self.jobs[job_id] = run
        self._wait(run, now)

    def start(self, job: Job, tasks: dict[int, int], now: float) -> None:
        """Give a job its nodes (called by the schedulers)."""
        job.shares = self.placer.shares(job.request, tasks)
        self.table.take(job.id, job.shares, whole=job.request.exclusive)
        self.licenses.take(job.request.licenses)
        job.state, job.reason, job.description, job.planned = "RUNNING", "None", "", ()
        job.start_s, job.end_s, job.exit = now, now + job.limit_s, Exit()
        self._running[job.id] = self._waiting.pop(job.id)
        self._queue.remove(job)
        self._watch_limit(job)
        self._watch_script(job)
        self._note(job, now)

    def preempt(self, job: Job, now: float) -> None:
        """End a job for another of a higher tier, after its partition's grace."""
        for one in het.components(self.jobs, job):
            if one.running and not one.preempt_s:
                self._preempt(one, now)

    def _preempt(self, job: Job, now: float) -> None:
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

    def _watch_script(self, job: Job) -> None:
        script, run = job.request.script, job.restarts
        if script is None or script.seconds == math.inf:
            return

        def happen(due: float) -> None:
            if job.running and job.restarts == run:
                self._exit(job, script.end, due)

        self._at(job.start_s + script.seconds, happen)

    def _exit(self, job: Job, how: Exit, now: float) -> None:
        """A batch job's process ended."""
        job.exit = how
        self._end(job, "FAILED" if how.failed else "COMPLETED", now, reason=how.reason)
        job.description = how.description

    def _end_if_running(self, job: Job, state: State, now: float, *, reason: str = "") -> None:
        if job.running:
            self._end(job, state, now, reason=reason)

    def _give_back(self, job: Job, now: float) -> None:
        """A running job holds nothing any more."""
        self.table.give(job.id, job.shares, now)
        self.licenses.give(job.request.licenses)
        del self._running[job.id]

    def _end(self, job: Job, state: State, now: float, *, reason: str = "") -> None:
        if job.pending:
            job.start_s = now
            del self._waiting[job.id]
            self._queue.remove(job)
        else:
            self._give_back(job, now)
        job.state, job.end_s = state, now
        if reason:
            job.reason, job.description = reason, ""
        self._at(now + self.behaviour.min_job_age_s, lambda _: self._forget(job))
        self._note(job, now)
        self._stir(now)

    def _forget(self, job: Job) -> None:
        if self.jobs.get(job.id) is job:  # it doesn't run again
            del self.jobs[job.id]

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
        self.reservations.clear()
        self.licenses = pool.Pool(self.licenses.totals)
        self._queue = scheduler.Queue(self.partitions)
        self._next_id, self._next_priority = self.behaviour.first_job_id, FIRST_PRIORITY
        self._pass_due = self._backfill_due = math.inf

    # Reservations

    def reserve(self, reservation: reservations.Reservation, now: float) -> None:
        """Keep a reservation that may be, until it ends."""
        self.reservations.put(reservation)
        for when in (reservation.start_s, reservation.end_s):
            if when > now:
                self._at(when, self._turn)
        self._turn(now)

    def unreserve(self, name: str, now: float) -> None:
        """Raises Refused: 2053 unknown, 2055 in use."""
        self.reservations.remove(name, [*self._waiting.values(), *self._running.values()])
        self._stir(now)

    def _turn(self, now: float) -> None:
        """A reservation begins or ends: its jobs end with it, those that still wait are held."""
        for name in self.reservations.turn(now):
            jobs = [*self._running.values(), *self._waiting.values()]
            for job in [job for job in jobs if job.request.reservation == name]:
                job.request = replace(job.request, reservation="")
                if job.running:
                    self._end(job, "TIMEOUT", now, reason="TimeLimit")
                else:
                    job.held, job.priority = True, 0
                    job.reason = "ReservationDeleted"
                    job.description = f"Reservation {name} was deleted"
        self._queue.changed()
        self._stir(now)

    # What an observer may ask

    def shares_on(self, name: str) -> dict[int, Share]:
        """What running jobs hold of one node, by job id."""
        return dict(self.node(name).jobs)

    @property
    def waiting(self) -> tuple[Job, ...]:
        """Pending jobs by id."""
        return tuple(sorted(self._waiting.values(), key=lambda job: job.id))

    @property
    def running(self) -> tuple[Job, ...]:
        """Running jobs in the order of their starts."""
        return tuple(self._running.values())
