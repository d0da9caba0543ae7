"""The cluster: nodes, partitions and jobs, and what happens to them as time goes by.

Pure: no clock, no I/O. Every operation is told the time (`now`, seconds since the epoch) and first
lets happen what was due before. `advance(now)` does only that, so an observer may look at any time.

A class in layers, each of which knows those before it: `core` what there is, `queueing` jobs that
wait, `running` jobs that run and end, `inventory` nodes and reservations; here the schedulers.
"""

import heapq
import math

from bridge.sim.slurm import licenses as pool
from bridge.sim.slurm import scheduler
from bridge.sim.slurm.core import FIRST_PRIORITY
from bridge.sim.slurm.inventory import Inventory

_DECISIONS = 10


class Cluster(Inventory):
    """One Slurm cluster."""

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
