"""Which Slurm jobs pods name as theirs, until Slurm itself has said whose they are. Pure.

A label or a condition is what a pod says of itself; a job's admin_comment is what proves it. So a
gang whose pods name jobs decides nothing before each of these jobs has been read.
"""

from collections.abc import Iterable

from bridge.model.ids import GangId, SlurmJobId


class JobClaims:
    """The open claims of pods to jobs, by job and by gang."""

    def __init__(self) -> None:
        self._gangs_of: dict[SlurmJobId, set[GangId]] = {}
        self._jobs_of: dict[GangId, set[SlurmJobId]] = {}

    def __contains__(self, job_id: SlurmJobId) -> bool:
        """Whether somebody names this job and Slurm has not said yet whose it is."""
        return job_id in self._gangs_of

    def add(self, gang_id: GangId, jobs: Iterable[SlurmJobId]) -> None:
        """Notes that pods of the gang name these jobs."""
        for job_id in jobs:
            self._gangs_of.setdefault(job_id, set()).add(gang_id)
            self._jobs_of.setdefault(gang_id, set()).add(job_id)

    def open(self, gang_id: GangId) -> frozenset[SlurmJobId]:
        """The jobs that the gang's pods name and that were not read yet."""
        return frozenset(self._jobs_of.get(gang_id, ()))

    def gangs_of(self, job_id: SlurmJobId) -> frozenset[GangId]:
        """The gangs whose pods name the job."""
        return frozenset(self._gangs_of.get(job_id, ()))

    def answered(self, job_id: SlurmJobId) -> frozenset[GangId]:
        """Closes the claims to a job that was read; returns the gangs whose pods name it."""
        gangs = self._gangs_of.pop(job_id, set())
        for gang_id in gangs:
            self._jobs_of[gang_id].discard(job_id)
            if not self._jobs_of[gang_id]:
                del self._jobs_of[gang_id]
        return frozenset(gangs)

    def forget(self, gang_id: GangId) -> None:
        """Drops the claims of a gang that is gone."""
        for job_id in self._jobs_of.pop(gang_id, ()):
            self._gangs_of[job_id].discard(gang_id)
            if not self._gangs_of[job_id]:
                del self._gangs_of[job_id]
