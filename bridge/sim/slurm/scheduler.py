"""The two schedulers: strictly by order first, then backfill; and preemption by partition tier."""

import bisect
from typing import Protocol

import numpy as np

from bridge.sim.slurm.job import Job, Request
from bridge.sim.slurm.licenses import Pool
from bridge.sim.slurm.nodes import Bools, Free, Ints, NodeTable
from bridge.sim.slurm.partition import Partition
from bridge.sim.slurm.place import Placer, Try
from bridge.sim.slurm.plan import Plan, Start
from bridge.sim.slurm.policy import Policy
from bridge.sim.slurm.reservations import Book, Room
from bridge.sim.slurm.reserved import NODE_NOT_AVAILABLE, why_not

ALL_UNAVAILABLE = (
    "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions"
)
TOPOLOGY_SHORT = "Insufficient resources in topology unit"


_ROUNDS = 3


class Actions(Protocol):
    """What the schedulers need of the cluster."""

    table: NodeTable
    placer: Placer
    partitions: dict[str, Partition]
    licenses: Pool
    reservations: Book
    policy: Policy

    def start(self, job: Job, tasks: dict[int, int], now: float) -> None:
        """Give a job its nodes."""

    def preempt(self, job: Job, now: float) -> None:
        """End a job for another one."""


class Queue:
    """Waiting jobs that may start: by partition tier, then priority, then age."""

    def __init__(self, partitions: dict[str, Partition]) -> None:
        self._partitions = partitions
        self._jobs: dict[int, Job] = {}
        self._order: list[Job] = []
        self._sorted = True

    def add(self, job: Job) -> None:
        """A new job."""
        self._jobs[job.id] = job
        if self._sorted:
            bisect.insort(self._order, job, key=self._key)

    def remove(self, job: Job) -> None:
        """It waits no more."""
        if self._jobs.pop(job.id, None) is not None:
            self._sorted = False

    def changed(self) -> None:
        """A priority, a partition or a hold has changed."""
        self._sorted = False

    def in_order(self) -> list[Job]:
        """As they are to be tried."""
        if not self._sorted:
            self._order = sorted(self._jobs.values(), key=self._key)
            self._sorted = True
        return [job for job in self._order if job.priority > 0 and not job.held]

    def _key(self, job: Job) -> tuple[int, int, int]:
        tier = self._partitions[job.request.partition].priority_tier
        return -tier, -job.priority, job.id


def main_pass(cluster: Actions, waiting: list[Job], running: list[Job], now: float) -> list[Job]:
    """Start what is first in the queue; the first job that can't start stops its partition, or the
    reservation that it names.

    Returns the jobs for which others were preempted (they start in the next pass).
    """
    stopped: dict[str, Job] = {}
    """Partition → the job that can't start."""
    kept_back = np.zeros(len(cluster.table.free().cpus), np.bool_)
    waiting_for_room: list[Job] = []
    for job in waiting:
        partition = cluster.partitions[job.request.partition]
        if job.request.begin_s > now:
            job.reason, job.description = "BeginTime", ""
            continue
        reservation = job.request.reservation
        line = f"reservation {reservation}" if reservation else partition.name
        first = stopped.get(line)
        if first is not None:
            if job.het and first.het and job.het.ids == first.het.ids:
                job.reason, job.description = "Resources", ""
            elif job.reason in ("None", "Resources"):
                job.reason, job.description = "Priority", ""
            continue
        job.evaluated_s = now
        room = cluster.reservations.room(job.request)
        if _set_aside(cluster, job, partition, room, running):
            continue
        spans = cluster.placer.spans(partition)
        usable = cluster.table.usable if reservation else cluster.table.usable & ~kept_back
        if not (spans & usable).any():
            _all_unavailable(job, spans)
            continue
        wanted = cluster.placer.may_use(job.request, partition)
        allowed = room.of(wanted & usable, now, now + job.limit_s)
        if room.restricts:  # what is remembered of a shape knows no time limits
            outcome = cluster.placer.attempt(job.request, cluster.table.free(), allowed)
        else:
            outcome = cluster.placer.now(job.request, allowed, frozenset(stopped))
        if outcome.tasks is not None and not job.het:  # a component is started by backfill
            if not _hindered_by_size(cluster, job, outcome.tasks, running):
                cluster.start(job, outcome.tasks, now)
                running.append(job)
            continue
        if not _can_ever(cluster, job, partition):
            continue
        wanted = wanted & cluster.table.usable
        kept = why_not(job.request, room, wanted, cluster.placer, cluster.table, now)
        if kept:
            job.reason, job.description = "ReqNodeNotAvail", kept
            continue
        victims = victims_for(cluster, job, partition, running, allowed) if not job.het else []
        for victim in victims:
            cluster.preempt(victim, now)
        if victims:
            waiting_for_room.append(job)
        _busy(job, outcome)
        stopped[line] = job
        if not reservation:
            kept_back |= spans
    return waiting_for_room


