"""Performs what the machines decide, and tells them what came of it.

All machines are driven from one loop, so nothing here needs a lock: reflectors and the watcher
call `touch`, `job_seen` and `room_changed`, requests run in two pools (API server, slurmrestd),
and each request ends in exactly one event to its machine, whatever happened to it.
"""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import structlog

from bridge import names, slurm
from bridge.clock import Clock
from bridge.errors import BadInput
from bridge.kube import events as kube_events
from bridge.kube.client import KubeClient
from bridge.lifecycle import describe
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.lifecycle.avoidance import Avoidance
from bridge.lifecycle.het import HetJobs
from bridge.lifecycle.job_writer import JobWriter
from bridge.lifecycle.machine import GangMachine
from bridge.lifecycle.pod_writer import PodWriter
from bridge.lifecycle.pool import Pool
from bridge.lifecycle.specs import Specs
from bridge.lifecycle.standing import standing
from bridge.lifecycle.states import State, Tuning
from bridge.lifecycle.whereabouts import Whereabouts
from bridge.model.gang import Gang, Shortfall
from bridge.model.ids import GangId, PodUid, SlurmJobId
from bridge.model.job import JobFacts, JobIdentity, JobSpec
from bridge.model.verdict import Verdict
from bridge.placement import predicates
from bridge.placement.assign import assign
from bridge.state.cluster import Cluster
from bridge.state.slurm_side import SlurmSide
from bridge.telemetry import Metrics, OutageLog
from bridge.workloads import identity, jobspec, membership, tasks
from bridge.workloads.dependencies import Standing

log = structlog.get_logger(__name__)

_CLASS = re.compile(rf"{names.CLASS_FEATURE_PREFIX}\w+")
_PIN, _END, _TELL = 0, 1, 5
_GATHER_S = 0.003
"""Changes of one gang come in crowds; a look at it costs as much as it has members."""


