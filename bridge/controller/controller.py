"""Drives every gang of this bridge.

All gangs are driven from one event loop, so nothing here needs a lock. Those who watch the cluster
tell `changes`, the watcher of jobs tells the job index; requests run in two pools (API server,
slurmrestd), and each request ends in at most one event for its gang, whatever happened to it.
"""

import asyncio
from collections.abc import Collection

from bridge.controller.advice import Advice
from bridge.controller.fault_handler import FaultHandler
from bridge.controller.gang_notes import GangNotes
from bridge.controller.held_pods import HeldPods
from bridge.controller.job_sweep import JobSweep
from bridge.controller.lacking_gangs import LackingGangs
from bridge.controller.parts import GangParts, GangRules, JobParts, PodParts, Surroundings
from bridge.controller.performer import Performer
from bridge.controller.placements import Placements
from bridge.controller.reconciler import Reconciler
from bridge.controller.recovery import Recovery
from bridge.controller.start_notice import StartNotice
from bridge.model.capacity import GangNeed
from bridge.model.ids import GangId


class GangController:
    """The controller: its parts, connected, and what other packages may ask of them.

    `changes` is told what changed in the cluster, `placements` is asked by the extender, `gangs`
    are the machines, `loop` hands events to them, `notes` are for people who ask, and `recovery`
    runs once everything has been listed.
    """

    def __init__(self, around: Surroundings, rules: GangRules) -> None:
        of_gangs = GangParts(around)
        of_pods = PodParts(around, rules, of_gangs)
        of_jobs = JobParts(around, rules, of_gangs, of_pods)
        self.gangs = of_gangs.gangs
        self.changes = of_gangs.changes
        self.loop = of_gangs.loop
        self._lacking = LackingGangs(of_gangs.gangs, of_jobs.of_gangs.need)
        self._turns = of_gangs.turns
        self.notes = GangNotes(faults=of_gangs.faults, gang_jobs=of_jobs.of_gangs)
        self._notice = StartNotice(
            cluster=around.cluster,
            gate=of_jobs.gate,
            pods=of_pods.writer,
            problem=lambda: around.watcher.problem,
            clock=around.clock,
        )
        self._pools = (of_pods.pool, of_jobs.pool)
        self._gate = of_jobs.gate
        self._reconciler = _reconciler(around, rules, of_gangs, of_pods, of_jobs)
        self.placements = Placements(
            cluster=around.cluster,
            gangs=of_gangs.gangs,
            faults=of_gangs.faults,
            client=around.client,
            watcher=around.watcher,
            holds=of_pods.placer.holds,
            is_mine=of_jobs.index.is_mine,
        )
        self.recovery = _recovery(around, of_gangs, of_pods, of_jobs, self._reconciler)
        _connect(around, of_gangs, of_pods, of_jobs, self._reconciler)

    @property
    def recovered(self) -> bool:
        """Whether the gangs may decide."""
        return self._gate.is_open

    def lacking_nodes(self, asked: Collection[GangId]) -> list[GangNeed] | None:
        """The needs of gangs that lack nodes, see `LackingGangs.look`; None until gangs decide."""
        return self._lacking.look(asked) if self._gate.is_open else None

    @property
    def alive_s(self) -> float:
        """Seconds since the loop that drives the gangs last went round."""
        return self._turns.alive_s

    async def run(self) -> None:
        """Drive the gangs until cancelled."""
        async with asyncio.TaskGroup() as group:
            for pool in self._pools:
                group.create_task(pool.run())
            group.create_task(self._turns.run(self._reconciler.take_turn))
            group.create_task(self._notice.run())

    async def drain(self) -> None:
        """Start no more requests; return when those in flight are answered."""
        await asyncio.gather(*(pool.drain() for pool in self._pools))


def _reconciler(
    around: Surroundings,
    rules: GangRules,
    of_gangs: GangParts,
    of_pods: PodParts,
    of_jobs: JobParts,
) -> Reconciler:
    return Reconciler(
        cluster=around.cluster,
        gangs=of_gangs.gangs,
        faults=of_gangs.faults,
        index=of_jobs.index,
        canceller=of_jobs.canceller,
        gate=of_jobs.gate,
        changes=of_gangs.changes,
        advice=Advice(cluster=around.cluster, events=of_pods.events),
        handle=of_gangs.loop.handle,
        failed=of_gangs.loop.failed,
        tuning=rules.tuning,
    )


def _recovery(
    around: Surroundings,
    of_gangs: GangParts,
    of_pods: PodParts,
    of_jobs: JobParts,
    reconciler: Reconciler,
) -> Recovery:
    sweep = JobSweep(
        proof=of_gangs.proof,
        client=around.client,
        watcher=around.watcher,
        cluster=around.cluster,
        gangs=of_gangs.gangs,
        faults=of_gangs.faults,
        index=of_jobs.index,
        canceller=of_jobs.canceller,
        recorder=around.recorder,
        clock=around.clock,
    )
    held = HeldPods(
        cluster=around.cluster,
        gangs=of_gangs.gangs,
        claims=of_gangs.claims,
        events=of_pods.events,
    )
    return Recovery(
        cluster=around.cluster,
        gangs=of_gangs.gangs,
        gate=of_jobs.gate,
        sweep=sweep,
        held=held,
        reconcile=reconciler.reconcile,
        mark_dirty=of_gangs.changes.mark_dirty,
        nodes_changed=of_gangs.changes.nodes_changed,
        clock=around.clock,
    )


def _connect(
    around: Surroundings,
    of_gangs: GangParts,
    of_pods: PodParts,
    of_jobs: JobParts,
    reconciler: Reconciler,
) -> None:
    """Closes the circle: instructions are performed, and what comes of them is events again."""
    of_gangs.changes.connect(
        freed=of_jobs.of_gangs.freed, uses_changed=of_jobs.room_watch.pods_changed
    )
    of_gangs.proof.connect(split_off=reconciler.split_off)
    performer = Performer(
        gang_jobs=of_jobs.of_gangs,
        submitter=of_jobs.submitter,
        updater=of_jobs.updater,
        shrinker=of_jobs.shrinker,
        canceller=of_jobs.canceller,
        placer=of_pods.placer,
        pods=of_pods.writer,
        events=of_pods.events,
        changes=of_gangs.changes,
        timers=of_gangs.timers,
        handle=of_gangs.loop.handle,
        forget=reconciler.forget,
    )
    faults = FaultHandler(
        faults=of_gangs.faults,
        gangs=of_gangs.gangs,
        timers=of_gangs.timers,
        cluster=around.cluster,
        pods=of_pods.writer,
        events=of_pods.events,
        mark_dirty=of_gangs.changes.mark_dirty,
        metrics=around.metrics,
        clock=around.clock,
    )
    of_gangs.loop.connect(perform=performer.perform, set_aside=faults.set_aside)
