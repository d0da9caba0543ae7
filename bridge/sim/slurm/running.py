"""How jobs start and run, and what ends them."""

import math
from collections.abc import Iterable
from dataclasses import replace

from bridge.sim.slurm import batch, het
from bridge.sim.slurm.cores import Cores
from bridge.sim.slurm.errors import (
    ALREADY_DONE,
    INVALID_NODE_NAME,
    JOB_NOT_ALTERABLE,
    Refused,
)
from bridge.sim.slurm.job import Job, Request, State
from bridge.sim.slurm.queueing import Queueing
from bridge.sim.slurm.script import Exit


class Running(Queueing):
    """Jobs that hold resources, and how they give them back."""

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

    def suspend(self, job_id: int, now: float) -> None:
        """scontrol suspend: others may use a running job's CPUs; its memory and GRES stay its.
        Raises Refused.
        """
        self.advance(now)
        for job in het.addressed(self.jobs, self.job(job_id)):
            if not job.running:
                raise Refused(JOB_NOT_ALTERABLE)
            self.table.give(job.id, job.shares, now)
            job.shares = tuple(replace(share, cpus=0, cores=Cores()) for share in job.shares)
            self.table.take(job.id, job.shares, whole=job.request.exclusive)
            del self._running[job.id]
            job.state = "SUSPENDED"
            self.lose(job.nodes, now)
            self._note(job, now)
        self._stir(now)

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

    def change(self, job: Job, request: Request) -> None:
        """What a job asks for from now on; licenses also while it runs."""
        if job.running:
            self.licenses.give(job.request.licenses)
            self.licenses.take(request.licenses)
        job.request = request

    def set_limit(self, job: Job, minutes: int | None, now: float) -> None:
        """Change the time limit, also of a running job."""
        job.request = replace(job.request, time_limit_min=minutes)
        if job.running:
            job.end_s = (now if minutes is None else job.start_s) + job.limit_s
            self._watch_limit(job)

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

    def lose(self, names: Iterable[str], now: float) -> None:
        """slurmctld tells these nodes something: those for which nobody answers are lost later.

        A sink answers: a slurmd at the address and the port that an external node has.
        """
        found = [self.table.get(name) for name in names]
        sinks = {
            (node.address, node.conf.port)
            for node in self.table
            if not node.conf.external and node.responding
        }
        wanted = [
            node
            for node in found
            if node is not None
            and node.conf.external
            and (node.address, node.conf.port) not in sinks
        ]

        def happen(_: float) -> None:
            for node in wanted:
                if self.table.get(node.name) is node:
                    node.responding = False
            self.table.changed()

        self._at(now + self.behaviour.lost_after_s, happen)

    # Ends

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
        self._running.pop(job.id, None)  # a suspended one is not among them

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