def _set_aside(
    cluster: Actions, job: Job, partition: Partition, room: Room, running: list[Job]
) -> bool:
    """Whether it can't start wherever there is room; then says why on the job."""
    if _over_the_limit(job, partition):
        job.reason, job.description = "PartitionTimeLimit", ""
        return True
    if room.begun:
        if _hindered(job, cluster.policy.before(job, running)):
            return True
        if cluster.licenses.suffice(job.request.licenses):
            return False
    job.reason = "Licenses" if room.begun else "Reservation"
    job.description, job.start_s, job.planned = "", 0.0, ()
    return True


def _hindered(job: Job, reason: str) -> bool:
    """Whether a limit of its user, account or QOS keeps it waiting; then it says so."""
    if reason:
        job.reason, job.description, job.limit_reason = reason, "", reason
    return bool(reason)


def _hindered_by_size(
    cluster: Actions, job: Job, tasks: dict[int, int], running: list[Job]
) -> bool:
    if not cluster.policy.limits:
        return False
    shares = cluster.placer.shares(job.request, tasks)
    return _hindered(job, cluster.policy.beside(job, shares, running))


def _over_the_limit(job: Job, partition: Partition) -> bool:
    longest, asked = partition.max_time_min, job.request.time_limit_min
    return longest is not None and asked is not None and asked > longest


def _all_unavailable(job: Job, spans: Bools) -> None:
    if spans.any():
        job.reason, job.description = "Resources", ALL_UNAVAILABLE
    else:
        job.reason, job.description = "PartitionConfig", ""


def _busy(job: Job, outcome: Try) -> None:
    job.reason = "Resources"
    job.description = TOPOLOGY_SHORT if outcome.no_switch else ""


def _can_ever(cluster: Actions, job: Job, partition: Partition) -> bool:
    """Whether it would fit if nothing else ran; if not, says why on the job."""
    ever = cluster.placer.ever(job.request, partition)
    if ever == "yes":
        return True
    job.description = ""
    if ever in ("unknown feature", "no way"):
        job.reason, job.priority = "BadConstraints", 0
    elif ever in ("not now", "required node gone"):
        job.reason, job.description = "ReqNodeNotAvail", NODE_NOT_AVAILABLE
    else:
        spans = cluster.placer.spans(partition)
        job.reason = too_large(job.request, cluster.table, spans)
    if ever != "required node gone":
        job.start_s, job.planned = 0.0, ()
    return False


def too_large(request: Request, table: NodeTable, spans: Bools) -> str:
    """The reason of a job that its partition could not serve even if it were empty."""
    enough_cpus = request.cpus <= int(table.cpus[spans].sum())
    return (
        "PartitionNodeLimit"
        if enough_cpus and request.min_nodes > int(spans.sum())
        else "PartitionConfig"
    )


