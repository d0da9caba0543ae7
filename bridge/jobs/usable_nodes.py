"""The nodes of Slurm that one component of a job may use, and how many of its tasks they take.

What others use counts as free.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.gangs.languages.constraints import Expression
from bridge.jobs.needs import Need
from bridge.model.ids import SlurmNodeName
from bridge.model.job import JobSpec
from bridge.state.slurm_facts import Capacities, NodeGroup


@dataclass(frozen=True, slots=True)
class Usable:
    """Nodes of one group: how many the job may use, how many of these are out of service, and how
    many more it leaves out by name."""

    group: NodeGroup
    count: int
    out_of_service: int
    left_out: int
    by_need: tuple[int, ...]
    """How many tasks each node takes by each need alone; by all needs: `tasks`."""
    tasks: int


@dataclass(frozen=True, slots=True)
class UsableNodes:
    """The nodes of a component's partition, or those that its constraints allow too."""

    spec: JobSpec
    needs: tuple[Need, ...]
    nodes: tuple[Usable, ...]
    required: Mapping[SlurmNodeName, NodeGroup | None]
    """The nodes that the job must have; None for a node that it may not use."""
    in_partition: int
    """How many nodes the partition has."""
    knows_partition: bool
    """Whether the partition's nodes were read from Slurm; else these are all nodes."""

    @classmethod
    def in_its_partition(
        cls, spec: JobSpec, asked: Sequence[Need], capacities: Capacities
    ) -> "UsableNodes":
        """The nodes that the component may use by its partition and by name."""
        groups, group_of = capacities.groups, capacities.group_of
        excluded = set(spec.excluded_nodes)
        left_out = Counter(group_of[name] for name in excluded if name in group_of)
        away = Counter(group_of[name] for name in capacities.out_of_service - excluded)
        knows = bool(spec.partition) and any(group.partitions for group in groups)
        nodes = {}
        for at, group in enumerate(groups):
            if not knows or spec.partition in group.partitions:
                by_need = tuple(need.tasks(group) for need in asked)
                count, tasks = group.count - left_out[at], min(_most(spec), *by_need)
                nodes[at] = Usable(group, count, away[at], left_out[at], by_need, tasks)
        required: dict[SlurmNodeName, NodeGroup | None] = {}
        for name in spec.required_nodes:
            found = nodes.get(group_of.get(name, -1))
            required[name] = found.group if found is not None and name not in excluded else None
        total = sum(one.group.count for one in nodes.values())
        return cls(spec, tuple(asked), tuple(nodes.values()), required, total, knows)

    def allowed_by(self, wish: Expression) -> "UsableNodes":
        """The nodes that satisfy the constraints."""
        return UsableNodes(
            spec=self.spec,
            needs=self.needs,
            nodes=tuple(one for one in self.nodes if wish.fits(one.group.features)),
            required={
                name: group if group is not None and wish.fits(group.features) else None
                for name, group in self.required.items()
            },
            in_partition=self.in_partition,
            knows_partition=self.knows_partition,
        )

    @property
    def count(self) -> int:
        """How many nodes the component may use."""
        return sum(one.count for one in self.nodes)

    @property
    def is_narrowed(self) -> bool:
        """Whether the constraints allow only some nodes of the partition."""
        return sum(one.group.count for one in self.nodes) < self.in_partition

    @property
    def asked_nodes(self) -> int:
        """The least number of nodes that the component asks for."""
        spec = self.spec
        return max(spec.min_nodes or 1, -(-spec.tasks // _most(spec)))

    def able(self, *asked: Need) -> list[Usable]:
        """The nodes that take at least one task, by these needs alone or by all."""
        there = [one for one in self.nodes if one.count]
        if not asked:
            return [one for one in there if one.tasks]
        at = [self.needs.index(need) for need in asked]
        return [one for one in there if all(one.by_need[number] for number in at)]

    def count_able(self, *asked: Need) -> int:
        """How many nodes `able` has."""
        return sum(one.count for one in self.able(*asked))

    def room(self, *asked: Need) -> int:
        """How many of its tasks all nodes together take, by these needs alone or by all."""
        if not asked:
            return sum(one.count * one.tasks for one in self.nodes)
        at, most = [self.needs.index(need) for need in asked], _most(self.spec)
        return sum(
            one.count * min(most, *(one.by_need[number] for number in at)) for one in self.nodes
        )

    def needed_nodes(self) -> int:
        """The fewest nodes that take all of its tasks, with the nodes that it must have."""
        must = Counter(group for group in self.required.values() if group is not None)
        able = sorted(self.able(), key=lambda one: one.tasks, reverse=True)
        left = self.spec.tasks - sum(must[one.group] * one.tasks for one in able if must)
        found = len(self.required)
        for one in able:
            if left <= 0:
                break
            free = one.count - (must[one.group] if must else 0)
            used = min(free, -(-left // one.tasks))
            found, left = found + used, left - used * one.tasks
        return max(found, self.asked_nodes)


def _most(spec: JobSpec) -> int:
    """The most tasks on one node, whatever the node has."""
    return min(spec.tasks_per_node or spec.tasks, spec.tasks)
