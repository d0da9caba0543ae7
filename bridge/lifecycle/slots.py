"""Who sits where in a gang: slot i is rank i.

A slot outlives its pod: a failed pod's replacement takes over the slot and, where it can, the
node. A pod's index in its part names its slot, because its peers address it by that index.

A slot that nobody needs any more is *done* (its pod succeeded) or *released* (its owner wants fewer
pods). A released slot is taken again when its owner wants more.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from bridge.model.gang import Assignment, Gang, Seat
from bridge.model.ids import NodeName, PodUid, SlurmJobId
from bridge.model.pod import Pod
from bridge.model.scheduling import PodShape


@dataclass(slots=True)
class Slot:
    """One rank. `done`: nobody will sit here again; `released`: nobody is wanted here now.
    `shape`: what it was placed for."""

    node: NodeName | None = None
    shape: PodShape | None = None
    pod: PodUid | None = None
    done: bool = False
    released: bool = False

    @property
    def is_vacant(self) -> bool:
        """Whether somebody may still come for it."""
        return not (self.pod is not None or self.done or self.released)


class Slots:
    """The slots of one gang under one Slurm job.

    Only slots that somebody has used or that have their node are kept: a size is a number that
    somebody wrote, and costs nothing before Slurm has granted it.
    """

    def __init__(self, gang: Gang | None) -> None:
        self._gang = gang
        """None: one slot, as long as nothing is known."""
        self._sizes = gang.sizes if gang is not None else (1,)
        self._first = (0, *accumulate(self._sizes))
        self._used: dict[int, Slot] = {}
        self._by_pod: dict[PodUid, int] = {}

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
        ready = sum(
            slot.node is not None or slot.done or slot.released for slot in self._used.values()
        )
        return ready == len(self)

    @property
    def usable(self) -> list[int]:
        """(parts,) slots that somebody uses or may use."""
        count = list(self._sizes)
        for rank, slot in self._used.items():
            count[self._part(rank)] -= slot.done
        return count

    def part_of(self, pod: PodUid) -> int | None:
        """The part of the slot of `pod`, None when it has none."""
        rank = self._by_pod.get(pod)
        return None if rank is None else self._part(rank)

    @property
    def all_done(self) -> bool:
        """Nobody will use any slot again."""
        return sum(slot.done for slot in self._used.values()) == len(self)

    @property
    def vacant(self) -> int:
        """Slots that somebody may still come for."""
        return len(self) - sum(not slot.is_vacant for slot in self._used.values())

    def vacant_outside(self, parts: frozenset[int]) -> int:
        """The same, but for the slots of some parts."""
        if not parts:
            return self.vacant
        others = sum(size for part, size in enumerate(self._sizes) if part not in parts)
        return others - sum(
            not slot.is_vacant and self._part(rank) not in parts
            for rank, slot in self._used.items()
        )

    def idle_nodes(self, held: Collection[NodeName] = ()) -> tuple[NodeName, ...]:
        """Nodes of slots that nobody needs any more, which no other slot has; and those of `held`
        that no slot has, once all slots have theirs."""
        idle: set[NodeName | None] = set(held) if self.placed else set()
        idle |= {
            slot.node
            for slot in self._used.values()
            if slot.pod is None and (slot.done or slot.released)
        }
        idle -= {
            slot.node
            for slot in self._used.values()
            if slot.pod is not None or not (slot.done or slot.released)
        }
        return tuple(sorted(node for node in idle if node is not None))

    def release(self, wanted: Gang) -> bool:
        """The gang's pods are as many as `wanted` says by now: slots that are too many are
        released, and those that are wanted again are taken back. Whether some of these were done.

        A gang of other parts than the job was submitted for says nothing here.
        """
        if self._gang is None or len(wanted.sizes) != len(self._sizes):
            return False
        begin_again = False
        for part, count in enumerate(wanted.sizes):
            ranks = range(*self._ends(part))
            free = [rank for rank in ranks if self._is_free(rank)]
            taken = sum(rank in self._used and self._used[rank].pod is not None for rank in ranks)
            if not self._gang.is_in_waves(part):
                wanted_indexes = self._indexes(wanted, part)
                again = self._again(part, wanted_indexes, lacking=count - taken - len(free))
                begin_again = begin_again or bool(again)
                free += again
                free.sort(key=lambda rank: self._index(part, rank) not in wanted_indexes)
            self._release(free, spare=max(0, count - taken))
        return begin_again

    def _again(self, part: int, wanted: Collection[int], *, lacking: int) -> list[int]:
        """Slots that are done and that nobody calls done any more: their owner has begun anew.
        (Of a gang that is done as a whole nothing is left to be asked for.)"""
        if lacking <= 0 or self.all_done:
            return []
        done = [rank for rank in range(*self._ends(part)) if self._is_done(rank)]
        again = [rank for rank in done if self._index(part, rank) in wanted][:lacking]
        for rank in again:
            self._used[rank].done = False
        return again

    def _indexes(self, gang: Gang, part: int) -> Collection[int]:
        known = gang.indexes[part] if gang.indexes else ()
        return frozenset(known) if known else range(gang.sizes[part])

    def _release(self, free: Sequence[int], *, spare: int) -> None:
        """Of the free slots the first are wanted, `spare` of them; the others are released."""
        for at, rank in enumerate(free):
            if rank in self._used or at >= spare:
                self._slot(rank).released = at >= spare

    def _index(self, part: int, rank: int) -> int:
        """The pod index that a slot of a part without waves is for."""
        at = rank - self._first[part]
        known = self._gang.indexes[part] if self._gang and self._gang.indexes else None
        return known[at] if known else at

    def _ends(self, part: int) -> tuple[int, int]:
        return self._first[part], self._first[part + 1]

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
                slot.done = slot.done or (
                    succeeded and not self._is_in_waves(self._by_pod[slot.pod])
                )
                del self._by_pod[slot.pod]
                slot.pod = None
        # Ended pods seen only after a restart: their slots need nobody again.
        for pod in pods.values():
            if pod.phase == "Succeeded":
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

    def _is_done(self, rank: int) -> bool:
        slot = self._used.get(rank)
        return slot is not None and slot.done

    def _rank(self, seat: Seat) -> int | None:
        """The slot that the seat names; None where it names none that there is."""
        if self._gang is None:
            return 0 if seat == Seat(0, 0) else None
        return self._gang.slot_of(seat)

    def _is_in_waves(self, rank: int) -> bool:
        if self._gang is None:
            return False
        return self._gang.is_in_waves(self._part(rank))

    def _part(self, rank: int) -> int:
        return bisect_right(self._first, rank) - 1

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
        slot.pod, slot.released = pod.uid, False
        self._by_pod[pod.uid] = rank
        if pod.pinned_node and job_id is not None and pod.job_id == job_id:
            slot.node = pod.pinned_node

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

    def keep(self, nodes: frozenset[NodeName]) -> None:
        """The job holds no other nodes than these: slots on others need a new look."""
        for slot in self._used.values():
            if slot.node is not None and slot.node not in nodes:
                slot.node = None

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
