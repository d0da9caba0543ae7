"""Writes to pods: the pin, the condition, the end. Each request has one answer to the machine.

An outage of the API server is told once for all pods; a refusal is told for the pod it meets.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Literal

import structlog

from bridge.clock import Clock
from bridge.controller.pod_events import PodEvents
from bridge.controller.pool import Pool, Work
from bridge.errors import BridgeError, Unreachable
from bridge.kube.api.client import KubeClient
from bridge.kube.api.errors import Conflict, NotFound
from bridge.kube.objects import pods as kube_pods
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.model.ids import GangId
from bridge.model.pod import Pod
from bridge.model.scheduling import Taint, Toleration
from bridge.state.kube_state import KubeState
from bridge.telemetry import Metrics, OutageLog

log = structlog.get_logger(__name__)

_PIN, _END, _TELL = 0, 1, 5
_ATTEMPTS = 4
_REQUESTS = "requests"
"""The name of these requests in the outage log; watches have another name."""

KeptPods = Literal["gangs", "all", "none"]
"""The pods whose nodes autoscalers are asked not to remove."""
Written = do.PinPod | do.EndPods | do.FailPod | do.SetCondition


class PodWriter:
    """Performs instructions about pods, a few at a time; namespaces take turns.

    `handle` takes the results, `failed` errors of a gang that are mistakes of ours;
    `mark_dirty` is told of gangs whose pods have changed.
    """

    def __init__(
        self,
        *,
        cluster: KubeState,
        kube: KubeClient,
        pool: Pool,
        events: PodEvents,
        scheduler_name: str,
        kept: KeptPods,
        handle: Callable[[GangId, ev.Event], None],
        failed: Callable[[GangId, Exception], None],
        mark_dirty: Callable[[Iterable[GangId]], None],
        outage: OutageLog,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._cluster = cluster
        self._kube = kube
        self._pool = pool
        self._events = events
        self._tolerations = (
            (Taint.managed(scheduler_name), Toleration.managed(scheduler_name)),
            (Taint.drained(), Toleration.drained()),
        )
        self._kept = kept
        self._handle = handle
        self._failed = failed
        self._mark_dirty = mark_dirty
        self._outage = outage
        self._metrics = metrics
        self._clock = clock

    def write(self, gang_id: GangId, instruction: Written) -> None:
        """Performs the instruction in the namespace's turn. Pins and ends go before conditions."""
        match instruction:
            case do.PinPod(pod):
                self._add(gang_id, pod, partial(self.pin, gang_id, instruction), _PIN)
            case do.EndPods(pods):
                for pod in pods:
                    self._add(gang_id, pod, partial(self.end, pod, instruction), _END)
            case do.FailPod(pod):
                self._add(gang_id, pod, partial(self.fail, instruction), _END)
            case do.SetCondition(pod):
                self._add(gang_id, pod, partial(self.set_condition, gang_id, instruction), _TELL)

    def _add(self, gang_id: GangId, pod: Pod, work: Work, urgency: int) -> None:
        failed = partial(self._failed, gang_id)
        self._pool.add(work, tenant=pod.namespace, urgency=urgency, failed=failed)

    async def pin(self, gang_id: GangId, instruction: do.PinPod) -> None:
        """The one patch that pins and ungates; answers with PinEnded."""
        pod, row, error = instruction.pod, None, "the pod changed at every attempt"
        began_s = self._clock.monotonic()
        for _ in range(_ATTEMPTS):
            try:
                row, error = await self._patch(pod, instruction), ""
            except Conflict:
                newest = await self._read(pod)
                if newest is not None:
                    pod = newest
                    continue
                error = "it is gone"
            except NotFound:
                error = "it is gone"
            except BridgeError as failure:
                error = str(failure)
                self._kubernetes_failed("pod.pin_failed", pod, failure)
            break
        if row is not None:
            self._outage.answered(to=_REQUESTS)
            self._cluster.answered(row)
            row = self._cluster.pods.get(row.uid)  # the watch may know a newer one, or its end
        if error:
            log.debug("pod.not_pinned", pod=pod.key, error=error)
            self._cluster.unpin(pod)
        outcome = "failed" if error else "pinned"
        self._metrics.patch_seconds.labels(outcome).observe(self._clock.monotonic() - began_s)
        self._handle(gang_id, ev.PinEnded(pod.uid, row, error))

    async def _patch(self, pod: Pod, instruction: do.PinPod) -> Pod:
        lacking = [
            toleration
            for taint, toleration in self._tolerations
            if not any(one.tolerates(taint) for one in pod.shape.tolerations)
        ]
        if lacking:
            pod = await kube_pods.add_tolerations(self._kube, pod, lacking)
        return await kube_pods.pin(
            self._kube,
            pod,
            node=instruction.node,
            job_id=instruction.job_id,
            gang=instruction.gang or "",
            keep=self._kept == "all" or (self._kept == "gangs" and bool(instruction.gang)),
        )

    async def _read(self, pod: Pod) -> Pod | None:
        """The pod as the API server has it now; None when it is gone (or another by that name)."""
        try:
            raw = await self._kube.get(f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}")
            newest = kube_pods.newer(raw, than=pod)
        except BridgeError:
            return None
        return newest if newest.uid == pod.uid else None

    async def end(self, pod: Pod, instruction: do.EndPods) -> None:
        """Tell the pod (DisruptionTarget) and delete it with its grace, or the one that is left."""
        log.info("pod.ended_by_slurm", pod=pod.key, reason=instruction.reason)
        self._events.tell_of_end(pod, instruction.reason, instruction.message, action="Delete")
        try:
            await kube_pods.mark_disrupted(
                self._kube, pod, reason=instruction.reason, message=instruction.message
            )
            most_s = instruction.most_s
            is_less = most_s is not None and most_s < pod.grace_s
            await kube_pods.delete(self._kube, pod, grace_s=most_s if is_less else None)
        except NotFound:
            return
        except BridgeError as error:
            self._kubernetes_failed("pod.delete_failed", pod, error)

    async def fail(self, instruction: do.FailPod) -> None:
        """Set the pod to Failed: nobody would create it again."""
        pod = instruction.pod
        log.warning("pod.failed_by_bridge", pod=pod.key, why=instruction.message)
        self._events.tell_of_end(pod, instruction.reason, instruction.message, action="Fail")
        try:
            row = await kube_pods.fail(
                self._kube, pod, reason=instruction.reason, message=instruction.message
            )
            self._mark_dirty(self._cluster.answered(row))
        except NotFound:
            return
        except BridgeError as error:
            self._kubernetes_failed("pod.fail_failed", pod, error)

    def _kubernetes_failed(self, event: str, pod: Pod, error: BridgeError) -> None:
        """An outage is told once for all pods, a refusal for the pod it meets."""
        if isinstance(error, Unreachable):
            self._outage.failed(error, of=_REQUESTS)
        else:
            log.warning(event, pod=pod.key, error=str(error))

    async def set_condition(self, gang_id: GangId, instruction: do.SetCondition) -> None:
        """Write the pod's `Allocated` condition."""
        try:
            row = await kube_pods.set_condition(self._kube, instruction.pod, instruction.condition)
            self._outage.answered(to=_REQUESTS)
            self._metrics.condition_writes.inc()
            self._mark_dirty(self._cluster.answered(row))
        except NotFound:
            return
        except BridgeError as error:
            self._kubernetes_failed("pod.condition_failed", instruction.pod, error)
            self._handle(gang_id, ev.NotTold(instruction.pod.uid))
