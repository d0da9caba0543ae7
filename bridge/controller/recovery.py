"""Which Slurm job belongs to which gang, found again: after a start, and for lost answers.

What proves that a job is a gang's is the job's admin_comment (cluster, gang, generation), which
only operators of Slurm can write. Pods name their jobs (a pinned one in its label, a queued one in
its `Allocated` condition): these are read first, by the watcher, and a gang decides nothing before
(`Claims`). Jobs that no pod names are read one by one; the ids of other people's jobs are
remembered, so each is read once. `/jobs/` as a whole is never read.

A job of this cluster whose gang is gone, or whose admin_comment can't be understood, is a leak and
is cancelled. The sweep goes on after the start, for what was lost later: an answer to a submit, a
crash between submit and label.
"""

import structlog

from bridge import slurm
from bridge.clock import Clock
from bridge.controller.controller import GangController
from bridge.errors import BridgeError, Unreachable
from bridge.jobs import to_slurm
from bridge.kube.events import EventRecorder, ObjectRef
from bridge.model.ids import GangId, PodUid, SlurmJobId
from bridge.model.job import JobFacts

log = structlog.get_logger(__name__)

_LOOK_S = 0.05
_RESOLVE_S = 30.0
"""For so long a start waits for the gangs of all pods to be known."""
_READ_AGAIN_S, _READ_AGAIN_MOST_S = 10.0, 600.0


