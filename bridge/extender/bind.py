"""The last look before a pod starts: does Slurm still run the job that placed it?

Between filter and bind the job may have been cancelled. The poller's word counts while it is
fresh; after that Slurm itself is asked, once for all pods of a job. No answer, no binding:
kube-scheduler tries again, and nothing ever starts on nodes that Slurm gave to somebody else.
"""

import asyncio
from typing import Final

from bridge.clock import Clock
from bridge.errors import Unreachable
from bridge.extender import filter as filtering
from bridge.extender import wire
from bridge.extender.contracts import Binder, Placements
from bridge.kube.api import errors as kube_errors
from bridge.model.ids import SlurmJobId
from bridge.model.pod_placement import PodPlacement

FRESH_S: Final = 2.0
"""How long it counts that a job was seen running."""


class Binding:
    """Binds pods for kube-scheduler. `timeout_s` bounds the question to Slurm, below
    kube-scheduler's own 5 s: an answer that nobody waits for helps nobody."""

    def __init__(
        self, *, placements: Placements, binder: Binder, clock: Clock, timeout_s: float = 3.0
    ) -> None:
        self._placements = placements
        self._binder = binder
        self._clock = clock
        self._timeout_s = timeout_s
        self._asking: dict[SlurmJobId | None, asyncio.Future[bool]] = {}
        self._confirmed_s: dict[SlurmJobId | None, float] = {}

    async def bind(self, call: wire.BindCall) -> str:
        """Bind, or say in a sentence why not ("" when bound)."""
        placement = self._placements.of(call.uid)
        reason = _not_here(call, placement)
        if reason or placement is None:
            return reason
        reason = await self._not_running(placement)
        if reason:
            return reason
        now = self._placements.of(call.uid)
        if now is None or (now.node, now.job_id) != (placement.node, placement.job_id):
            return (
                f"pod {call.namespace}/{call.name} was about to be bound to {call.node} when "
                f"its allocation changed ({filtering.job(placement)}); it is retried automatically"
            )
        return await self._post(call)

    async def _not_running(self, placement: PodPlacement) -> str:
        """ "" when the job was seen running just now; else why the pod can't be bound."""
        now_s = self._clock.monotonic()
        seen_s = max(
            placement.running_seen_s, self._confirmed_s.get(placement.job_id, float("-inf"))
        )
        if now_s - seen_s <= FRESH_S:
            return ""
        job = filtering.job(placement)
        try:
            running = await self._ask(placement)
        except TimeoutError:
            return (
                f"Slurm did not say within {self._timeout_s:g} s whether {job} still runs, so the "
                "pod is not bound; it is retried automatically"
            )
        except Unreachable as error:
            return (
                f"can't ask Slurm whether {job} still runs, so the pod is not bound: {error}; it "
                "is retried automatically"
            )
        if not running:
            return f"{job} does not run any more; the pod waits for its next allocation"
        self._remember(placement.job_id, now_s)
        return ""

    async def _ask(self, placement: PodPlacement) -> bool:
        """One question per job at a time, however many of its pods are bound at once: the first
        asks, the others wait for its answer (or its error)."""
        asked = self._asking.get(placement.job_id)
        if asked is not None:
            return await asyncio.shield(asked)
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asking[placement.job_id] = answer
        try:
            async with asyncio.timeout(self._timeout_s):
                running = await self._placements.confirm(placement)
        except BaseException as error:
            shared = isinstance(error, Exception)
            answer.set_exception(error if shared else Unreachable("the question was given up"))
            answer.exception()  # read, also when nobody else waits for it
            raise
        else:
            answer.set_result(running)
            return running
        finally:
            del self._asking[placement.job_id]

    def _remember(self, job_id: SlurmJobId | None, now_s: float) -> None:
        old = [job for job, seen_s in self._confirmed_s.items() if now_s - seen_s > FRESH_S]
        for job in old:
            del self._confirmed_s[job]
        self._confirmed_s[job_id] = now_s

    async def _post(self, call: wire.BindCall) -> str:
        what = f"binding pod {call.namespace}/{call.name} to node {call.node}"
        try:
            await self._binder.bind(
                namespace=call.namespace, name=call.name, uid=call.uid, node=call.node
            )
        except kube_errors.Conflict as error:
            return await self._bound_already(call, what, error)
        except (kube_errors.KubeError, Unreachable) as error:
            return f"{what}: {error}; it is retried automatically"
        return ""

    async def _bound_already(
        self, call: wire.BindCall, what: str, conflict: kube_errors.Conflict
    ) -> str:
        """A 409 is success when an earlier try of ours was done after all."""
        try:
            node = await self._binder.node_of(
                namespace=call.namespace, name=call.name, uid=call.uid
            )
        except (kube_errors.KubeError, Unreachable) as error:
            return (
                f"{what}: {conflict}; and reading the pod again: {error}; it is retried "
                "automatically"
            )
        if node == call.node:
            return ""
        where = f"it is bound to {node}" if node else "it is now another pod, or still gated"
        return f"{what}: {where} ({conflict})"


def _not_here(call: wire.BindCall, placement: PodPlacement | None) -> str:
    """ "" when the placement gives the pod this node; else why it must not be bound to it."""
    if placement is None or placement.node is None:
        return filtering.waiting(placement)
    if placement.node != call.node:
        return (
            f"{filtering.job(placement)} holds node {placement.node} for this pod, not "
            f"{call.node}, so the pod is not bound; it is retried automatically"
        )
    return ""