class Runner:
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
        self._dirty: dict[GangId, None] = {}
        self._want_room: set[GangId] = set()
        self._work = asyncio.Event()
        self._gang_of_job: dict[SlurmJobId, GangId] = {}
        self._timers: dict[GangId, asyncio.TimerHandle] = {}
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
        self._whereabouts = Whereabouts(
            cluster=cluster, slurm_side=slurm_side, resource_map=rules.resource_map
        )
        self._specs = Specs(
            cluster_uid=cluster_uid,
            whereabouts=self._whereabouts,
            slurm_side=slurm_side,
            rules=rules,
            limits=limits,
            resolve=self._standing,
        )
        self._jobs = JobWriter(
            client=client,
            watcher=watcher,
            build=self._spec,
            has_room=lambda gang: self._whereabouts.has_room(gang.shape, gang.size),
            follow=self._follow,
            handle=self._handle,
            outage=outage,
            metrics=metrics,
            clock=clock,
        )
        self._het = HetJobs()
        self._avoidance = Avoidance(for_s=tuning.avoid_s)
        self._advised: set[str] = set()
        self._recovered = False
        watcher.subscribe(self.job_seen)

    # -- what others tell us -------------------------------------------------------------------

    def touch(self, gang_ids: Iterable[GangId]) -> None:
        """These gangs' pods or owners have changed."""
        self._dirty.update(dict.fromkeys(gang_ids))
        if self._dirty:
            self._work.set()

    def room_changed(self) -> None:
        """Some node has more room than before: gangs that wait for room look again."""
        for gang_id in tuple(self._want_room):
            self._handle(gang_id, ev.Tick())

    def classes_changed(self) -> None:
        """Nodes joined, left or changed class: waiting jobs may run on other nodes now."""
        for gang_id in list(self.machines):
            self._handle(gang_id, ev.NodesChanged())

    def classes_in_use(self) -> frozenset[str]:
        """Node classes that waiting jobs name: no node may lose such a feature."""
        found: set[str] = set()
        for machine in self.machines.values():
            if machine.facts is not None and machine.facts.waits:
                told = machine.spec.constraints if machine.spec else machine.facts.constraints
                found.update(_CLASS.findall(told))
        return frozenset(found)

    def job_seen(self, event: object) -> None:
        """News from the watcher."""
        match event:
            case slurm.JobSeen(job=job):
                gang_id = self._gang_of_job.get(self._het.first_of(job.id))
                if gang_id is None:
                    return
                facts = self._seen(describe.facts(job))
                if facts is None:
                    return
                if self._is_mine(facts.identity, gang_id):
                    left_s = None if facts.end_s is None else facts.end_s - self._clock.time()
                    self._handle(gang_id, ev.JobSeen(facts, left_s))
                else:
                    self._handle(gang_id, ev.JobVanished(facts.job_id))
                if facts.ended:
                    self._let_go(facts.job_id)
            case slurm.Outage(error=error):
                self._outage.failed(error)
            case slurm.Recovered():
                self._outage.answered()
            case slurm.JobGone(job_id=gone):
                job_id = self._het.first_of(gone)
                gang_id = self._gang_of_job.get(job_id)
                if gang_id is not None:
                    self._handle(gang_id, ev.JobVanished(job_id))
                self._let_go(job_id)

    def _seen(self, facts: JobFacts) -> JobFacts | None:
        """The gang's facts; None while a component of its het job has not been read yet."""
        for job_id in facts.components:
            self.watcher.track(job_id)
        return self._het.seen(facts)

    def _let_go(self, job_id: SlurmJobId) -> None:
        """The job is over: nothing more is to be heard of it."""
        self._gang_of_job.pop(job_id, None)
        self._jobs.forget(job_id)
        for component in self._het.forget(job_id):
            self.watcher.untrack(component)

    def _is_mine(self, identity: JobIdentity | None, gang_id: GangId) -> bool:
        return identity is not None and identity.is_of(self.cluster_uid, gang_id)

    # -- recovery's hooks ------------------------------------------------------------------------

    def adopt(self, gang_id: GangId, job_id: SlurmJobId, generation: int) -> None:
        """This job is the gang's: follow it."""
        self._gang_of_job[job_id] = gang_id
        self.watcher.track(job_id)
        self._handle(gang_id, ev.Adopted(job_id, generation))

    def has_job(self, job_id: SlurmJobId) -> bool:
        """Whether some gang follows this job already, or it is being cancelled."""
        job_id = self._het.first_of(job_id)
        return job_id in self._gang_of_job or self._jobs.is_cancelling(job_id)

    def cancel_leak(self, job_id: SlurmJobId) -> None:
        """A job of this cluster that no gang needs."""
        self._jobs.cancel(do.CancelJob(job_id, "no gang needs it"))

    def recovery_done(self) -> None:
        """From now on machines decide."""
        self._recovered = True
        for gang_id, machine in list(self.machines.items()):
            machine.release()
            self._handle(gang_id, ev.Tick())
        self.classes_changed()

    @property
    def recovered(self) -> bool:
        """Whether the gangs decide yet."""
        return self._recovered

    def look(self, gang_id: GangId) -> None:
        """Bring one gang's machine up to date with its pods and owner."""
        machine = self.machines.get(gang_id)
        pods = self.cluster.pods_of(gang_id)
        if machine is None:
            if not pods:
                self.cluster.forget(gang_id)
                return
            single = self.cluster.is_single(gang_id)
            if single:
                self._advise(gang_id)
            machine = GangMachine(gang_id, single=single, tuning=self._tuning)
            self.machines[gang_id] = machine
            if self._recovered:
                machine.release()
        gang, problem = None, ""
        try:
            gang = self.cluster.gang(gang_id)
        except BadInput as error:
            problem = str(error)
        members = self.cluster.members(gang_id)
        seats = dict(members.seats) if members is not None else {}
        will, unready = self._owner_will(gang_id), self.cluster.waits_for(gang_id)
        apart = self.cluster.apart(gang_id)
        self._handle(gang_id, ev.MembersSeen(gang, pods, will, problem, seats, unready, apart))

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
            group.create_task(self._drive())

    async def drain(self) -> None:
        """Start no more requests; return when those in flight are answered."""
        await asyncio.gather(self._for_kube.drain(), self._jobs.drain())

    async def _drive(self) -> None:
        while True:
            await self._work.wait()
            await self._clock.sleep(_GATHER_S)
            self._work.clear()
            dirty, self._dirty = self._dirty, {}
            for gang_id in dirty:
                self.look(gang_id)

    def _handle(self, gang_id: GangId, event: ev.Event) -> None:
        machine = self.machines.get(gang_id)
        if machine is None:
            return
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
                owner=machine.gang.owner if machine.gang else None,
                state=machine.state.value,
                cause=type(event).__name__,
                slurm_job=machine.job_id,
            )
        for instruction in instructions:
            self._perform(machine, instruction)

    def _perform(self, machine: GangMachine, instruction: do.Instruction) -> None:
        match instruction:
            case do.SubmitJob():
                self._jobs.submit(machine.id, instruction)
            case do.DescribeJob():
                self._describe(machine, instruction)
            case do.UpdateJob():
                self._jobs.update(machine.id, instruction)
            case do.CancelJob():
                self._jobs.cancel(instruction)
            case do.AvoidNode():
                self._avoid(machine, instruction)
            case do.PlaceGang():
                self._place(machine, instruction)
            case do.PinPod():
                self._pin(machine, instruction)
            case do.SplitOff(pod):
                self.touch(self.cluster.split_off(pod.uid))
            case do.EndPods(pods):
                for ending in pods:
                    self._for_kube.add(
                        lambda pod=ending: self._pods.end(pod, instruction),  # type: ignore[misc]
                        urgency=_END,
                    )
            case do.FailPod():
                self._for_kube.add(lambda: self._pods.fail(instruction), urgency=_END)
            case do.SetCondition():
                self._for_kube.add(
                    lambda: self._pods.set_condition(machine.id, instruction), urgency=_TELL
                )
            case do.EmitEvent():
                self._pods.tell(instruction)
            case do.Wake(after_s):
                self._wake(machine.id, after_s)
            case do.Forget():
                self._forget(machine)

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
        self.machines.pop(machine.id, None)
        self._want_room.discard(machine.id)
        timer = self._timers.pop(machine.id, None)
        if timer is not None:
            timer.cancel()
        if not self.cluster.pods_of(machine.id):
            self.cluster.forget(machine.id)

    # -- Slurm ---------------------------------------------------------------------------------

    def _follow(self, gang_id: GangId, job_id: SlurmJobId) -> None:
        """The gang's new job; or nobody's, if the gang has gone meanwhile."""
        self._gang_of_job[job_id] = gang_id
        self.watcher.track(job_id)
        if gang_id not in self.machines:
            self.cancel_leak(job_id)

    def _spec(self, gang: Gang, generation: int) -> JobSpec:
        avoided = self._avoidance.nodes(self._owner_of(gang.id), self._clock.monotonic())
        parameters = identity.apply(
            gang.parameters, self.cluster.namespaces.get(gang.namespace), self._rules.identity
        )
        return self._specs.of(replace(gang, parameters=parameters), generation, avoided)

    def _standing(self, namespace: str, kind: str, name: str) -> Standing | None:
        """How a workload stands that some gang depends on."""
        return standing(
            namespace,
            kind,
            name,
            owners=self.cluster.owners,
            pods=self.cluster.pods.values(),
            job_of=self._job_of,
        )

    def _job_of(self, pod: PodUid) -> SlurmJobId | None:
        gang_id = self.cluster.gang_of(pod)
        machine = self.machines.get(gang_id) if gang_id is not None else None
        return None if machine is None else machine.job_id

    def _describe(self, machine: GangMachine, instruction: do.DescribeJob) -> None:
        try:
            spec = self._spec(instruction.gang, instruction.generation)
        except BadInput:
            return  # nothing better to say to Slurm: the job keeps what it has
        self._handle(machine.id, ev.Wished(spec))

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
        """Who makes the gang's pods, also those to come; the gang itself where nobody does."""
        for pod in self.cluster.pods_of(gang_id):
            if pod.owner is not None:
                return pod.owner.uid
        return gang_id

    # -- placement -----------------------------------------------------------------------------

    def _place(self, machine: GangMachine, instruction: do.PlaceGang) -> None:
        began_s = self._clock.monotonic()
        partition = machine.facts.partition if machine.facts is not None else ""
        result = assign(
            self.cluster.table.snapshot(),
            instruction.allocation,
            instruction.gang,
            by_slurm_name=self.cluster.by_slurm_name,
            resource_map=self._rules.resource_map.within(self._side.nodes.gres_names),
            taken=instruction.taken,
            shapes=instruction.gang.shapes if instruction.gang.is_mixed else None,
            topology=self._side.partitions.topologies.get(partition, ""),
            one_per_node=self._rules.alone(instruction.gang),
            holding=frozenset(pod.uid for pod in machine.pods if pod.job_id == machine.job_id),
        )
        self._metrics.placement_seconds.observe(self._clock.monotonic() - began_s)
        job_id = instruction.allocation.job_id
        if isinstance(result, Shortfall):
            if not result.for_now:
                self._metrics.grants_returned.inc()
            self._handle(machine.id, ev.NotPlaced(job_id, result))
        else:
            first_s = min(pod.created_s for pod in machine.pods)
            self._metrics.queue_seconds.observe(max(0.0, self._clock.time() - first_s))
            self._handle(machine.id, ev.Placed(job_id, result))

    def _pin(self, machine: GangMachine, instruction: do.PinPod) -> None:
        pod, node = instruction.pod, instruction.node
        if pod.shape != instruction.slot and (why := self._misfit(instruction)):
            self._handle(machine.id, ev.Misfit(pod.uid, why))
            return
        self.cluster.table.occupy(pod.uid, node, pod.shape)
        self._for_kube.add(lambda: self._pods.pin(machine.id, instruction), urgency=_PIN)

    def _misfit(self, instruction: do.PinPod) -> str | None:
        """Why the pod can't use its slot, which was placed before it was there.

        Only what lasts: a pod that still holds room on the node is about to go.
        """
        shape, slot = instruction.pod.shape, instruction.slot
        more = shape.requests.beyond(slot.requests) if slot is not None else ()
        if more:
            return f"it asks for more {' and '.join(more)} than Slurm gave its slot"
        return predicates.check_node(
            self.cluster.table.snapshot(), shape, instruction.node, now=False
        )

    # -- the extender asks -----------------------------------------------------------------------

    def verdict(self, uid: PodUid) -> Verdict | None:
        """What is known of the pod's place; None for a pod that we do not know."""
        gang_id = self.cluster.gang_of(uid)
        machine = self.machines.get(gang_id) if gang_id is not None else None
        if machine is None:
            return None
        node, waits_for = machine.verdict_for(uid)
        watched = self.watcher.jobs.get(machine.job_id) if machine.job_id is not None else None
        running = watched is not None and watched.job.running
        return Verdict(
            pod=uid,
            node=node,
            job_id=machine.job_id,
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
        return job.running and self._is_mine(describe.facts(job).identity, gang_id)

    def _count(self, state: State) -> int:
        return sum(machine.state is state for machine in self.machines.values())
