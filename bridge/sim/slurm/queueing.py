"""How jobs come into the queue, and what is changed of them there."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

from bridge.sim.slurm.core import Core
from bridge.sim.slurm.errors import ACCOUNTING_POLICY, INVALID_PARTITION, Refused
from bridge.sim.slurm.job import Charge, Het, Job, Request
from bridge.sim.slurm.reserved import at_submit
from bridge.sim.slurm.script import Exit
from bridge.sim.slurm.submit import Caveat, check, check_names

COMPUTED_PRIORITY = 0xFFFFFFFE
"""NO_VAL; with INFINITE after it."""


class Queueing(Core):
    """Jobs that wait."""

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
        job, and the last one's warning. Raises Refused; then there is none of them, or only what
        `_leave` leaves.
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
        for offset, job in enumerate(jobs):
            if limit := self.policy.never(job, jobs[:offset]):
                self._leave(jobs[:offset], job, limit, now)
                raise Refused(ACCOUNTING_POLICY)
        for job, (_, priority, _), (_, caveat) in zip(jobs, components, admitted, strict=True):
            self._add(job, caveat, now, priority=priority)
        return jobs[0], admitted[-1][1].number

    def _leave(self, before: Sequence[Job], orphan: Job, limit: str, now: float) -> None:
        """What is there of a het job that was refused for a limit: the components before the one
        beyond it are cancelled, that one waits as a job of its own, and runs. Seen on 26.05.
        """
        ids = tuple(job.id for job in before)
        for offset, job in enumerate(before):
            job.het, job.exit = Het(ids, offset), Exit(signal=1)
            self._add(job, Caveat(), now, priority=None)
            self._end(job, "CANCELLED", now)
        orphan.het, orphan.limit_reason = None, limit
        self._add(orphan, Caveat(0, limit), now, priority=None)

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

    def check_claims(self, request: Request) -> None:
        """Raises Refused for a license or reservation that its job can't have: 2048, 2052, 2053."""
        self.licenses.parse(request.licenses)
        self.reservations.admit(request)

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

    def set_priority(self, job: Job, priority: int) -> None:
        """A priority of its own; Slurm's INFINITE, or the number before it, takes it back."""
        own = priority < COMPUTED_PRIORITY
        job.priority = priority if own else self._new_priority() - job.request.nice

    def set_nice(self, job: Job, nice: int) -> None:
        """Move its priority by what it is nicer."""
        job.priority -= nice - job.request.nice
        job.request = replace(job.request, nice=nice)

    def _new_priority(self) -> int:
        priority = self._next_priority
        self._next_priority -= 1
        return priority
