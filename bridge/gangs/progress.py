"""How much of a gang needs no slot: what its Jobs' status calls done, its pods that succeeded, and
its owner's pods that queue or run on their own.

A job in Slurm is asked only for the rest. The status lasts when pods are removed and when the
bridge begins anew; the pods tell a moment earlier.
(batch/v1 Job: `status.succeeded`, `status.completedIndexes`, `status.failedIndexes`)
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.gangs import membership
from bridge.model import bounds
from bridge.model.gang import Rank
from bridge.model.ids import PodUid
from bridge.model.owner import BatchJob
from bridge.model.pod import Pod

Ranges = tuple[tuple[int, int], ...]
"""The first and last index of each run of indexes, in order."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The part of one gang that is done."""

    jobs: Mapping[str, Mapping[int, BatchJob]] = field(default_factory=dict)
    """The Jobs that make its pods, as far as they exist: of a JobSet by the name of their template
    and their number; one that stands alone is "" and 0."""
    indexes: Mapping[int, frozenset[int]] = field(default_factory=dict)
    """The indexes of pods that succeeded, by role."""
    pods: Mapping[int, int] = field(default_factory=dict)
    """The number of pods without an index that succeeded, by role."""
    elsewhere: Mapping[int, Sequence[int | None]] = field(default_factory=dict)
    """The indexes of pods that are gangs of their own, by role; None for a pod without index."""

    def job(self) -> BatchJob | None:
        """The Job that stands alone."""
        return self.jobs.get("", {}).get(0)

    def jobs_named(self, replicated: str, *, below: int) -> dict[int, BatchJob]:
        """By number: the Jobs of one template of a JobSet, of those numbers that it has."""
        made = self.jobs.get(replicated, {})
        return {number: job for number, job in made.items() if number < below}


def of(
    jobs: Sequence[BatchJob],
    pods: Iterable[Pod],
    ranks: Mapping[PodUid, Rank],
    elsewhere: Iterable[Rank] = (),
) -> Progress:
    """The progress that the Jobs' status and the gang's pods tell; `elsewhere` are the ranks that
    pods would have which are gangs of their own."""
    indexes: dict[int, set[int]] = {}
    others: dict[int, int] = {}
    for pod in pods:
        if pod.phase != "Succeeded":
            continue
        rank = ranks.get(pod.uid, Rank())
        if rank.index is None:
            others[rank.role] = others.get(rank.role, 0) + 1
        else:
            indexes.setdefault(rank.role, set()).add(rank.index)
    away: dict[int, list[int | None]] = {}
    for rank in elsewhere:
        away.setdefault(rank.role, []).append(rank.index)
    named: dict[str, dict[int, BatchJob]] = {}
    for job in jobs:
        number = bounds.number_in(job.labels.get(membership.JOB_INDEX)) or 0
        named.setdefault(job.labels.get(membership.REPLICATED_JOB, ""), {})[number] = job
    done = {role: frozenset(found) for role, found in indexes.items()}
    return Progress(named, done, others, away)


def ranges(text: str) -> Ranges:
    """The runs of indexes in a Job's status ("1,3-5,7"), in order; malformed runs are left out."""
    found = []
    for item in text.split(","):
        first, dash, last = item.partition("-")
        low = bounds.number_in(first)
        high = bounds.number_in(last) if dash else low
        if low is not None and high is not None and low <= high:
            found.append((low, high))
    return tuple(sorted(found))


def left_of(count: int, done: Ranges) -> tuple[int, ...]:
    """The indexes below `count` that are not in `done`, in order."""
    left: list[int] = []
    at = 0
    for low, high in done:
        left += range(at, min(low, count))
        at = max(at, high + 1)
    return (*left, *range(at, count))
