"""A pod and all that stands above it: whose wishes count for it, nearest the pod first."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bridge.model.owner import BatchJob, Owner, PodGroup
from bridge.model.pod import Pod


@dataclass(frozen=True, slots=True)
class Lineage:
    """`owners` from the pod's own controller up to the topmost that can be read."""

    pod: Pod
    owners: tuple[Owner, ...] = ()
    group: PodGroup | None = None
    """The PodGroup that the pod names."""
    workload: Owner | None = None
    """The Workload that the group was made from."""

    @property
    def nearest(self) -> Owner | None:
        """The pod's own controller."""
        return self.owners[0] if self.owners else None

    @property
    def job(self) -> BatchJob | None:
        """The Job that made the pod."""
        return self.nearest if isinstance(self.nearest, BatchJob) else None

    @property
    def wishes(self) -> Mapping[str, str]:
        """The annotations of all, nearest the pod wins."""
        merged: dict[str, str] = {}
        for annotations in self._annotations():
            merged.update(annotations)
        return merged

    def _annotations(self) -> Iterator[Mapping[str, str]]:
        for owner in reversed(self.owners):
            yield owner.annotations
        for group in (self.group, self.workload):
            if group is not None:
                yield group.annotations
        yield self.pod.annotations
