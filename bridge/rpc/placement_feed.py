"""Brings what changes of pods' placements from the controller's state into the ledger.

Pods that still have our gate are left out: kube-scheduler does not ask for them, and a queue of
100,000 would be told of at each change of a reason.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from bridge import slurm
from bridge.clock import Clock
from bridge.controller.placements import Placements
from bridge.model.ids import GangId, NodeName, PodUid
from bridge.rpc.placement_ledger import PlacementLedger, Row
from bridge.state.kube_state import KubeState

_BURST_S = 0.02
"""Gangs change in bursts: one look for many."""


class PlacementFeed:
    """Told by `mark` which gangs changed; `changed` is set when the ledger has news."""

    def __init__(
        self,
        *,
        cluster: KubeState,
        placements: Placements,
        watcher: slurm.JobWatcher,
        ledger: PlacementLedger,
        clock: Clock,
    ) -> None:
        self._cluster = cluster
        self._placements = placements
        self._watcher = watcher
        self._clock = clock
        self.ledger = ledger
        self._marked: set[GangId] = set()
        self._pods_of: dict[GangId, frozenset[PodUid]] = {}
        """The pods of each gang that have rows."""
        self._dirty = asyncio.Event()
        self._polled_s = float("-inf")
        self._listeners: set[Callable[[], None]] = set()

    def mark(self, gang_id: GangId) -> None:
        """The gang was decided about, or its pods changed."""
        self._marked.add(gang_id)
        self._dirty.set()

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """`callback` is called when the ledger has news. Gives what ends that."""
        self._listeners.add(callback)
        return lambda: self._listeners.discard(callback)

    async def run(self) -> None:
        """Look soon after each change, until cancelled."""
        while True:
            await self._dirty.wait()
            await self._clock.sleep(_BURST_S)
            if self.refresh():
                for callback in tuple(self._listeners):
                    callback()

    def refresh(self) -> bool:
        """Takes in what was marked, and which jobs Slurm runs; True if that is news."""
        self._dirty.clear()
        marked, self._marked = self._marked, set()
        revision = self.ledger.cursor
        if self._watcher.seen_s != self._polled_s:
            self._polled_s = self._watcher.seen_s
            marked.update(row.gang for row in self._outdated())
        for gang_id in marked:
            self._take(gang_id)
        return self.ledger.cursor != revision

    def _outdated(self) -> list[Row]:
        """The rows that say something else of whether their job runs than Slurm's last list."""
        return [
            row
            for _, row in self.ledger.rows.values()
            if row.job_id is not None and row.is_running != self._runs(row)
        ]

    def _runs(self, row: Row) -> bool:
        watched = self._watcher.jobs.get(row.job_id) if row.job_id is not None else None
        return watched is not None and watched.job.running and watched.in_step

    def _take(self, gang_id: GangId) -> None:
        rows = {}
        for pod in self._cluster.pods_of(gang_id):
            known = None if pod.gated_by_us or pod.ended else self._placements.of(pod.uid)
            if known is not None:
                row = Row(
                    pod=pod.uid,
                    node=known.node or NodeName(""),
                    job_id=known.job_id,
                    gang=gang_id,
                    waits_for=known.waits_for,
                )
                rows[pod.uid] = replace(row, is_running=self._runs(row))
        for row in rows.values():
            self.ledger.put(row)
        for uid in self._pods_of.pop(gang_id, frozenset()) - rows.keys():
            known_row = self.ledger.rows.get(uid)
            if known_row is not None and known_row[1].gang == gang_id:
                self.ledger.drop(uid)
        if rows:
            self._pods_of[gang_id] = frozenset(rows)
