"""Sets aside a gang that the bridge itself failed at, and starts it again after a while.

Whatever is raised while a gang is looked at, decided or performed is that gang's fault alone: its
machine is dropped, its pods are told, and what is true of it is found again in Slurm and in its
pods, as after a start.
"""

from collections.abc import Callable, Iterable
from functools import partial

import structlog

from bridge.clock import Clock
from bridge.controller.active_gangs import ActiveGangs
from bridge.controller.faults import Fault, Faults
from bridge.controller.pod_events import PodEvents
from bridge.controller.pod_writer import PodWriter
from bridge.controller.timers import Timers
from bridge.errors import InternalError
from bridge.lifecycle import instructions as do
from bridge.lifecycle import messages
from bridge.model.ids import GangId
from bridge.state.kube_state import KubeState
from bridge.telemetry import Metrics

log = structlog.get_logger(__name__)


class FaultHandler:
    """`mark_dirty` gives gangs their turns."""

    def __init__(
        self,
        *,
        faults: Faults,
        gangs: ActiveGangs,
        timers: Timers,
        cluster: KubeState,
        pods: PodWriter,
        events: PodEvents,
        mark_dirty: Callable[[Iterable[GangId]], None],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._faults = faults
        self._gangs = gangs
        self._timers = timers
        self._cluster = cluster
        self._pods = pods
        self._events = events
        self._mark_dirty = mark_dirty
        self._metrics = metrics
        self._clock = clock

    def set_aside(self, gang_id: GangId, error: Exception) -> None:
        """Sets the gang aside, because `error` was raised for it."""
        cause = error.__cause__ if isinstance(error, InternalError) else None
        fault, is_new = self._faults.add(gang_id, cause or error, self._clock.monotonic())
        self._metrics.gang_faults.inc()
        if is_new:
            log.error(
                "gang.failed", gang=gang_id, failures=fault.failures, retry_s=fault.delay_s,
                exc_info=cause or error,
            )  # fmt: skip
        self._gangs.drop(gang_id)
        self._timers.wake(gang_id, fault.delay_s, partial(self._begin_anew, gang_id))
        self._tell(gang_id, fault)

    def _tell(self, gang_id: GangId, fault: Fault) -> None:
        waiting = [pod for pod in self._cluster.pods_of(gang_id) if pod.waits_for_place]
        condition = messages.waits("InternalError", fault.sentence)
        for pod in waiting:
            self._cluster.unpin(pod)
            if pod.allocated != condition:
                self._pods.write(gang_id, do.SetCondition(pod, condition))
        for pod in waiting[:1]:
            self._events.tell(do.EmitEvent(pod, "Warning", "InternalError", fault.sentence))

    def _begin_anew(self, gang_id: GangId) -> None:
        self._faults.take_back(gang_id)
        self._mark_dirty({gang_id, *self._cluster.take_in_again(gang_id)})
