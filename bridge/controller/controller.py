"""Performs what the machines decide, and tells them what came of it.

All machines are driven from one loop, so nothing here needs a lock: reflectors and the watcher
call `touch`, `job_seen` and `room_changed`, requests run in two pools (API server, slurmrestd),
and each request ends in exactly one event to its machine, whatever happened to it.

Whatever is raised while a gang is looked at, decided or performed is that gang's fault alone
(`Faults`): its machine is dropped and begun anew later. A machine that is begun anew decides when
Slurm has said whose the jobs are that its pods name (`Claims`): after a start, and after a fault.
"""

import asyncio
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import structlog

from bridge import names, slurm
from bridge.clock import Clock
from bridge.controller.faults import Faults
from bridge.controller.job_index import JobIndex
from bridge.controller.job_writer import JobWriter
from bridge.controller.placer import Placer
from bridge.controller.pod_writer import PodWriter
from bridge.controller.pool import Pool, Work
from bridge.controller.turns import Reasons, Turns
from bridge.errors import BadInput, InternalError
from bridge.jobs import identity, jobspec, tasks
from bridge.jobs.builder import JobBuilder
from bridge.jobs.node_constraints import NodeConstraints
from bridge.jobs.workload_status import WorkloadStatus, workload_status
from bridge.kube import events as kube_events
from bridge.kube.client import KubeClient
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.lifecycle import messages
from bridge.lifecycle.avoidance import Avoidance
from bridge.lifecycle.machine import GangMachine
from bridge.lifecycle.state import State
from bridge.lifecycle.tuning import Tuning
from bridge.model.gang import Gang
from bridge.model.ids import GangId, PodUid, SlurmJobId
from bridge.model.job import JobSpec
from bridge.model.pod import Pod
from bridge.model.verdict import Verdict
from bridge.state.cluster import Cluster
from bridge.state.slurm_side import SlurmSide
from bridge.telemetry import Metrics, OutageLog
from bridge.workloads import membership

log = structlog.get_logger(__name__)

_CLASS = re.compile(rf"{names.CLASS_FEATURE_PREFIX}\w+")
_PIN, _END, _TELL = 0, 1, 5


