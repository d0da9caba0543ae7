"""Which slot of a gang each pod has; slots are numbered through all roles, in rank order.

A slot outlives its pod: a failed pod's replacement takes over the slot and, where it can, the
node. A pod's index in its role names its slot, because its peers address it by that index.

A slot that nobody needs any more is *done* (its pod succeeded) or *released* (its owner wants fewer
pods). A released slot is taken again when its owner wants more.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from bridge.model.gang import Assignment, Gang, Rank
from bridge.model.ids import NodeName, PodUid, SlurmJobId
from bridge.model.pod import Pod
from bridge.model.scheduling import PodShape


@dataclass(slots=True)
class Slot:
    """`done`: no pod will have it again; `released`: the owner wants no pod for it now.
    `returned`: its node is given back to Slurm, so no pod can have it again.
    `shape`: what it was placed for. `late`: its pod came when it had its node already."""

    node: NodeName | None = None
    shape: PodShape | None = None
    pod: PodUid | None = None
    done: bool = False
    released: bool = False
    returned: bool = False
    late: bool = False

    @property
    def is_over(self) -> bool:
        """Whether no pod comes for the slot again."""
        return self.done or self.returned

    @property
    def is_unneeded(self) -> bool:
        """Whether nobody has the slot, or not for now."""
        return self.pod is None and (self.is_over or self.released)

    @property
    def is_vacant(self) -> bool:
        """Whether a pod may still come for the slot."""
        return self.pod is None and not self.is_unneeded


class Slots:
    """The slots of one gang under one Slurm job.

    Only slots that somebody has used or that have their node are kept: a size is a number that
    somebody wrote, and costs nothing before Slurm has granted it.
    """

    def __init__(self, gang: Gang | None) -> None:
        self._gang = gang
        """None while nothing is known: then there is one slot."""
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
            slot.node is not None or slot.is_over or slot.released for slot in self._used.values()
        )
        return ready == len(self)

    @property
    def usable(self) -> list[int]:
        """(roles,) slots that somebody uses or may use."""
        count = list(self._sizes)
        for number, slot in self._used.items():
            count[self._role(number)] -= slot.is_over
        return count

    def role_of(self, pod: PodUid) -> int | None:
        """The role of the slot of `pod`, None when it has none."""
        number = self._by_pod.get(pod)
        return None if number is None else self._role(number)

    @property
    def all_done(self) -> bool:
        """Whether no pod will use any slot again."""
        return sum(slot.is_over for slot in self._used.values()) == len(self)

    @property
    def vacant(self) -> int:
        """The number of slots that a pod may still come for."""
        return len(self) - sum(not slot.is_vacant for slot in self._used.values())

    def vacant_outside(self, roles: frozenset[int]) -> int:
        """The number of vacant slots, except those of some roles."""
        if not roles:
            return self.vacant
        others = sum(size for role, size in enumerate(self._sizes) if role not in roles)
        return others - sum(
            not slot.is_vacant and self._role(number) not in roles
            for number, slot in self._used.items()
        )

    def idle_nodes(self, held: Collection[NodeName] = ()) -> tuple[NodeName, ...]:
        """Nodes of slots that nobody needs any more, which no other slot has; and those of `held`
        that no slot has, once all slots have theirs."""
        idle: set[NodeName | None] = set(held) if self.placed else set()
        idle |= {slot.node for slot in self._used.values() if slot.is_unneeded}
        idle -= {slot.node for slot in self._used.values() if not slot.is_unneeded}
        return tuple(sorted(node for node in idle if node is not None))

    def release(self, wanted: Gang) -> bool:
        """The gang's pods are as many as `wanted` says by now: slots that are too many are
        released, and those that are wanted again are taken back. Whether some of these were done.

        A gang of other roles than the job was submitted for says nothing here.
        """
        if self._gang is None or len(wanted.sizes) != len(self._sizes):
            return False
        begin_again = False
        for role, count in enumerate(wanted.sizes):
            numbers = range(*self._ends(role))
            free = [number for number in numbers if self._is_free(number)]
            taken = sum(
                number in self._used and self._used[number].pod is not None for number in numbers
            )
            if not self._gang.is_in_waves(role):
                wanted_indexes = self._indexes(wanted, role)
                again = self._again(role, wanted_indexes, lacking=count - taken - len(free))
                begin_again = begin_again or bool(again)
                free += again
                free.sort(key=lambda number: self._index(role, number) not in wanted_indexes)
            self._release(free, spare=max(0, count - taken))
        return begin_again

    def _again(self, role: int, wanted: Collection[int], *, lacking: int) -> list[int]:
        """Slots that are done and that nobody calls done any more: their owner has begun anew.
        (Of a gang that is done as a whole nothing is left to be asked for.)"""
        if lacking <= 0 or self.all_done:
            return []
        done = [number for number in range(*self._ends(role)) if self._is_done(number)]
        again = [number for number in done if self._index(role, number) in wanted][:lacking]
        for number in again:
            self._used[number].done = False
        return again

    def _indexes(self, gang: Gang, role: int) -> Collection[int]:
        known = gang.indexes[role] if gang.indexes else ()
        return frozenset(known) if known else range(gang.sizes[role])

    def _release(self, free: Sequence[int], *, spare: int) -> None:
        """Of the free slots the first are wanted, `spare` of them; the others are released."""
        for at, number in enumerate(free):
            if number in self._used or at >= spare:
                self._slot(number).released = at >= spare

    def _index(self, role: int, number: int) -> int:
        """The pod index that a slot of a role without waves is for."""
        at = number - self._first[role]
        known = self._gang.indexes[role] if self._gang and self._gang.indexes else None
        return known[at] if known else at

    def _ends(self, role: int) -> tuple[int, int]:
        return self._first[role], self._first[role + 1]

    def assign(
        self, pods: Mapping[PodUid, Pod], ranks: Mapping[PodUid, Rank], job_id: SlurmJobId | None
    ) -> None:
        """Free the slots whose pod is gone or ended, then give free slots to pods without one.

        `ranks` say where in the gang each pod belongs (not named: anywhere in the first role). A
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
                number = self._number(ranks.get(pod.uid, Rank()))
                if number is not None:
                    self._slot(number).done = True
        without_slot = [
            pod
            for pod in pods.values()
            if pod.uid not in self._by_pod and not pod.ended and _holds(pod)
        ]
        if without_slot:
            self._assign_free(_in_order(without_slot, ranks), ranks, job_id)

    def _slot(self, number: int) -> Slot:
        slot = self._used.get(number)
        if slot is None:
            slot = self._used[number] = Slot()
        return slot

    def _is_free(self, number: int) -> bool:
        slot = self._used.get(number)
        return slot is None or (slot.pod is None and not slot.is_over)

    def _is_done(self, number: int) -> bool:
        slot = self._used.get(number)
        return slot is not None and slot.done and not slot.returned

    def _number(self, rank: Rank) -> int | None:
        """The slot that the rank names; None where it names none that there is."""
        if self._gang is None:
            return 0 if rank == Rank(0, 0) else None
        return self._gang.slot_of(rank)

    def _is_in_waves(self, number: int) -> bool:
        if self._gang is None:
            return False
        return self._gang.is_in_waves(self._role(number))

    def _role(self, number: int) -> int:
        return bisect_right(self._first, number) - 1

    def _assign_free(
        self, pods: list[Pod], ranks: Mapping[PodUid, Rank], job_id: SlurmJobId | None
    ) -> None:
        """Each on the slot of its index where that is free, else on its role's first that is."""
        others = []
        for pod in pods:
            number = self._number(ranks.get(pod.uid, Rank()))
            if number is not None and self._is_free(number):
                self._take(number, pod, job_id)
            else:
                others.append(pod)
        looked_at = [iter(range(*ends)) for ends in pairwise(self._first)]
        for pod in others:
            role = min(ranks.get(pod.uid, Rank()).role, len(looked_at) - 1)
            number = next(filter(self._is_free, looked_at[role]), None)
            if number is not None:
                self._take(number, pod, job_id)

    def _take(self, number: int, pod: Pod, job_id: SlurmJobId | None) -> None:
        slot = self._slot(number)
        slot.pod, slot.released, slot.late = pod.uid, False, slot.node is not None
        self._by_pod[pod.uid] = number
        if pod.pinned_node and job_id is not None and pod.job_id == job_id:
            slot.node = pod.pinned_node

    def taken(self, pods: Mapping[PodUid, Pod], job_id: SlurmJobId) -> dict[int, NodeName]:
        """The slots whose pod is pinned or bound under this job, with their node."""
        found = {}
        for index, slot in sorted(self._used.items()):
            pod = pods.get(slot.pod) if slot.pod is not None else None
            if pod is not None and pod.job_id == job_id and slot.node is not None:
                found[index] = slot.node
        return found

    def kept(self, moving: Collection[PodUid]) -> dict[int, NodeName]:
        """Slots that have their node, with it, but for those of pods that need another one."""
        return {
            number: slot.node
            for number, slot in sorted(self._used.items())
            if slot.node is not None and slot.pod not in moving
        }

    def unneeded(self) -> list[int]:
        """Slots that nobody needs, or not for now."""
        return [number for number, slot in sorted(self._used.items()) if slot.is_unneeded]

    def give_back(self, nodes: Collection[NodeName]) -> None:
        """Slurm is asked to take these idle nodes back: no pod comes there from now on."""
        self._return(nodes, returned=True)

    def take_back(self, nodes: Collection[NodeName]) -> None:
        """The job keeps these nodes after all."""
        self._return(nodes, returned=False)

    def _return(self, nodes: Collection[NodeName], *, returned: bool) -> None:
        for slot in self._used.values():
            if slot.node in nodes and slot.is_unneeded:
                slot.returned = returned

    def place(self, assignment: Assignment, shapes: Sequence[PodShape]) -> None:
        """Every slot that needs one gets its node, chosen for a pod of its shape; one that nobody
        needs has none any more where another slot may have got it."""
        given = frozenset(assignment.nodes)
        for index, (node, shape) in enumerate(zip(assignment.nodes, shapes, strict=True)):
            slot = self._slot(index)
            if node:
                slot.node, slot.shape, slot.late = node, shape, False
            elif slot.node in given:
                slot.node = None

    def shape_of(self, pod: PodUid) -> PodShape | None:
        """The shape that the slot of `pod` was placed for; None if not known (after a restart)."""
        index = self._by_pod.get(pod)
        return None if index is None else self._used[index].shape

    def is_late(self, pod: PodUid) -> bool:
        """Whether the slot of `pod` was placed before there was this pod."""
        index = self._by_pod.get(pod)
        return index is not None and self._used[index].late

    def keep(self, nodes: frozenset[NodeName]) -> None:
        """The job holds only these nodes: slots on other nodes have to be placed again, unless
        nobody needs them."""
        for slot in self._used.values():
            if slot.node is not None and slot.node not in nodes:
                slot.node, slot.returned = None, slot.is_unneeded

    def unplace(self, pod: PodUid) -> None:
        """The slot of `pod` has to be placed again before a pod is pinned to it."""
        index = self._by_pod.get(pod)
        if index is not None:
            self._used[index].node = None


def _holds(pod: Pod) -> bool:
    """Whether the pod uses its node or will: a pod deleted before it was bound never does."""
    return bool(pod.node_name) or not pod.deleting


def _in_order(pods: Iterable[Pod], ranks: Mapping[PodUid, Rank]) -> list[Pod]:
    last = 1 << 31
    return sorted(
        pods,
        key=lambda pod: (
            last if (index := ranks.get(pod.uid, Rank()).index) is None else index,
            pod.created_s,
            pod.name,
        ),
    )