def victims_for(
    cluster: Actions, job: Job, partition: Partition, running: list[Job], allowed: Bools
) -> list[Job]:
    """Running jobs of lower tiers to end so that the job fits; empty when that does not help.

    As select/cons_tres does: candidates are taken away one by one, those on few nodes first, until
    the job fits. Then the same again, twice, with the one that made it fit in front and the others
    by how many of the chosen nodes they hold: that spares those who were taken away in vain.
    """

    def tier(other: Job) -> int:
        return cluster.partitions[other.request.partition].priority_tier

    candidates = [
        other
        for other in running
        if other.running and not other.preempt_s and tier(other) < partition.priority_tier
    ]
    candidates.sort(key=lambda other: (tier(other), len(other.shares), other.id))
    if not candidates:
        return []
    victims: list[Job] = []
    for _ in range(_ROUNDS):
        found = _remove_until_fits(cluster, job, candidates, allowed)
        if found is None:
            break
        tasks, removed = found
        victims = [other for other in removed if _on(other, tasks)]
        before = sorted(removed[:-1], key=lambda other: -_on(other, tasks))
        candidates = [removed[-1], *before, *candidates[len(removed) :]]
    return victims


def _on(job: Job, tasks: dict[int, int]) -> int:
    """How many of these nodes it holds."""
    return sum(share.slot in tasks for share in job.shares)


def _remove_until_fits(
    cluster: Actions, job: Job, candidates: list[Job], allowed: Bools
) -> tuple[dict[int, int], list[Job]] | None:
    free: Free = cluster.table.free().copy()
    removed: list[Job] = []
    for other in candidates:
        free.give(other.shares, whole=other.request.exclusive)
        removed.append(other)
        tasks = cluster.placer.attempt(job.request, free, allowed).tasks
        if tasks is not None:
            return tasks, removed
    return None


def backfill(
    cluster: Actions,
    waiting: list[Job],
    running: list[Job],
    now: float,
    *,
    window_s: float,
    depth: int,
) -> bool:
    """Start what delays nobody ahead of it, and tell the others when they may expect to start.

    A job that makes room for itself by preemption ends the cycle. Returns whether anything changed.
    """
    any_started = False
    ready: dict[int, tuple[Job, Start]] = {}
    """Components of het jobs that could start now, by id."""
    plan = Plan(cluster.placer, cluster.table.free(), running, now, window_s)
    capacities: dict[tuple[object, ...], Ints] = {}
    for job in waiting[:depth]:
        partition = cluster.partitions[job.request.partition]
        if not job.pending or job.priority == 0 or _over_the_limit(job, partition):
            continue
        room = cluster.reservations.room(job.request)
        if job.request.begin_s > now or not room.begun:
            continue
        if _hindered(job, cluster.policy.before(job, running)):
            continue
        if not cluster.licenses.suffice(job.request.licenses):
            continue
        allowed = cluster.placer.may_use(job.request, partition) & cluster.table.usable
        shape = job.request.shape
        if shape not in capacities:
            capacities[shape] = cluster.placer.capacity(job.request, partition)
        start = plan.earliest(job, allowed, capacities[shape], room)
        job.planned = ()
        if start is None or start.at_s > now:
            free = plan.untouched(job, allowed, room)
            victims = victims_for(cluster, job, partition, running, free)
            for victim in victims:
                cluster.preempt(victim, now)
            if victims:
                return True  # all is different now; the next cycle goes on
        elif _hindered_by_size(cluster, job, start.tasks, running):
            continue
        elif job.het:  # its mates count towards no limit before they run
            ready[job.id] = job, start
        else:
            cluster.start(job, start.tasks, now)
            running.append(job)
            plan.started(job)
            any_started = True
            continue
        if start is None:
            continue
        job.start_s = start.at_s
        if plan.keep(start, job.limit_s):
            job.planned = tuple(cluster.table.at(slot).name for slot in sorted(start.tasks))
    return _start_together(cluster, ready, now) or any_started


def _start_together(cluster: Actions, ready: dict[int, tuple[Job, Start]], now: float) -> bool:
    """Start the components of the het jobs of which all are ready; their nodes were kept."""
    any_started = False
    for job, start in ready.values():
        if job.het and all(one in ready for one in job.het.ids):
            cluster.start(job, start.tasks, now)
            any_started = True
    return any_started
