"""Which nodes a job gets: the smallest leaf that fits, then the nearest ones.

The rules are those of topology/tree with select/cons_tres, found by asking the real daemons
(tests/unit/sim/recordings) and by reading how they decide:

1. Switches are compared by how many of their nodes could serve and by the CPUs of these; of a job
   with GRES all free CPUs count. So eight whole-GPU tasks "fit" a leaf with seven free nodes of
   many CPUs, unless the job says that it needs eight nodes at least.
2. Among leaves that fit, the one with the fewest such nodes; where none fits, the one under the
   parent that fits best, else the fullest; ties go to the older switch. Further leaves: nearest
   to those already used if they fit the rest, else the same comparison.
3. A job that names a range of nodes gets as many as it can, one with GRES as few. Inside a leaf
   nodes are taken in table order, each as full as it goes, but one CPU is kept for every node that
   the job must still get.
4. Nodes of less weight come first, those with more free GPUs before those with fewer: a half
   used node gets tasks only where the others are not enough.
5. A job that can only be on one node (one task, or `nodes` 1) does not look at switches: it gets
   the first node that takes it whole.
"""

from dataclasses import dataclass

import numpy as np

from bridge.sim.slurm.fit import Fit
from bridge.sim.slurm.job import Request
from bridge.sim.slurm.nodes import Bools, NodeTable
from bridge.sim.slurm.topology import UNREACHABLE, Shape, Tree


@dataclass(slots=True)
class _Rest:
    """What is still missing while nodes are chosen."""

    nodes: int
    min_nodes: int
    max_nodes: int
    cpus: int

    @property
    def done(self) -> bool:
        return self.nodes <= 0 and self.cpus <= 0


