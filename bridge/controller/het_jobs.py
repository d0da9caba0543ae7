"""Het jobs: several jobs in Slurm that are one job to the gang, under the first one's id. Pure.

The components start together; what befalls one befalls the gang: if one ends, it is over (Slurm
ends them all with the first).
"""

from dataclasses import replace

from bridge.model.ids import SlurmJobId
from bridge.model.job import Allocation, JobFacts


class HetJobs:
    """Keeps what was last seen of each component."""

    def __init__(self) -> None:
        self._seen: dict[SlurmJobId, dict[SlurmJobId, JobFacts]] = {}
        self._first: dict[SlurmJobId, SlurmJobId] = {}

    def first_of(self, job_id: SlurmJobId) -> SlurmJobId:
        """The id under which the gang knows the job."""
        return self._first.get(job_id, job_id)

    def seen(self, facts: JobFacts) -> JobFacts | None:
        """Takes in a job's newest facts; returns the gang's, None until each component was seen."""
        if not facts.components:
            return facts
        first = facts.components[0]
        seen = self._seen.setdefault(first, {})
        for job_id in facts.components:
            self._first[job_id] = first
        seen[facts.job_id] = facts
        if len(seen) < len(facts.components):
            return None
        return _together([seen[job_id] for job_id in facts.components])

    def forget(self, job_id: SlurmJobId) -> tuple[SlurmJobId, ...]:
        """Drops a job that is over for the gang; returns the ids of all its components."""
        first = self.first_of(job_id)
        ids = tuple(self._seen.pop(first, ())) or (first,)
        for one in ids:
            self._first.pop(one, None)
        return ids


def _together(facts: list[JobFacts]) -> JobFacts:
    first = replace(facts[0], also=tuple(facts[1:]))
    for one in facts:
        if one.ended or one.suspended:
            return replace(
                one,
                job_id=first.job_id,
                identity=first.identity,
                garbled=first.garbled,
                allocation=None,
            )
    held = [one.allocation for one in facts if one.allocation is not None]
    if len(held) == len(facts):
        nodes = tuple(node for allocation in held for node in allocation.nodes)
        makes_room_s = [one.makes_room_until_s for one in facts if one.makes_room_until_s]
        return replace(
            first,
            allocation=Allocation(first.job_id, nodes),
            makes_room_until_s=min(makes_room_s, default=None),
        )
    waits = [one for one in facts if one.waits]
    waiting = next((one for one in waits if one.stranded), waits[0] if waits else first)
    return replace(
        first,
        state=waiting.state,
        reason=waiting.reason,
        description=waiting.description,
        allocation=None,
    )