class GangController:
    """Drives every gang of this bridge."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        slurm_side: SlurmSide,
        client: slurm.SlurmClient,
        watcher: slurm.JobWatcher,
        kube: KubeClient,
        recorder: kube_events.EventRecorder,
        cluster_uid: str,
        scheduler_name: str,
        rules: jobspec.Rules,
        limits: tasks.Limits,
        tuning: Tuning,
        outage: OutageLog,
        kube_outage: OutageLog,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self.cluster = cluster
        self.machines: dict[GangId, GangMachine] = {}
        self.cluster_uid = cluster_uid
        self.watcher = watcher
        self.client = client
        self._side = slurm_side
        self._rules = rules
        self._tuning = tuning
        self._outage = outage
        self._metrics = metrics
        for state in State:
            metrics.gangs.labels(state.value).set_function(partial(self._count, state))
        self._clock = clock
        self._turns = Turns(self._take_turn, clock=clock)
        self._want_room: set[GangId] = set()
        self._faults = Faults()
        self._timers: dict[GangId, asyncio.TimerHandle] = {}
        self._inboxes: dict[GangId, deque[ev.Event]] = {}
        """Events of the gangs whose instructions are just being performed."""
        self._for_kube = Pool(workers=24)
        self._pods = PodWriter(
            cluster=cluster,
            kube=kube,
            recorder=recorder,
            scheduler_name=scheduler_name,
            outage=kube_outage,
            metrics=metrics,
            clock=clock,
            handle=self._handle,
            touch=self.touch,
        )
        self._node_constraints = NodeConstraints(
            cluster=cluster, slurm_side=slurm_side, resource_map=rules.resource_map
        )
        self._builder = JobBuilder(
            cluster_uid=cluster_uid,
            node_constraints=self._node_constraints,
            slurm_side=slurm_side,
            rules=rules,
            limits=limits,
            resolve=self._status_of,
        )
        self._jobs = JobWriter(
            client=client,
            watcher=watcher,
            build=self._spec,
            has_room=lambda gang: self._node_constraints.has_room(gang.shape, gang.size),
            follow=self._follow,
            handle=self._handle,
            failed=self._failed,
            outage=outage,
            metrics=metrics,
            clock=clock,
        )
        self._index = JobIndex(
            cluster_uid=cluster_uid,
            watcher=watcher,
            machines=self.machines,
            handle=self._handle,
            failed=self._failed,
            settled=self._release,
            over=self._jobs.forget,
            outage=outage,
            clock=clock,
        )
        self._placer = Placer(
            cluster=cluster, slurm_side=slurm_side, rules=rules, metrics=metrics, clock=clock
        )
        self._avoidance = Avoidance(for_s=tuning.avoid_s)
        self._advised: set[str] = set()
        self._recovered = False

    # -- what others tell us -------------------------------------------------------------------

    def touch(self, gang_ids: Iterable[GangId]) -> None:
        """These gangs' pods or owners have changed."""
        for gang_id in gang_ids:
            self._queue(gang_id, None)

    def volumes_changed(self, gang_ids: Iterable[GangId]) -> None:
        """Claims of these gangs' pods may have changed."""
        for gang_id in gang_ids:
            self._queue(gang_id, ev.VolumesChanged())

    def _queue(self, gang_id: GangId, reason: ev.Event | None) -> None:
        """The gang has its turn, for this reason."""
        self._turns.add(gang_id, reason, tenant=self._tenant(gang_id))

    def _tenant(self, gang_id: GangId) -> str:
        """Whose turn it is in our queues: the gang's namespace."""
        members = self.cluster.members(gang_id)
        return members.line.pod.namespace if members is not None else ""

    def room_changed(self) -> None:
        """Some node has more room than before: gangs that wait for room look again."""
        for gang_id in self._want_room:
            self._queue(gang_id, ev.RoomChanged())

    def classes_changed(self) -> None:
        """Nodes joined, left or changed class: waiting jobs may run on other nodes now."""
        for gang_id in self.machines:
            self._queue(gang_id, ev.NodesChanged())

    def classes_in_use(self) -> frozenset[str]:
        """Node classes that waiting jobs name: no node may lose such a feature."""
        found: set[str] = set()
        for machine in self.machines.values():
            run = machine.known.run
            if run is not None and run.facts is not None and run.facts.waits:
                told = run.spec.constraints if run.spec else run.facts.constraints
                found.update(_CLASS.findall(told))
        return frozenset(found)

    # -- recovery's hooks ------------------------------------------------------------------------

    def adopt(self, gang_id: GangId, job_id: SlurmJobId, generation: int) -> None:
        """This job is the gang's: follow it."""
        self._index.follow(gang_id, job_id)
        self._handle(gang_id, ev.Adopted(job_id, generation))

    def has_job(self, job_id: SlurmJobId) -> bool:
        """Whether some gang follows this job already, or it is being read or cancelled."""
        return self._index.knows(job_id) or self._jobs.is_cancelling(job_id)

    def is_set_aside(self, gang_id: GangId) -> bool:
        """Whether the gang has pods and waits to be begun anew after a fault."""
        return self._faults.set_aside(gang_id) is not None and bool(self.cluster.pods_of(gang_id))

    def cancel_leak(self, job_id: SlurmJobId) -> None:
        """A job of this cluster that no gang needs."""
        self._jobs.cancel(do.CancelJob(job_id, "no gang needs it"), tenant="")

    def recovery_done(self) -> None:
        """From now on machines decide."""
        self._recovered = True
        for gang_id in list(self.machines):
            self._release(gang_id)
        self.classes_changed()

    def _release(self, gang_id: GangId) -> None:
        """The gang may decide, if it is known now what job it has."""
        machine = self.machines.get(gang_id)
        if machine is not None and machine.held and self._may_decide(gang_id):
            self._placer.pin_again(machine)
            machine.release()
            self._handle(gang_id, ev.Tick())

    def _may_decide(self, gang_id: GangId) -> bool:
        return self._recovered and not self._index.open_claims(gang_id)

    def tell_held(self) -> None:
        """Pods whose gang is held up by a job that can't be read are told so."""
        for gang_id, machine in self.machines.items():
            jobs = self._index.open_claims(gang_id)
            for pod in self.cluster.pods_of(gang_id)[:1] if machine.held and jobs else ():
                named = ", ".join(map(str, sorted(jobs)))
                note = (
                    f"Slurm has not told yet whose job {named} is, which the pods of this gang "
                    "name; nothing is done for them before. It is asked again automatically"
                )
                self._pods.tell(do.EmitEvent(pod, "Warning", "SlurmJobNotRead", note))

    @property
    def recovered(self) -> bool:
        """Whether the gangs decide yet."""
        return self._recovered

    @property
    def alive_s(self) -> float:
        """Seconds since the loop that drives the gangs last went round."""
        return self._turns.alive_s

    def look(self, gang_id: GangId) -> None:
        """Bring one gang's machine up to date with its pods and owner."""
        try:
            self._look(gang_id)
        except Exception as error:
            self._failed(gang_id, error)

    def _look(self, gang_id: GangId) -> None:
        joined = self.cluster.join_again(gang_id)
        self.touch((joined | self.cluster.look_at_volumes(gang_id)) - {gang_id})
        machine = self.machines.get(gang_id)
        pods = self.cluster.pods_of(gang_id)
        if machine is None:
            if not pods:
                self._forget_traces(gang_id)
                return
            if self._faults.set_aside(gang_id) is not None:
                return
            machine = self._begin(gang_id)
        if machine.held:
            self._index.claim(gang_id, pods)
            if self.machines.get(gang_id) is not machine:
                return  # a mistake of ours was met on the way
            if self._may_decide(gang_id):
                machine.release()
        gang, problem = None, ""
        try:
            gang = self.cluster.gang(gang_id)
        except BadInput as error:
            problem = str(error)
        members = self.cluster.members(gang_id)
        seats = dict(members.seats) if members is not None else {}
        will, unready = self._owner_will(gang_id), self.cluster.waits_for(gang_id)
        singletons = self.cluster.apart(gang_id)
        seen = ev.MembersSeen(gang, pods, will, problem, seats, unready, singletons)
        self._handle(gang_id, seen)

    def _begin(self, gang_id: GangId) -> GangMachine:
        """A gang that is new to us: by its pods, by a start of ours, or after a fault."""
        single = self.cluster.is_single(gang_id)
        if single:
            self._advise(gang_id)
        machine = GangMachine(gang_id, single=single, tuning=self._tuning)
        self.machines[gang_id] = machine
        for job_id in self._jobs_of_failed(gang_id):
            for event in self._index.story_of(job_id):
                self._handle(gang_id, event)
        return machine

    # -- faults of ours --------------------------------------------------------------------------

    def _failed(self, gang_id: GangId, error: Exception) -> None:
        """Set this gang aside, alone, and begin it anew after a while."""
        try:
            self._set_aside(gang_id, error)
        except Exception:
            log.exception("gang.not_set_aside", gang=gang_id)

    def _set_aside(self, gang_id: GangId, error: Exception) -> None:
        cause = error.__cause__ if isinstance(error, InternalError) else None
        fault, is_new = self._faults.add(gang_id, cause or error, self._clock.monotonic())
        self._metrics.gang_faults.inc()
        if is_new:
            log.error(
                "gang.failed", gang=gang_id, failures=fault.failures, retry_s=fault.delay_s,
                exc_info=cause or error,
            )  # fmt: skip
        self._drop(gang_id)
        loop = asyncio.get_running_loop()
        self._timers[gang_id] = loop.call_later(fault.delay_s, self._begin_anew, gang_id)
        waiting = [
            pod for pod in self.cluster.pods_of(gang_id)
            if pod.job_id is None and not pod.ended and not pod.deleting
        ]  # fmt: skip
        told = messages.waits("InternalError", fault.sentence)
        for pod in waiting:
            self.cluster.unpin(pod)
            if pod.allocated != told:
                self._for_pod(gang_id, do.SetCondition(pod, told))
        for pod in waiting[:1]:
            self._pods.tell(do.EmitEvent(pod, "Warning", "InternalError", fault.sentence))

    def _begin_anew(self, gang_id: GangId) -> None:
        self._timers.pop(gang_id, None)
        self._faults.take_back(gang_id)
        self.touch({gang_id, *self.cluster.take_in_again(gang_id)})

    def _jobs_of_failed(self, gang_id: GangId) -> list[SlurmJobId]:
        """The jobs that a gang had when the bridge failed at it."""
        return self._index.jobs_of(gang_id) if self._faults.knows(gang_id) else []

    def _forget_traces(self, gang_id: GangId) -> None:
        """The gang has no pods and no machine."""
        for job_id in self._jobs_of_failed(gang_id):
            self._index.let_go(job_id)
            self.cancel_leak(job_id)
        self._faults.forget(gang_id)
        self._index.forget_claims(gang_id)
        self.cluster.forget(gang_id)

    def _advise(self, gang_id: GangId) -> None:
        """Tell the author of a kind that we don't know, once, how its pods are queued."""
        members = self.cluster.members(gang_id)
        advice = membership.advice(members.line) if members is not None else ""
        if members is None or not advice or (top := members.line.owners[-1].uid) in self._advised:
            return
        self._advised.add(top)
        self._pods.tell(do.EmitEvent(members.line.pod, "Normal", "QueuedOneByOne", advice))

    def _owner_will(self, gang_id: GangId) -> ev.OwnerWill:
        members, holder = self.cluster.members(gang_id), self.cluster.holder_of(gang_id)
        if members is None or holder is None:
            return "creates"
        if members.over or holder.finished or holder.deleting:
            return "over"
        if not holder.known:
            return "unknown"
        return "suspended" if holder.suspended else "creates"

    # -- the loop --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Drive the gangs until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._for_kube.run())
            group.create_task(self._jobs.run())
            group.create_task(self._turns.run())

    async def drain(self) -> None:
        """Start no more requests; return when those in flight are answered."""
        await asyncio.gather(self._for_kube.drain(), self._jobs.drain())

    def _take_turn(self, gang_id: GangId, reasons: Reasons) -> None:
        if None in reasons or self._volumes_differ(gang_id, reasons):
            self.look(gang_id)
        for event in reasons:
            if event is not None and not isinstance(event, ev.VolumesChanged):
                self._handle(gang_id, event)

    def _volumes_differ(self, gang_id: GangId, reasons: Reasons) -> bool:
        if not any(isinstance(event, ev.VolumesChanged) for event in reasons):
            return False
        try:
            touched = self.cluster.look_at_volumes(gang_id)
        except Exception as error:
            self._failed(gang_id, error)
            return False
        self.touch(touched - {gang_id})
        return gang_id in touched

    def _handle(self, gang_id: GangId, event: ev.Event) -> None:
        """Hands one event to a gang; what it leads to can't harm another gang.

        What comes of an instruction at once waits in the gang's inbox until all instructions of
        the event before it are performed.
        """
        inbox = self._inboxes.get(gang_id)
        if inbox is not None:
            inbox.append(event)
            return
        inbox = self._inboxes[gang_id] = deque([event])
        try:
            while inbox and (machine := self.machines.get(gang_id)) is not None:
                self._advance(machine, inbox.popleft())
        except Exception as error:
            self._failed(gang_id, error)
        finally:
            del self._inboxes[gang_id]

    def _advance(self, machine: GangMachine, event: ev.Event) -> None:
        """Raises whatever goes wrong: its caller sets the gang aside."""
        gang_id, known = machine.id, machine.known
        before = machine.state
        instructions = machine.handle(event, self._clock.monotonic())
        if machine.waits_for_room:
            self._want_room.add(gang_id)
        else:
            self._want_room.discard(gang_id)
        if machine.state is not before:
            self._metrics.gang_transitions.labels(machine.state.value).inc()
            log.info(
                "gang.moved",
                gang=gang_id,
                owner=known.gang.owner if known.gang else None,
                state=machine.state.value,
                cause=type(event).__name__,
                slurm_job=known.job_id,
            )
        for instruction in instructions:
            self._perform(machine, instruction)

    def _perform(self, machine: GangMachine, instruction: do.Instruction) -> None:
        match instruction:
            case do.SubmitJob(gang):
                self._jobs.submit(machine.id, instruction, tenant=gang.namespace)
            case do.RebuildJob():
                self._describe(machine, instruction)
            case do.UpdateJob():
                self._jobs.update(machine.id, instruction, tenant=self._tenant(machine.id))
            case do.CancelJob():
                self._jobs.cancel(instruction, tenant=self._tenant(machine.id))
            case do.AvoidNode():
                self._avoid(machine, instruction)
            case do.PlaceGang():
                self._handle(machine.id, self._placer.place(machine, instruction))
            case do.PinPod():
                self._pin(machine, instruction)
            case do.QueueAlone(pod):
                self.touch(self.cluster.split_off(pod.uid))
            case do.EndPods() | do.FailPod() | do.SetCondition():
                self._for_pod(machine.id, instruction)
            case do.EmitEvent():
                self._pods.tell(instruction)
            case do.Wake(after_s):
                self._wake(machine.id, after_s)
            case do.Forget():
                self._forget(machine)

    def _for_pod(
        self, gang_id: GangId, instruction: do.EndPods | do.FailPod | do.SetCondition | do.PinPod
    ) -> None:
        """Queue what is written to pods."""
        match instruction:
            case do.EndPods(pods):
                for pod in pods:
                    self._ask_kube(gang_id, pod, partial(self._pods.end, pod, instruction), _END)
            case do.FailPod(pod):
                self._ask_kube(gang_id, pod, partial(self._pods.fail, instruction), _END)
            case do.SetCondition(pod):
                work = partial(self._pods.set_condition, gang_id, instruction)
                self._ask_kube(gang_id, pod, work, _TELL)
            case do.PinPod(pod):
                self._ask_kube(gang_id, pod, partial(self._pods.pin, gang_id, instruction), _PIN)

    def _ask_kube(self, gang_id: GangId, pod: Pod, work: Work, urgency: int) -> None:
        failed = partial(self._failed, gang_id)
        self._for_kube.add(work, tenant=pod.namespace, urgency=urgency, failed=failed)

    def _wake(self, gang_id: GangId, after_s: float) -> None:
        """A Tick no later than `after_s`: an earlier one that is set stays."""
        loop = asyncio.get_running_loop()
        timer = self._timers.get(gang_id)
        at_s = loop.time() + after_s
        if timer is not None and not timer.cancelled() and timer.when() <= at_s:
            return
        if timer is not None:
            timer.cancel()
        self._timers[gang_id] = loop.call_at(at_s, self._ring, gang_id)

    def _ring(self, gang_id: GangId) -> None:
        self._timers.pop(gang_id, None)
        self._handle(gang_id, ev.Tick())

    def _forget(self, machine: GangMachine) -> None:
        self._drop(machine.id)
        if not self.cluster.pods_of(machine.id):
            self._forget_traces(machine.id)

    def _drop(self, gang_id: GangId) -> None:
        """Its machine, and what would wake it."""
        self.machines.pop(gang_id, None)
        self._want_room.discard(gang_id)
        self._index.forget_claims(gang_id)
        timer = self._timers.pop(gang_id, None)
        if timer is not None:
            timer.cancel()

    # -- Slurm ---------------------------------------------------------------------------------

    def _follow(self, gang_id: GangId, job_id: SlurmJobId) -> None:
        """The gang's new job; or nobody's, if the gang has gone meanwhile."""
        self._index.follow(gang_id, job_id)
        if gang_id not in self.machines and self._faults.set_aside(gang_id) is None:
            self.cancel_leak(job_id)

    def _spec(self, gang: Gang, generation: int) -> JobSpec:
        avoided = self._avoidance.nodes(self._owner_of(gang.id), self._clock.monotonic())
        parameters = identity.apply(
            gang.parameters, self.cluster.namespaces.get(gang.namespace), self._rules.identity
        )
        return self._builder.build(replace(gang, parameters=parameters), generation, avoided)

    def _status_of(self, namespace: str, kind: str, name: str) -> WorkloadStatus | None:
        """The status of a workload that some gang depends on."""
        return workload_status(namespace, kind, name, cluster=self.cluster, job_of=self._job_of)

    def _job_of(self, pod: PodUid) -> SlurmJobId | None:
        gang_id = self.cluster.gang_of(pod)
        machine = self.machines.get(gang_id) if gang_id is not None else None
        return None if machine is None else machine.known.job_id

    def _describe(self, machine: GangMachine, instruction: do.RebuildJob) -> None:
        try:
            spec = self._spec(instruction.gang, instruction.generation)
        except BadInput:
            return  # nothing better to say to Slurm: the job keeps what it has
        self._handle(machine.id, ev.JobRebuilt(spec))

    def _avoid(self, machine: GangMachine, instruction: do.AvoidNode) -> None:
        known = self.cluster.nodes.get(instruction.node)
        if known is not None and known.unschedulable and known.external:
            return  # Slurm is told of the cordon, and of its end
        until_s = self._avoidance.add(
            self._owner_of(machine.id), instruction.node, self._clock.monotonic()
        )
        log.warning(
            "node.avoided", gang=machine.id, node=instruction.node, why=instruction.why,
            for_s=self._tuning.avoid_s,
        )  # fmt: skip
        delay_s = until_s - self._clock.monotonic()
        asyncio.get_running_loop().call_later(delay_s, self._handle, machine.id, ev.NodesChanged())

    def _owner_of(self, gang_id: GangId) -> str:
        """Who makes the gang's pods, also those to come; the gang itself where nobody does. A
        reference says so within its namespace only."""
        for pod in self.cluster.pods_of(gang_id):
            if pod.owner is not None:
                return f"{pod.namespace}/{pod.owner.uid}"
        return gang_id

    # -- placement -----------------------------------------------------------------------------

    def _pin(self, machine: GangMachine, instruction: do.PinPod) -> None:
        pod = instruction.pod
        why = self._placer.misfit(instruction)
        if why:
            self._handle(machine.id, ev.Misfit(pod.uid, why))
            return
        self.cluster.pin(pod, instruction.node)
        self._for_pod(machine.id, instruction)

    # -- the extender asks -----------------------------------------------------------------------

    def verdict(self, uid: PodUid) -> Verdict | None:
        """What is known of the pod's place; None for a pod that we do not know."""
        gang_id = self.cluster.gang_of(uid)
        machine = self.machines.get(gang_id) if gang_id is not None else None
        if machine is None:
            fault = self._faults.set_aside(gang_id) if gang_id is not None else None
            if fault is None:
                return None
            return Verdict(uid, node=None, job_id=None, waits_for=fault.sentence)
        node, waits_for = machine.verdict_for(uid)
        job_id = machine.known.job_id
        if node is not None and not self._placer.holds(machine, node):
            waits_for = f"Slurm job {job_id} does not hold node {node}, which the pod names"
            node = None
        watched = self.watcher.jobs.get(job_id) if job_id is not None else None
        running = watched is not None and watched.job.running
        return Verdict(
            pod=uid,
            node=node,
            job_id=job_id,
            waits_for=waits_for,
            running_seen_s=watched.seen_s if watched is not None and running else float("-inf"),
        )

    async def confirm(self, verdict: Verdict) -> bool:
        """Ask Slurm itself whether the job runs and is this gang's. Raises Unreachable."""
        gang_id = self.cluster.gang_of(verdict.pod)
        if verdict.job_id is None or gang_id is None:
            return False
        try:
            job = await self.client.get_job(verdict.job_id)
        except slurm.NotFound:
            return False
        return job.running and self._index.is_mine(job, gang_id)

    def _count(self, state: State) -> int:
        return sum(machine.state is state for machine in self.machines.values())
