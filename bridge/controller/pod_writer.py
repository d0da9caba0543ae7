"""What is written to pods: the pin, the condition, the end. One request, one answer to the machine.

An outage of the API server is told once for all pods; a refusal is told for the pod it meets.
"""

from collections.abc import Callable, Iterable

import structlog

from bridge import names
from bridge.clock import Clock
from bridge.errors import BridgeError, Unreachable
from bridge.kube import events as kube_events
from bridge.kube import pods as kube_pods
from bridge.kube.client import KubeClient
from bridge.kube.errors import Conflict, NotFound
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.model.ids import GangId
from bridge.model.pod import Pod
from bridge.model.scheduling import Taint
from bridge.state.cluster import Cluster
from bridge.telemetry import Metrics, OutageLog

log = structlog.get_logger(__name__)

_REQUESTS = "requests"
"""Whose failures these are in the account of an outage: not the watches'."""


class PodWriter:
    """Performs instructions about pods; `handle` takes what came of them, `touch` changed gangs."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        kube: KubeClient,
        recorder: kube_events.EventRecorder,
        scheduler_name: str,
        outage: OutageLog,
        metrics: Metrics,
        clock: Clock,
        handle: Callable[[GangId, ev.Event], None],
        touch: Callable[[Iterable[GangId]], None],
    ) -> None:
        self._cluster = cluster
        self._kube = kube
        self._recorder = recorder
        self._managed = Taint(names.MANAGED_NODE_TAINT, scheduler_name, "NoExecute")
        self._scheduler_name = scheduler_name
        self._outage = outage
        self._metrics = metrics
        self._clock = clock
        self._handle = handle
        self._touch = touch

    async def pin(self, gang_id: GangId, instruction: do.PinPod) -> None:
        """The one patch that pins and ungates; answers with PinEnded."""
        pod, row, error = instruction.pod, None, ""
        began_s = self._clock.monotonic()
        for _ in range(4):
            try:
                if not self._tolerates_managed_nodes(pod):
                    pod = await kube_pods.add_toleration(self._kube, pod, self._scheduler_name)
                row = await kube_pods.pin(
                    self._kube,
                    pod,
                    node=instruction.node,
                    job_id=instruction.job_id,
                    gang=instruction.gang or "",
                )
            except Conflict:
                newest = await self._read(pod)
                if newest is None:
                    error = "it is gone"
                    break
                pod = newest
            except NotFound:
                error = "it is gone"
                break
            except BridgeError as failure:
                error = str(failure)
                self._kubernetes_failed("pod.pin_failed", pod, failure)
                break
            else:
                self._outage.answered(to=_REQUESTS)
                self._cluster.answered(row)
                row = self._cluster.pods.get(row.uid)  # the watch may know a newer one, or its end
                break
        else:
            error = "it changed at every attempt"
        if error:
            log.debug("pod.not_pinned", pod=pod.key, error=error)
            self._cluster.unpin(pod)
        outcome = "failed" if error else "pinned"
        self._metrics.patch_seconds.labels(outcome).observe(self._clock.monotonic() - began_s)
        self._handle(gang_id, ev.PinEnded(pod.uid, row, error))

    def _tolerates_managed_nodes(self, pod: Pod) -> bool:
        return any(one.tolerates(self._managed) for one in pod.shape.tolerations)

    async def _read(self, pod: Pod) -> Pod | None:
        """The pod as the API server has it now; None when it is gone (or another by that name)."""
        try:
            raw = await self._kube.get(f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}")
            newest = kube_pods.newer(raw, than=pod)
        except BridgeError:
            return None
        return newest if newest.uid == pod.uid else None

    async def end(self, pod: Pod, instruction: do.EndPods) -> None:
        """Tell the pod (DisruptionTarget) and delete it with its grace."""
        log.info("pod.ended_by_slurm", pod=pod.key, reason=instruction.reason)
        self._tell_of_end(pod, instruction.reason, instruction.message, action="Delete")
        try:
            await kube_pods.mark_disrupted(
                self._kube, pod, reason=instruction.reason, message=instruction.message
            )
            await kube_pods.delete(self._kube, pod)
        except NotFound:
            return
        except BridgeError as error:
            self._kubernetes_failed("pod.delete_failed", pod, error)

    async def fail(self, instruction: do.FailPod) -> None:
        """Set the pod to Failed: nobody would make it anew."""
        pod = instruction.pod
        log.warning("pod.failed_by_bridge", pod=pod.key, why=instruction.message)
        self._tell_of_end(pod, instruction.reason, instruction.message, action="Fail")
        try:
            row = await kube_pods.fail(
                self._kube, pod, reason=instruction.reason, message=instruction.message
            )
            self._touch(self._cluster.answered(row))
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

    def tell(self, instruction: do.EmitEvent) -> None:
        """An event on a pod."""
        self._recorder.emit(
            regarding=_reference(instruction.pod),
            type=instruction.type,
            reason=instruction.reason,
            note=instruction.note,
            action="Wait",
        )

    def _tell_of_end(self, pod: Pod, reason: str, message: str, *, action: str) -> None:
        self._recorder.emit(
            regarding=_reference(pod), type="Warning", reason=reason, note=message, action=action
        )

    async def set_condition(self, gang_id: GangId, instruction: do.SetCondition) -> None:
        """Write the pod's `Allocated` condition."""
        try:
            row = await kube_pods.set_condition(self._kube, instruction.pod, instruction.condition)
            self._outage.answered(to=_REQUESTS)
            self._metrics.condition_writes.inc()
            self._touch(self._cluster.answered(row))
        except NotFound:
            return
        except BridgeError as error:
            self._kubernetes_failed("pod.condition_failed", instruction.pod, error)
            self._handle(gang_id, ev.NotTold(instruction.pod.uid))


def _reference(pod: Pod) -> kube_events.ObjectRef:
    return kube_events.ObjectRef(
        kind="Pod", api_version="v1", namespace=pod.namespace, name=pod.name, uid=pod.uid
    )
