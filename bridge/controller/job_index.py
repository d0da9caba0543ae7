"""Which Slurm job belongs to which gang; hands Slurm's news of a job to its gang.

A job is a gang's by our own submit, or because its admin_comment says so. What pods name is only
asked about (`JobClaims`): a gang whose pods name jobs is told of each of them before it decides.
"""

from collections.abc import Callable, Iterable, Iterator

from bridge import slurm
from bridge.clock import Clock
from bridge.controller.active_gangs import ActiveGangs
from bridge.controller.het_jobs import HetJobs
from bridge.controller.job_canceller import JobCanceller
from bridge.controller.job_claims import JobClaims
from bridge.controller.job_proof import JobProof
from bridge.jobs import to_slurm
from bridge.lifecycle import events as ev
from bridge.lifecycle import messages
from bridge.model.ids import GangId, SlurmJobId
from bridge.model.job import JobFacts
from bridge.model.pod import Pod
from bridge.state.kube_state import KubeState
from bridge.telemetry import OutageLog


class JobIndex:
    """Follows jobs. `handle` takes events for gangs, `failed` errors that are mistakes of ours,
    `settled` gangs whose pods' jobs are all known now; `observed` makes an event of job facts."""

    def __init__(
        self,
        *,
        proof: JobProof,
        watcher: slurm.JobWatcher,
        gangs: ActiveGangs,
        claims: JobClaims,
        canceller: JobCanceller,
        handle: Callable[[GangId, ev.Event], None],
        failed: Callable[[GangId, Exception], None],
        settled: Callable[[GangId], None],
        observed: Callable[[JobFacts], ev.JobObserved],
        outage: OutageLog,
    ) -> None:
        self._proof = proof
        self._watcher = watcher
        self._gangs = gangs
        self._claims = claims
        self._canceller = canceller
        self._handle = handle
        self._failed = failed
        self._settled = settled
        self._observed = observed
        self._outage = outage
        self._gang_of: dict[SlurmJobId, GangId] = {}
        self._het = HetJobs()
        watcher.subscribe(self._hear)

    # -- what is asked -------------------------------------------------------------------------

    def knows(self, job_id: SlurmJobId) -> bool:
        """Whether some gang follows this job, or it is being read or cancelled."""
        first = self._het.first_of(job_id)
        is_followed = first in self._gang_of or first in self._claims
        return is_followed or self._canceller.is_cancelling(job_id)

    def jobs_of(self, gang_id: GangId) -> list[SlurmJobId]:
        """The jobs that are the gang's. Looks through all jobs."""
        return [job_id for job_id, owner in self._gang_of.items() if owner == gang_id]

    def is_mine(self, job: slurm.Job, gang_id: GangId) -> bool:
        """Whether the job's admin_comment says that it is this gang's."""
        return self._proof.is_of(to_slurm.facts(job), gang_id)

    # -- what is followed ------------------------------------------------------------------------

    def follow(self, gang_id: GangId, job_id: SlurmJobId) -> None:
        """Follows a job that belongs to the gang, by our own submit or by its admin_comment."""
        self._gang_of[job_id] = gang_id
        self._watcher.track(job_id)

    def submitted(self, gang_id: GangId, job_id: SlurmJobId) -> None:
        """Follows the gang's new job; if the gang is gone meanwhile, the job is cancelled."""
        self.follow(gang_id, job_id)
        if not self._gangs.is_live(gang_id):
            self._canceller.cancel_leak(job_id)
        self._watcher.trigger()

    def adopt(self, gang_id: GangId, job_id: SlurmJobId, generation: int) -> None:
        """Gives the gang a job that was found again."""
        self.follow(gang_id, job_id)
        self._handle(gang_id, ev.Adopted(job_id, generation))

    def claim(self, gang_id: GangId, pods: Iterable[Pod]) -> None:
        """Has the jobs read that the pods name, to see whose they are. Jobs that were read already
        are handed on at once."""
        named = {job_id for pod in pods if not pod.ended and (job_id := _named_by(pod)) is not None}
        unproven = sorted(job_id for job_id in named if job_id not in self._gang_of)
        self._claims.add(gang_id, unproven)
        for job_id in unproven:
            self._watcher.track(job_id)
            watched = self._watcher.jobs.get(job_id)
            if watched is not None:  # the watcher tells of it again only when it changes
                self._take_job(watched.job)

    def let_go(self, job_id: SlurmJobId) -> None:
        """Stops following a job that is over or has no gang."""
        self._gang_of.pop(job_id, None)
        self._canceller.forget(job_id)
        for component in self._het.forget(job_id):
            self._watcher.untrack(component)

    def story_of(self, job_id: SlurmJobId) -> Iterator[ev.Event]:
        """The events that tell a gang that is started again of its job."""
        yield ev.Adopted(job_id, 0)
        watched = self._watcher.jobs.get(job_id)
        facts = self._seen(to_slurm.facts(watched.job)) if watched is not None else None
        if facts is not None:
            yield self._observed(facts)

    # -- what Slurm tells ------------------------------------------------------------------------

    def _hear(self, event: object) -> None:
        match event:
            case slurm.JobSeen(job=job):
                self._take_job(job)
            case slurm.JobGone(job_id=gone):
                job_id = self._het.first_of(gone)
                self._vanished(job_id)
                self.let_go(job_id)
            case slurm.Outage(error=error):
                self._outage.failed(error)
            case slurm.Recovered():
                self._outage.answered()

    def _take_job(self, job: slurm.Job) -> None:
        try:
            facts = self._seen(to_slurm.facts(job))
            if facts is not None:
                self._take_facts(facts)
        except Exception as error:
            job_id = self._het.first_of(job.id)
            for gang_id in {*self._claims.gangs_of(job_id), self._gang_of.get(job_id)}:
                if gang_id is not None:
                    self._failed(gang_id, error)

    def _seen(self, facts: JobFacts) -> JobFacts | None:
        """The gang's facts; None while a component of its het job has not been read yet."""
        for job_id in facts.components:
            self._watcher.track(job_id)
        return self._het.seen(facts)

    def _take_facts(self, facts: JobFacts) -> None:
        job_id = facts.job_id
        if job_id in self._claims and job_id not in self._gang_of:
            self._prove(facts)
        gang_id = self._gang_of.get(job_id)
        if gang_id is not None and self._proof.is_of(facts, gang_id):
            self._handle(gang_id, self._observed(facts))
            self._settle(job_id)
            if facts.ended:
                self.let_go(job_id)
        else:
            self._vanished(job_id)
            self.let_go(job_id)  # whose it is, the sweep finds out

    def _prove(self, facts: JobFacts) -> None:
        """Some pods name this job: it is their gang's if the job says so too, or that of a pod
        which it splits off their gang. Of the others that they name, some may have been told to be
        over, or nobody's, a moment before."""
        apart = self._proof.restore(facts)
        claimers = self._claims.gangs_of(facts.job_id)
        for gang_id in claimers if apart is None else (apart,):
            machine = self._gangs.machines.get(gang_id)
            run = machine.known.run if machine is not None else None
            if machine is None or (run is not None and not run.is_over):
                continue
            if not self._proof.is_of(facts, gang_id):
                continue
            self._gang_of[facts.job_id] = gang_id
            generation = facts.identity.generation if facts.identity is not None else 0
            self._handle(gang_id, ev.Adopted(facts.job_id, generation))
            return

    def _vanished(self, job_id: SlurmJobId) -> None:
        """Slurm knows no such job, or not as theirs who follow it or name it."""
        gang_id = self._gang_of.get(job_id)
        if gang_id is not None:
            self._handle(gang_id, ev.JobVanished(job_id))
        for claimer in self._claims.gangs_of(job_id):
            machine = self._gangs.machines.get(claimer)
            if machine is not None and machine.known.job_id is None:
                self._handle(claimer, ev.Adopted(job_id, 0))
                self._handle(claimer, ev.JobVanished(job_id))
        self._settle(job_id)

    def _settle(self, job_id: SlurmJobId) -> None:
        for gang_id in self._claims.answered(job_id):
            if not self._claims.open(gang_id):
                self._settled(gang_id)


def job_observed(facts: JobFacts, *, cluster: KubeState, clock: Clock) -> ev.JobObserved:
    """The job's facts, the time that it has left, and the names of its nodes in Kubernetes."""
    end_s = facts.end_s if facts.makes_room_until_s is None else facts.makes_room_until_s
    left_s = None if end_s is None else end_s - clock.time()
    nodes = None if facts.allocation is None else cluster.nodes_of(facts.allocation)
    return ev.JobObserved(facts, left_s, nodes)


def _named_by(pod: Pod) -> SlurmJobId | None:
    """The job that the pod says it belongs to: a label (it was pinned) counts more than a
    condition (it was queued)."""
    return pod.job_id if pod.job_id is not None else messages.job_id_of(pod.allocated)
