"""Where in Slurm's queue a job is."""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Protocol

from bridge.explain.rows import Place
from bridge.model.ids import SlurmJobId

_Key = tuple[int, int]


class Waiting(Protocol):
    """A job that waits."""

    @property
    def id(self) -> SlurmJobId: ...
    @property
    def partition(self) -> str: ...
    @property
    def priority(self) -> int | None: ...


class Lines:
    """The lines before Slurm's partitions. Slurm looks at a partition's jobs by priority, then by
    age; a job that names several partitions stands in the line of each."""

    def __init__(self, waiting: Iterable[Waiting]) -> None:
        self._keys: dict[str, list[_Key]] = {}
        for job in waiting:
            for partition in job.partition.split(","):
                self._keys.setdefault(partition, []).append(_key(job))
        for keys in self._keys.values():
            keys.sort()

    def place(self, job: Waiting) -> Place:
        """The best place of a job that waits, whether it was among the others or not."""
        places = [self._place(job, partition) for partition in job.partition.split(",")]
        return min(places, key=lambda one: (one.ahead, one.waiting))

    def _place(self, job: Waiting, partition: str) -> Place:
        keys, key = self._keys.get(partition, []), _key(job)
        ahead = bisect_left(keys, key)
        is_there = ahead < len(keys) and keys[ahead] == key
        return Place(ahead, len(keys) + (not is_there), partition)


def _key(job: Waiting) -> _Key:
    return -(job.priority or 0), job.id
