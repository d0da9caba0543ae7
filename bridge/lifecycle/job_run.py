"""One Slurm job of a gang, from its submit or adoption to its end."""

from dataclasses import dataclass

from bridge.lifecycle.placement import Placement
from bridge.lifecycle.tuning import Tuning
from bridge.lifecycle.waits.deadline import Deadline
from bridge.model.gang import Gang
from bridge.model.ids import NodeName, SlurmJobId
from bridge.model.job import Allocation, JobFacts, JobSpec


@dataclass(slots=True)
class JobEnding:
    """The steps to the job's end, once no pod needs the job. Times are monotonic seconds."""

    empty_since_s: float | None = None
    """Since when no pod uses the job."""
    cancel_at_s: float | None = None
    """When the job's end is asked for again; None until it was asked for once."""
    makes_room_until_s: float | None = None
    """Slurm has told the job to make room for another one, and takes its nodes then."""


class JobRun:
    """One job run, dropped whole when the job is over or given up. Times: monotonic seconds."""

    def __init__(
        self,
        job_id: SlurmJobId,
        gang: Gang | None,
        spec: JobSpec | None,
        *,
        submitted_s: float,
        tuning: Tuning,
    ) -> None:
        self.job_id = job_id
        self.gang = gang
        """The gang that the job is for: as submitted to Slurm, or, if the job was found after a
        start, as the pods asked then."""
        self.spec = spec
        """The job as last sent to Slurm; None if that is not known."""
        self.was_found = spec is None
        """Whether the job was found after a start: then only what it holds shows its size."""
        self.submitted_s = submitted_s
        self.facts: JobFacts | None = None
        """What Slurm last said of the job; None until Slurm has said something."""
        self.shortage = ""
        """Why no nodes can ever take the job; "" if that was not asked for or is not certain."""
        self.nodes: frozenset[NodeName] | None = None
        """The nodes that the job holds; None when that is not known."""
        self.placement = Placement(gang, tuning)
        self.deadline = Deadline(warn_s=tuning.notices.warn_s, margin_s=tuning.notices.end_margin_s)
        self.ending = JobEnding()
        self.review_at_s: float | None = None
        """When the job is compared with the gang again."""

    @property
    def waits(self) -> bool:
        """Whether Slurm keeps the job in its queue."""
        return self.facts is not None and self.facts.waits

    @property
    def allocation(self) -> Allocation | None:
        """The nodes that the job holds now, with the resources on each."""
        return None if self.facts is None else self.facts.allocation

    @property
    def makes_room(self) -> bool:
        """Whether Slurm preempts the job, and its GraceTime runs: nothing new starts there."""
        return self.ending.makes_room_until_s is not None

    @property
    def is_over(self) -> bool:
        """Whether the job's resources may be somebody else's."""
        return self.facts is not None and (self.facts.ended or self.facts.suspended)

    def may_hold(self, gang: Gang) -> bool:
        """Whether the job may hold nodes for more pods than known: the gang was larger once, or is
        again as large as the job was made."""
        known = self.gang
        if not self.was_found or known is None or len(gang.sizes) != len(known.sizes):
            return False
        return any(new > old for new, old in zip(gang.sizes, known.sizes, strict=True))

    def take(self, gang: Gang) -> None:
        """The job is for this gang from now on."""
        if self.gang is None or gang.sizes != self.gang.sizes:
            self.placement.resize(gang)
        self.gang = gang
