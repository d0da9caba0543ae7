"""A pod with its owners: their annotations count for the pod, those nearest the pod first."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bridge.model.owner import BatchJob, Owner, PodGroup
from bridge.model.pod import Pod


@dataclass(frozen=True, slots=True)
class Lineage:
    """A pod with its owners, from its own controller up to the topmost that can be read."""

    pod: Pod
    owners: tuple[Owner, ...] = ()
    group: PodGroup | None = None
    """The PodGroup that the pod names."""
    workload: Owner | None = None
    """The Workload that the PodGroup was made from."""

    @property
    def nearest(self) -> Owner | None:
        """The pod's own controller."""
        return self.owners[0] if self.owners else None

    @property
    def job(self) -> BatchJob | None:
        """The Job that made the pod."""
        return self.nearest if isinstance(self.nearest, BatchJob) else None

    @property
    def annotations(self) -> Mapping[str, str]:
        """The annotations of the pod and its owners; the one nearest the pod wins."""
        groups = [one.annotations for one in (self.workload, self.group) if one is not None]
        owners = [owner.annotations for owner in self.owners]
        return merged([self.pod.annotations, *groups, *owners])


def merged(annotations: Iterable[Mapping[str, str]]) -> Mapping[str, str]:
    """All annotations; if two have different values, the first wins."""
    every: dict[str, str] = {}
    for one in reversed(list(annotations)):
        every.update(one)
    return every
