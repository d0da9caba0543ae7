"""Finds again which Slurm job belongs to which gang: after a start, and after lost answers.

Pods name their jobs (a pinned one in its label, a queued one in its `Allocated` condition): these
are read first, by the watcher, and a gang decides nothing before (`JobClaims`). Then all other jobs
are looked through (`JobSweep`), and the gangs decide.

The sweep goes on after the start, for what was lost later: an answer to a submit, a crash between
submit and label.
"""

from collections.abc import Callable, Iterable

import structlog

from bridge.clock import Clock
from bridge.controller.active_gangs import ActiveGangs
from bridge.controller.held_pods import HeldPods
from bridge.controller.job_sweep import JobSweep
from bridge.controller.start_gate import StartGate
from bridge.errors import BridgeError
from bridge.model.ids import GangId
from bridge.state.kube_state import KubeState

log = structlog.get_logger(__name__)

_LOOK_S = 0.05
_RESOLVE_S = 30.0
"""How long a start waits until the gangs of all pods are known."""
_SLURM_AWAY_S = 1.0


class Recovery:
    """Recovers after a start. `reconcile` brings a gang up to date, `mark_dirty` gives gangs their
    turns, `nodes_changed` has all waiting jobs compared with the nodes."""

    def __init__(
        self,
        *,
        cluster: KubeState,
        gangs: ActiveGangs,
        gate: StartGate,
        sweep: JobSweep,
        held: HeldPods,
        reconcile: Callable[[GangId], None],
        mark_dirty: Callable[[Iterable[GangId]], None],
        nodes_changed: Callable[[], None],
        clock: Clock,
        interval_s: float = 5.0,
    ) -> None:
        self._cluster = cluster
        self._gangs = gangs
        self._gate = gate
        self._sweep = sweep
        self._held = held
        self._reconcile = reconcile
        self._mark_dirty = mark_dirty
        self._nodes_changed = nodes_changed
        self._clock = clock
        self._interval_s = interval_s

    async def run(self) -> None:
        """Once all reflectors and the watcher have synced: recover, then sweep until cancelled."""
        await self._recover()
        while True:
            await self._clock.sleep(self._interval_s)
            self._mark_dirty(self._cluster.settle_missing())
            self._held.tell()
            try:
                await self._sweep.run_once()
            except BridgeError as error:
                log.debug("sweep.failed", error=str(error))

    async def _recover(self) -> None:
        await self._resolve_gangs()
        for gang_id in list(self._cluster.gangs):
            self._reconcile(gang_id)
        while True:
            try:
                await self._sweep.run_once()
                break
            except BridgeError as error:
                log.warning("recovery.waits_for_slurm", error=str(error))
                await self._clock.sleep(_SLURM_AWAY_S)
        self._gate.open()
        self._nodes_changed()
        log.info("recovery.finished", gangs=len(self._gangs.machines))

    async def _resolve_gangs(self) -> None:
        """For a while: nearly all gangs are known in a moment, and those that can't be, because the
        API server does not tell of their owners' kind, must not keep all others from starting."""
        began_s = settled_s = self._clock.monotonic()
        while left := self._cluster.unresolved:
            await self._clock.sleep(_LOOK_S)
            now_s = self._clock.monotonic()
            if now_s - settled_s >= self._interval_s:
                self._cluster.settle_missing()
                settled_s = now_s
            if now_s - began_s >= _RESOLVE_S:
                log.warning("recovery.goes_on_without", pods=[pod.key for pod in left[:5]])
                return
