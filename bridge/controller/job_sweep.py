"""Finds the jobs of this cluster that no gang follows: lost answers, and leaks.

What proves that a job is a gang's is the job's admin_comment (cluster, gang, generation), which
only operators of Slurm can write. Jobs that no pod names are read one by one; the ids of other
people's jobs are remembered, so each is read once. `/jobs/` as a whole is never read.

A job of this cluster whose gang is gone, or whose admin_comment can't be understood, is a leak and
is cancelled.
"""

from collections.abc import Set

import structlog

from bridge import slurm
from bridge.clock import Clock
from bridge.controller.active_gangs import ActiveGangs
from bridge.controller.faults import Faults
from bridge.controller.job_canceller import JobCanceller
from bridge.controller.job_index import JobIndex
from bridge.controller.job_proof import JobProof
from bridge.errors import BridgeError, Unreachable
from bridge.jobs import to_slurm
from bridge.kube.api.events import EventRecorder, ObjectRef
from bridge.model.ids import GangId, SlurmJobId
from bridge.model.job import JobFacts, JobIdentity
from bridge.retry import Backoff
from bridge.state.kube_state import KubeState

log = structlog.get_logger(__name__)

_READ_AGAIN_S, _READ_AGAIN_MOST_S = 10.0, 600.0


class JobSweep:
    """Gives each job that it finds to its gang, or has it cancelled."""

    def __init__(
        self,
        *,
        proof: JobProof,
        client: slurm.SlurmClient,
        watcher: slurm.JobWatcher,
        cluster: KubeState,
        gangs: ActiveGangs,
        faults: Faults,
        index: JobIndex,
        canceller: JobCanceller,
        recorder: EventRecorder,
        clock: Clock,
    ) -> None:
        self._proof = proof
        self._client = client
        self._watcher = watcher
        self._cluster = cluster
        self._gangs = gangs
        self._faults = faults
        self._index = index
        self._canceller = canceller
        self._recorder = recorder
        self._unreadable = _UnreadableJobs(clock)
        self._foreign: set[SlurmJobId] = set()
        self._suspects: set[SlurmJobId] = set()
        """Jobs of this cluster without a gang: cancelled if the next sweep finds no gang either."""

    async def run_once(self) -> None:
        """Reads every job that no gang follows, once. Raises Unreachable.

        Jobs that have ended are not read: they hold nothing, and all jobs of ours end one day.
        """
        states = self._watcher.states
        self._foreign &= states.keys()
        self._suspects &= states.keys()
        self._unreadable.keep(states.keys())
        read, failure = 0, None
        for job_id in sorted(states.keys() - self._foreign):
            if slurm.over(states[job_id]) or self._index.knows(job_id):
                continue
            if not self._unreadable.may_read(job_id):
                continue
            try:
                facts = to_slurm.facts(await self._client.get_job(job_id))
                self._judge(facts)
            except slurm.NotFound:
                continue
            except Exception as error:
                if _is_outage(error):
                    raise
                failure = error  # somebody's job must not keep ours from being found
                self._unreadable.add(job_id, error)
            else:
                read += 1
                self._unreadable.discard(job_id)
        if isinstance(failure, BridgeError) and not read:
            raise failure  # no job at all could be read: it is not the jobs

    def _judge(self, facts: JobFacts) -> None:
        identity = facts.identity
        if facts.components and facts.job_id != facts.components[0]:
            return  # a het job is judged by its first component
        if facts.garbled is not None and facts.garbled.cluster == self._proof.cluster_uid:
            self._end_garbled(facts)
        elif identity is None or identity.cluster != self._proof.cluster_uid or facts.ended:
            self._foreign.add(facts.job_id)
        elif not self._index.knows(facts.job_id):  # else its submit was answered while we read
            self._judge_ours(facts, identity)

    def _judge_ours(self, facts: JobFacts, identity: JobIdentity) -> None:
        job_id, gang_id = facts.job_id, GangId(identity.gang)
        if self._faults.set_aside(gang_id) is not None and self._cluster.pods_of(gang_id):
            return  # the gang finds it when it is begun anew
        machine = self._gangs.machines.get(gang_id)
        if machine is None and self._cluster.may_be_of(gang_id, self._cluster.unresolved):
            return  # nobody can tell yet
        if machine is None and self._proof.restore(facts) is not None:
            machine = self._gangs.machines.get(gang_id)
        run = None if machine is None else machine.known.run
        if machine is None and job_id not in self._suspects:
            self._suspects.add(job_id)  # its pods may only not be known yet
        elif machine is None:
            self._suspects.discard(job_id)
            log.warning("job.leaked", slurm_job=job_id, owner=identity.owner)
            self._canceller.cancel_leak(job_id)
        elif run is not None and not run.is_over:
            log.warning("job.superfluous", slurm_job=job_id, kept=run.job_id)
            self._canceller.cancel_leak(job_id)
        elif machine.known.submission.under_way is None:
            log.info("job.found_again", slurm_job=job_id, owner=identity.owner)
            self._index.adopt(gang_id, job_id, identity.generation)

    def _end_garbled(self, facts: JobFacts) -> None:
        """It has our key and our cluster, so nobody else will ever end it."""
        if facts.ended or self._index.knows(facts.job_id):
            return
        log.warning("job.garbled", slurm_job=facts.job_id)
        self._recorder.emit(
            regarding=ObjectRef("Namespace", "v1", "", "kube-system", self._proof.cluster_uid),
            type="Warning",
            reason="SlurmJobNotUnderstood",
            note=f"Slurm job {facts.job_id} was submitted for this cluster, but its admin_comment "
            "can't be understood, so no pod can be found for it. slurm-bridge cancels it; if pods "
            "ran under it, they are ended",
            action="Cancel",
        )
        self._canceller.cancel_leak(facts.job_id)


class _UnreadableJobs:
    """Jobs that could not be read, each of which is tried again after a growing time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: dict[SlurmJobId, Backoff] = {}

    def may_read(self, job_id: SlurmJobId) -> bool:
        """Whether it is time to read the job (again)."""
        backoff = self._failures.get(job_id)
        return backoff is None or self._clock.monotonic() >= backoff.due_s

    def add(self, job_id: SlurmJobId, error: Exception) -> None:
        """Notes a job that could not be read; the first time is logged."""
        is_first = job_id not in self._failures
        backoff = self._failures.setdefault(
            job_id, Backoff(first_s=_READ_AGAIN_S, most_s=_READ_AGAIN_MOST_S)
        )
        backoff.failed(self._clock.monotonic())
        if is_first:
            trace = None if isinstance(error, BridgeError) else error
            log.warning("job.unreadable", slurm_job=job_id, error=str(error), exc_info=trace)

    def discard(self, job_id: SlurmJobId) -> None:
        """Drops a job that was read."""
        self._failures.pop(job_id, None)

    def keep(self, job_ids: Set[SlurmJobId]) -> None:
        """Drops all jobs but these: the others are gone from Slurm."""
        for gone in self._failures.keys() - job_ids:
            del self._failures[gone]


def _is_outage(error: Exception) -> bool:
    """Whether no other job could be read either."""
    if isinstance(error, slurm.MalformedAnswer):
        return False
    return isinstance(error, Unreachable | slurm.NotAuthorised)