class Recovery:
    """Finds the jobs of gangs, and gangless jobs."""

    def __init__(
        self,
        controller: GangController,
        *,
        recorder: EventRecorder,
        clock: Clock,
        interval_s: float = 5.0,
    ) -> None:
        self._controller = controller
        self._recorder = recorder
        self._clock = clock
        self._interval_s = interval_s
        self._unreadable: dict[SlurmJobId, tuple[int, float]] = {}
        """Jobs that could not be read: how often, and when to try again (monotonic seconds)."""
        self._late: set[PodUid] = set()
        """Pods whose gang could not be told at the last sweep."""
        self._foreign: set[SlurmJobId] = set()
        self._suspects: set[SlurmJobId] = set()
        """Jobs of this cluster without a gang: cancelled if the next sweep finds them so again."""

    async def run(self) -> None:
        """Once all reflectors and the watcher have synced: recover, then sweep until cancelled."""
        controller = self._controller
        await self._resolve_gangs()
        for gang_id in list(controller.cluster.gangs):
            controller.look(gang_id)
        while True:
            try:
                await self.sweep()
                break
            except BridgeError as error:
                log.warning("recovery.waits_for_slurm", error=str(error))
                await self._clock.sleep(1.0)
        controller.recovery_done()
        log.info("recovery.finished", gangs=len(controller.machines))
        while True:
            await self._clock.sleep(self._interval_s)
            controller.touch(controller.cluster.settle_missing())
            controller.tell_held()
            self._tell_unresolved()
            try:
                await self.sweep()
            except BridgeError as error:
                log.debug("sweep.failed", error=str(error))

    async def _resolve_gangs(self) -> None:
        """For a while: nearly all gangs are known in a moment, and those that can't be, because the
        API server does not tell of their owners' kind, must not keep all others from starting."""
        began_s = settled_s = self._clock.monotonic()
        while left := self._controller.cluster.unresolved:
            await self._clock.sleep(_LOOK_S)
            now_s = self._clock.monotonic()
            if now_s - settled_s >= self._interval_s:
                self._controller.cluster.settle_missing()
                settled_s = now_s
            if now_s - began_s >= _RESOLVE_S:
                log.warning("recovery.goes_on_without", pods=[pod.key for pod in left[:5]])
                return

    async def sweep(self) -> None:
        """Read every job that nothing explains, once. Raises Unreachable.

        Not those that have ended: they hold nothing, and each of ours does so one day.
        """
        states = self._controller.watcher.states
        self._foreign &= states.keys()
        self._suspects &= states.keys()
        for gone in self._unreadable.keys() - states.keys():
            del self._unreadable[gone]
        read, failure = 0, None
        for job_id in sorted(states.keys() - self._foreign):
            if slurm.over(states[job_id]) or self._controller.has_job(job_id):
                continue
            if self._clock.monotonic() < self._unreadable.get(job_id, (0, 0.0))[1]:
                continue
            try:
                facts = to_slurm.facts(await self._controller.client.get_job(job_id))
                self._judge(facts)
            except slurm.NotFound:
                continue
            except Exception as error:
                if _is_outage(error):
                    raise
                failure = error  # somebody's job must not keep ours from being found
                self._cannot_read(job_id, error)
            else:
                read += 1
                self._unreadable.pop(job_id, None)
        if isinstance(failure, BridgeError) and not read:
            raise failure  # no job at all could be read: it is not the jobs

    def _cannot_read(self, job_id: SlurmJobId, error: Exception) -> None:
        failures, _ = self._unreadable.get(job_id, (0, 0.0))
        delay_s = min(_READ_AGAIN_MOST_S, _READ_AGAIN_S * 2.0 ** min(failures, 16))
        self._unreadable[job_id] = (failures + 1, self._clock.monotonic() + delay_s)
        if not failures:
            trace = None if isinstance(error, BridgeError) else error
            log.warning("job.unreadable", slurm_job=job_id, error=str(error), exc_info=trace)

    def _judge(self, facts: JobFacts) -> None:
        controller, identity = self._controller, facts.identity
        if facts.components and facts.job_id != facts.components[0]:
            return  # a het job is judged by its first component
        if facts.garbled is not None and facts.garbled.cluster == controller.cluster_uid:
            self._end_garbled(facts)
            return
        if identity is None or identity.cluster != controller.cluster_uid or facts.ended:
            self._foreign.add(facts.job_id)
            return
        if controller.has_job(facts.job_id):
            return  # its submit was answered while we read
        gang_id = GangId(identity.gang)
        if controller.is_set_aside(gang_id):
            return
        machine = controller.machines.get(gang_id)
        if machine is None and controller.cluster.may_be_of(gang_id, controller.cluster.unresolved):
            return  # nobody can tell yet
        if machine is None and facts.job_id not in self._suspects:
            self._suspects.add(facts.job_id)  # its pods may only not be known yet
        elif machine is None:
            self._suspects.discard(facts.job_id)
            log.warning("job.leaked", slurm_job=facts.job_id, owner=identity.owner)
            controller.cancel_leak(facts.job_id)
        elif machine.known.job_id is not None:
            log.warning("job.superfluous", slurm_job=facts.job_id, kept=machine.known.job_id)
            controller.cancel_leak(facts.job_id)
        elif machine.known.submission.under_way is None:
            log.info("job.found_again", slurm_job=facts.job_id, owner=identity.owner)
            controller.adopt(gang_id, facts.job_id, identity.generation)

    def _tell_unresolved(self) -> None:
        """Not those that came a moment ago: kinds and owners come after their pods."""
        pods = self._controller.cluster.unresolved
        late, self._late = self._late, {pod.uid for pod in pods}
        for pod in (one for one in pods if one.uid in late):
            owner = f"{pod.owner.kind} {pod.owner.name}" if pod.owner else "the group that it names"
            self._recorder.emit(
                regarding=ObjectRef("Pod", "v1", pod.namespace, pod.name, pod.uid),
                type="Warning",
                reason="OwnerNotRead",
                note=f"{owner} can't be read from the API server yet, so it isn't known which pods "
                "start together; the pod is queued in Slurm after that",
                action="Wait",
            )

    def _end_garbled(self, facts: JobFacts) -> None:
        """It has our key and our cluster, so nobody else will ever end it."""
        if facts.ended or self._controller.has_job(facts.job_id):
            return
        log.warning("job.garbled", slurm_job=facts.job_id)
        self._recorder.emit(
            regarding=ObjectRef("Namespace", "v1", "", "kube-system", self._controller.cluster_uid),
            type="Warning",
            reason="SlurmJobNotUnderstood",
            note=f"Slurm job {facts.job_id} was submitted for this cluster, but its admin_comment "
            "can't be understood, so no pod can be found for it. slurm-bridge cancels it; if pods "
            "ran under it, they are ended",
            action="Cancel",
        )
        self._controller.cancel_leak(facts.job_id)


def _is_outage(error: Exception) -> bool:
    """Whether no other job could be read either."""
    if isinstance(error, slurm.MalformedAnswer):
        return False
    return isinstance(error, Unreachable | slurm.NotAuthorised)
