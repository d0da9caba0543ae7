"""Hands each instruction to the part that performs it."""

from collections.abc import Callable
from functools import partial

from bridge.controller.cluster_changes import ClusterChanges
from bridge.controller.gang_jobs import GangJobs
from bridge.controller.job_canceller import JobCanceller
from bridge.controller.job_shrinker import JobShrinker
from bridge.controller.job_submitter import JobSubmitter
from bridge.controller.job_updater import JobUpdater
from bridge.controller.placer import Placer
from bridge.controller.pod_events import PodEvents
from bridge.controller.pod_writer import PodWriter
from bridge.controller.timers import Timers
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.lifecycle.machine import GangMachine
from bridge.model.ids import GangId


class Performer:
    """Knows which part performs what. `handle` takes an instruction's result, if it comes at once;
    `forget` drops a gang that is over."""

    def __init__(
        self,
        *,
        gang_jobs: GangJobs,
        submitter: JobSubmitter,
        updater: JobUpdater,
        shrinker: JobShrinker,
        canceller: JobCanceller,
        placer: Placer,
        pods: PodWriter,
        events: PodEvents,
        changes: ClusterChanges,
        timers: Timers,
        handle: Callable[[GangId, ev.Event], None],
        forget: Callable[[GangId], None],
    ) -> None:
        self._gang_jobs = gang_jobs
        self._submitter = submitter
        self._updater = updater
        self._shrinker = shrinker
        self._canceller = canceller
        self._placer = placer
        self._pods = pods
        self._events = events
        self._changes = changes
        self._timers = timers
        self._handle = handle
        self._forget = forget

    def perform(self, machine: GangMachine, instruction: do.Instruction) -> None:
        """Performs one instruction. Raises only what a mistake of ours raises."""
        gang_id = machine.id
        match instruction:
            case do.SubmitJob(gang):
                self._submitter.submit(gang_id, instruction, tenant=gang.namespace)
            case do.RebuildJob():
                self._gang_jobs.rebuild(gang_id, instruction)
            case do.UpdateJob():
                tenant = self._changes.tenant_of(gang_id)
                self._updater.update(gang_id, instruction, tenant=tenant)
            case do.ShrinkJob():
                tenant = self._changes.tenant_of(gang_id)
                self._shrinker.shrink(gang_id, instruction, tenant=tenant)
            case do.CancelJob():
                self._canceller.cancel(instruction, tenant=self._changes.tenant_of(gang_id))
            case do.AvoidNode():
                self._gang_jobs.avoid(gang_id, instruction)
            case do.PlaceGang():
                self._handle(gang_id, self._placer.place(machine, instruction))
            case do.PinPod():
                self._pin(gang_id, instruction)
            case do.QueueAlone(pod):
                self._changes.split_off(pod.uid)
            case do.EndPods() | do.FailPod() | do.SetCondition():
                self._pods.write(gang_id, instruction)
            case do.EmitEvent():
                self._events.tell(instruction)
            case do.Wake(after_s):
                self._timers.wake(gang_id, after_s, partial(self._handle, gang_id, ev.Tick()))
            case do.Forget():
                self._forget(gang_id)

    def _pin(self, gang_id: GangId, instruction: do.PinPod) -> None:
        misfit = self._placer.pin(instruction)
        if misfit is not None:
            self._handle(gang_id, misfit)
        else:
            self._pods.write(gang_id, instruction)
