"""Who sits where in a gang: slot i is rank i.

A slot outlives its pod: a failed pod's replacement takes over the slot and, where it can, the
node. A pod's index in its part names its slot, because its peers address it by that index.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from bridge import names
from bridge.model.gang import Assignment, Gang, Seat
from bridge.model.ids import NodeName, PodUid, SlurmJobId
from bridge.model.pod import Pod
from bridge.model.scheduling import PodShape


@dataclass(slots=True)
class Slot:
    """One rank. `done`: nobody will sit here again. `shape`: what it was placed for."""

    node: NodeName | None = None
    shape: PodShape | None = None
    pod: PodUid | None = None
    done: bool = False


class Slots:
    """The slots of one gang under one Slurm job; `sizes` are those of its parts. With `waves` the
    slot of a pod that succeeded is used again.

    Only slots that somebody has used or that have their node are kept: a size is a number that
    somebody wrote, and costs nothing before Slurm has granted it.
    """

    def __init__(self, sizes: Sequence[int] = (1,), *, waves: bool = False) -> None:
        self._first = (0, *accumulate(sizes))
        self._used: dict[int, Slot] = {}
        self._by_pod: dict[PodUid, int] = {}
        self._waves = waves

    @classmethod
    def of_gang(cls, gang: Gang | None) -> "Slots":
        """A slot for each member; one while nothing is known."""
        if gang is None:
            return cls()
        return cls(gang.sizes, waves=gang.waves)

    def __len__(self) -> int:
        return self._first[-1]

    def of(self, pod: PodUid) -> int | None:
        """The slot of `pod`, None when it has none."""
        return self._by_pod.get(pod)

    def node_of(self, pod: PodUid) -> NodeName | None:
        """The node that the slot of `pod` was given."""
        index = self._by_pod.get(pod)
        return None if index is None else self._used[index].node

    @property
    def placed(self) -> bool:
        """Every slot that may still be used has its node."""
        ready = sum(slot.node is not None or slot.done for slot in self._used.values())
        return ready == len(self)

    @property
    def all_done(self) -> bool:
        """Nobody will use any slot again."""
        return sum(slot.done for slot in self._used.values()) == len(self)

    @property
    def vacant(self) -> int:
        """Slots that somebody may still come for."""
        return len(self) - sum(slot.pod is not None or slot.done for slot in self._used.values())

    def seat(
        self, pods: Mapping[PodUid, Pod], seats: Mapping[PodUid, Seat], job_id: SlurmJobId | None
    ) -> None:
        """Free the slots whose pod is gone or ended, then give free slots to pods without one.

        `seats` say where in the gang each pod belongs (not named: anywhere in the first part). A
        pod that is pinned already under `job_id` (after a restart) brings its node along.
        """
        for slot in self._used.values():
            if slot.pod is None:
                continue
            pod = pods.get(slot.pod)
            if pod is None or pod.ended or not _holds(pod):
                succeeded = pod is not None and pod.phase == "Succeeded"
                slot.done = slot.done or (succeeded and not self._waves)
                del self._by_pod[slot.pod]
                slot.pod = None
        # Ended pods seen only after a restart: their slots need nobody again.
        for pod in pods.values():
            if pod.phase == "Succeeded" and not self._waves:
                rank = self._rank(seats.get(pod.uid, Seat()))
                if rank is not None:
                    self._slot(rank).done = True
        unseated = [
            pod
            for pod in pods.values()
            if pod.uid not in self._by_pod and not pod.ended and _holds(pod)
        ]
        if unseated:
            self._sit(_in_order(unseated, seats), seats, job_id)

    def _slot(self, rank: int) -> Slot:
        slot = self._used.get(rank)
        if slot is None:
            slot = self._used[rank] = Slot()
        return slot

    def _is_free(self, rank: int) -> bool:
        slot = self._used.get(rank)
        return slot is None or (slot.pod is None and not slot.done)

    def _rank(self, seat: Seat) -> int | None:
        """The slot that the seat names; None where it names none that there is."""
        if seat.index is None or seat.part + 1 >= len(self._first):
            return None
        rank = self._first[seat.part] + seat.index
        return rank if rank < self._first[seat.part + 1] else None

    def _sit(
        self, pods: list[Pod], seats: Mapping[PodUid, Seat], job_id: SlurmJobId | None
    ) -> None:
        """Each on the slot of its index where that is free, else on its part's first that is."""
        others = []
        for pod in pods:
            rank = self._rank(seats.get(pod.uid, Seat()))
            if rank is not None and self._is_free(rank):
                self._take(rank, pod, job_id)
            else:
                others.append(pod)
        looked_at = [iter(range(*ends)) for ends in pairwise(self._first)]
        for pod in others:
            part = min(seats.get(pod.uid, Seat()).part, len(looked_at) - 1)
            rank = next(filter(self._is_free, looked_at[part]), None)
            if rank is not None:
                self._take(rank, pod, job_id)

    def _take(self, rank: int, pod: Pod, job_id: SlurmJobId | None) -> None:
        slot = self._slot(rank)
        slot.pod = pod.uid
        self._by_pod[pod.uid] = rank
        node = pod.annotations.get(names.NODE_ANNOTATION)
        if node and job_id is not None and pod.job_id == job_id:
            slot.node = NodeName(node)

    def taken(self, pods: Mapping[PodUid, Pod], job_id: SlurmJobId) -> dict[int, NodeName]:
        """Slots whose pod is pinned or bound under this job, with their node."""
        found = {}
        for index, slot in sorted(self._used.items()):
            pod = pods.get(slot.pod) if slot.pod is not None else None
            if pod is not None and pod.job_id == job_id and slot.node is not None:
                found[index] = slot.node
        return found

    def assign(self, assignment: Assignment, shapes: Sequence[PodShape]) -> None:
        """Every slot gets its node, chosen for a pod of its shape."""
        for index, (node, shape) in enumerate(zip(assignment.nodes, shapes, strict=True)):
            slot = self._slot(index)
            slot.node, slot.shape = node, shape

    def shape_of(self, pod: PodUid) -> PodShape | None:
        """What the slot of `pod` was placed for; None when that is not known (after a restart)."""
        index = self._by_pod.get(pod)
        return None if index is None else self._used[index].shape

    def unplace(self, pod: PodUid) -> None:
        """The slot of `pod` needs a new look before anybody is pinned to it."""
        index = self._by_pod.get(pod)
        if index is not None:
            self._used[index].node = None


def _holds(pod: Pod) -> bool:
    """Whether the pod uses its node or will: a pod deleted before it was bound never does."""
    return bool(pod.node_name) or not pod.deleting


def _in_order(pods: Iterable[Pod], seats: Mapping[PodUid, Seat]) -> list[Pod]:
    last = 1 << 31
    return sorted(
        pods,
        key=lambda pod: (
            last if (index := seats.get(pod.uid, Seat()).index) is None else index,
            pod.created_s,
            pod.name,
        ),
    )
