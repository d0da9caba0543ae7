"""Who sits where in a gang: slot i is rank i.

A slot outlives its pod: a failed pod's replacement takes over the slot and, where it can, the
node. A pod's index in its part names its slot, because its peers address it by that index.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

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
    slot of a pod that succeeded is used again."""

    def __init__(self, sizes: Sequence[int] = (1,), *, waves: bool = False) -> None:
        self._first = (0, *accumulate(sizes))
        self._slots = [Slot() for _ in range(self._first[-1])]
        self._by_pod: dict[PodUid, int] = {}
        self._waves = waves

    @classmethod
    def of_gang(cls, gang: Gang | None) -> "Slots":
        """A slot for each member; one while nothing is known."""
        if gang is None:
            return cls()
        return cls(gang.sizes, waves=gang.waves)

    def __len__(self) -> int:
        return len(self._slots)

    def of(self, pod: PodUid) -> int | None:
        """The slot of `pod`, None when it has none."""
        return self._by_pod.get(pod)

    def node_of(self, pod: PodUid) -> NodeName | None:
        """The node that the slot of `pod` was given."""
        index = self._by_pod.get(pod)
        return None if index is None else self._slots[index].node

    @property
    def placed(self) -> bool:
        """Every slot that may still be used has its node."""
        return all(slot.node is not None or slot.done for slot in self._slots)

    @property
    def all_done(self) -> bool:
        """Nobody will use any slot again."""
        return all(slot.done for slot in self._slots)

    @property
    def vacant(self) -> int:
        """Slots that somebody may still come for."""
        return sum(slot.pod is None and not slot.done for slot in self._slots)

    def seat(
        self, pods: Mapping[PodUid, Pod], seats: Mapping[PodUid, Seat], job_id: SlurmJobId | None
    ) -> None:
        """Free the slots whose pod is gone or ended, then give free slots to pods without one.

        `seats` say where in the gang each pod belongs (not named: anywhere in the first part). A
        pod that is pinned already under `job_id` (after a restart) brings its node along.
        """
        for slot in self._slots:
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
                    self._slots[rank].done = True
        unseated = [
            pod
            for pod in pods.values()
            if pod.uid not in self._by_pod and not pod.ended and _holds(pod)
        ]
        if unseated:
            self._sit(_in_order(unseated, seats), seats, job_id)

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
        free = {i: slot for i, slot in enumerate(self._slots) if slot.pod is None and not slot.done}
        ranks = {pod.uid: self._rank(seats.get(pod.uid, Seat())) for pod in pods}
        by_rank = [pod for pod in pods if ranks[pod.uid] in free]
        for pod in (*by_rank, *(pod for pod in pods if ranks[pod.uid] not in free)):
            rank = ranks[pod.uid]
            if rank is None or rank not in free:
                part = min(seats.get(pod.uid, Seat()).part, len(self._first) - 2)
                rank = next((i for i in free if self._is_of(i, part)), None)
                if rank is None:
                    continue
            slot = free.pop(rank)
            slot.pod = pod.uid
            self._by_pod[pod.uid] = rank
            node = pod.annotations.get(names.NODE_ANNOTATION)
            if node and job_id is not None and pod.job_id == job_id:
                slot.node = NodeName(node)

    def _is_of(self, rank: int, part: int) -> bool:
        return self._first[part] <= rank < self._first[part + 1]

    def taken(self, pods: Mapping[PodUid, Pod], job_id: SlurmJobId) -> dict[int, NodeName]:
        """Slots whose pod is pinned or bound under this job, with their node."""
        found = {}
        for index, slot in enumerate(self._slots):
            pod = pods.get(slot.pod) if slot.pod is not None else None
            if pod is not None and pod.job_id == job_id and slot.node is not None:
                found[index] = slot.node
        return found

    def assign(self, assignment: Assignment, shapes: Sequence[PodShape]) -> None:
        """Every slot gets its node, chosen for a pod of its shape."""
        for slot, node, shape in zip(self._slots, assignment.nodes, shapes, strict=True):
            slot.node, slot.shape = node, shape

    def shape_of(self, pod: PodUid) -> PodShape | None:
        """What the slot of `pod` was placed for; None when that is not known (after a restart)."""
        index = self._by_pod.get(pod)
        return None if index is None else self._slots[index].shape

    def unplace(self, pod: PodUid) -> None:
        """The slot of `pod` needs a new look before anybody is pinned to it."""
        index = self._by_pod.get(pod)
        if index is not None:
            self._slots[index].node = None


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