class _Choice:
    """One search; `taken` maps slots to CPUs, in the order they were taken."""

    def __init__(
        self, request: Request, table: NodeTable, fit: Fit, tree: Tree | None, required: Bools
    ) -> None:
        self._request = request
        self._table = table
        self._fit = fit
        self._tree = tree
        self._required = required
        wished = request.min_nodes
        if request.max_nodes is not None and not request.has_gres:
            wished = max(wished, min(request.max_nodes, request.tasks))
        self._rest = _Rest(wished, request.min_nodes, request.most_nodes, request.cpus)
        self.taken: dict[int, int] = {}

    def run(self) -> dict[int, int] | None:
        """CPUs by slot, or None where the job does not fit."""
        serving = self._fit.tasks > 0
        if self._request.most_nodes == 1:
            return self._one_node()
        if self._required.any():
            if not serving[self._required].all():
                return None
            for slot in np.flatnonzero(self._required).tolist():
                self._take(slot)
            if self._rest.done:
                return self.taken
        elif not serving.any():
            return None
        if self._search(serving) or (self._rest.min_nodes <= 0 and self._rest.cpus <= 0):
            return self.taken
        return None

    def _one_node(self) -> dict[int, int] | None:
        whole = self._fit.tasks >= self._request.tasks
        if self._required.any():
            whole &= self._required
        slots = np.flatnonzero(whole)
        if not len(slots) or int(self._required.sum()) > 1:
            return None
        slot = int(slots[np.argmin(self._fit.weight[slots])])
        return {slot: self._request.tasks * self._request.cpus_per_task}

    def _search(self, serving: Bools) -> bool:
        leaf = self._table.leaf
        if self._tree is None:
            return any(self._take_all(group) for group in self._by_weight(serving))
        tree = self._tree.shape()
        top = self._top_switch(tree, serving)
        if top < 0:
            return False
        groups = self._by_weight(serving & self._inside(tree, top))
        if not groups:
            return False
        best = np.zeros(len(serving), np.bool_)
        for group in groups[:-1]:  # what weighs less is taken whole before anything heavier
            best |= group
            if self._take_all(group):
                return True
        best |= groups[-1]
        used = {int(leaf[slot]) for slot in self.taken}
        for number in sorted(used):
            if self._take_all(best & (leaf == number)):
                return True
        return self._leaf_by_leaf(tree, top, best, used, serving)

    def _top_switch(self, tree: Shape, serving: Bools) -> int:
        """The highest switch that holds the required nodes, or enough of what is needed."""
        leaf = self._table.leaf
        if self._required.any():
            below = tree.sums(leaf, self._required.astype(np.int64))
            enough = below > 0
        else:
            below = tree.sums(leaf, serving.astype(np.int64))
            cpus = tree.sums(leaf, self._fit.cpus)
            enough = (below >= self._request.min_nodes) & (cpus >= self._rest.cpus)
        found = -1
        for number in np.flatnonzero(enough).tolist():
            if found < 0 or tree.level[number] >= tree.level[found]:
                found = number
        if found >= 0 and self._required.any() and below[found] < int(self._required.sum()):
            return -1
        return found

    def _inside(self, tree: Shape, switch: int) -> Bools:
        leaf = self._table.leaf
        inside: Bools = (leaf >= 0) & (tree.above[leaf, switch] > 0)
        return inside

    def _by_weight(self, candidates: Bools) -> list[Bools]:
        """Groups of one weight, lightest first, as many as it takes."""
        groups: list[Bools] = []
        nodes = cpus = 0
        capacity = self._fit.tasks * self._request.cpus_per_task
        free = candidates & ~self._required
        for weight in np.unique(self._fit.weight[free]).tolist():
            group = free & (self._fit.weight == weight)
            groups.append(group)
            nodes += int(group.sum())
            cpus += int(capacity[group].sum())
            if nodes >= self._rest.nodes and cpus >= self._rest.cpus:
                return groups
        enough = nodes >= self._rest.min_nodes and cpus >= self._rest.cpus
        return groups if enough else []

    def _leaf_by_leaf(
        self, tree: Shape, top: int, best: Bools, used: set[int], serving: Bools
    ) -> bool:
        leaf = self._table.leaf
        fresh = best.copy()
        fresh[list(self.taken)] = False
        counts: list[int] = tree.sums(leaf, fresh.astype(np.int64)).tolist()
        cpus: list[int] = tree.sums(leaf, np.where(serving, self._fit.cpus, 0)).tolist()
        seen = [number for one in used for number in np.flatnonzero(tree.above[one]).tolist()]
        distance = tree.distance[seen].sum(axis=0)
        left = [
            number
            for number in tree.leaves
            if number not in used and counts[number] and tree.above[number, top]
        ]
        while left:
            far: list[int] = distance.tolist()
            chosen = -1
            for number in left:
                if far[number] < UNREACHABLE and (
                    chosen < 0 or self._better(tree, number, chosen, counts, cpus, far)
                ):
                    chosen = number
            if chosen < 0:
                return False
            left.remove(chosen)
            distance = distance + tree.distance[chosen]
            if self._take_all(best & (leaf == chosen)):
                return True
            gone = counts[chosen]
            for switch in np.flatnonzero(tree.above[chosen]).tolist():
                counts[switch] = max(counts[switch] - gone, 0)
        return False

    def _better(
        self,
        tree: Shape,
        one: int,
        other: int,
        counts: list[int],
        cpus: list[int],
        distance: list[int],
    ) -> bool:
        """Whether leaf `one` is to be taken before leaf `other`."""
        verdict, fits = self._compare(tree, one, other, counts, cpus)
        if distance[one] < distance[other] and fits:
            return True
        return distance[one] == distance[other] and verdict > 0

    def _compare(
        self, tree: Shape, one: int, other: int, counts: list[int], cpus: list[int]
    ) -> tuple[int, bool]:
        """Sign (positive: `one` is better), and whether the switch compared last fits the rest."""
        while True:
            fits = self._fits(one, counts, cpus)
            other_fits = self._fits(other, counts, cpus)
            if fits != other_fits:
                return (1 if fits else -1), fits
            if fits:
                if counts[one] != counts[other]:
                    return (1 if counts[one] < counts[other] else -1), fits
                break
            above, other_above = tree.parent[one], tree.parent[other]
            if above == other_above or above < 0 or other_above < 0:
                break
            one, other = above, other_above
        if counts[one] != counts[other]:
            return (1 if counts[one] > counts[other] else -1), fits
        return tree.level[other] - tree.level[one], fits

    def _fits(self, switch: int, counts: list[int], cpus: list[int]) -> bool:
        return counts[switch] >= self._rest.nodes and cpus[switch] >= self._rest.cpus

    def _take_all(self, slots: Bools) -> bool:
        """Take these nodes in order until nothing is missing; True when that is reached."""
        for slot in np.flatnonzero(slots).tolist():
            if slot in self.taken:
                continue
            if self._rest.max_nodes <= 0:
                return self._rest.done
            self._take(slot)
            if self._rest.done:
                return True
        return False

    def _take(self, slot: int) -> None:
        rest = self._rest
        per_task = self._request.cpus_per_task
        if self._request.exclusive:
            cpus = int(self._fit.tasks[slot]) * per_task
        else:
            kept = max(rest.min_nodes - 1, 0)
            least = self._request.tasks_per_node or 1
            tasks = min(int(self._fit.tasks[slot]), max((rest.cpus - kept) // per_task, least))
            cpus = tasks * per_task
        self.taken[slot] = cpus
        rest.cpus -= cpus
        rest.nodes -= 1
        rest.min_nodes -= 1
        rest.max_nodes -= 1


def choose(
    request: Request, table: NodeTable, fit: Fit, tree: Tree | None, required: Bools
) -> dict[int, int] | None:
    """Tasks by slot (in table order) for a job, None where it does not fit.

    `required` marks the nodes that it must get.
    """
    cpus = _Choice(request, table, fit, tree, required).run()
    if cpus is None or request.never:
        return None
    slots = sorted(cpus)
    tasks = dict.fromkeys(slots, 1)  # one each, then the rest as the nodes have room
    left = request.tasks - len(slots)
    room = {
        slot: min(cpus[slot] // request.cpus_per_task, int(fit.tasks[slot])) - 1 for slot in slots
    }
    while left > 0 and any(room.values()):
        for slot in slots:
            if left > 0 and room[slot] > 0:
                tasks[slot] += 1
                room[slot] -= 1
                left -= 1
    return tasks if left <= 0 else None
