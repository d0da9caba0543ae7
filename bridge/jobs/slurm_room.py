"""How many of a job's tasks Slurm can give each node.

Kubernetes knows less: a pod of half a CPU is a whole core in Slurm, an exclusive job holds all of
its node, annotations raise what a job asks for, and its partition and constraints keep it to some
nodes. A job that names nodes waits for just these, so they must not be ones that Slurm can't give.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge.errors import BadInput
from bridge.gangs.languages import constraints as language
from bridge.gangs.languages.constraints import Expression
from bridge.jobs import needs
from bridge.jobs.needs import UNBOUNDED, Need
from bridge.model.ids import SlurmNodeName
from bridge.model.job import JobSpec
from bridge.state.slurm_facts import Capacities, NodeGroup

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a job asks of Slurm's nodes; a limit of 0 is none. `is_all`: nothing else narrows its
    nodes that is not known here."""

    needs: tuple[Need, ...] = ()
    cpus_per_task: int = 1
    partition: str = ""
    constraints: Expression = Expression()
    exclusive: bool = False
    whole_nodes: bool = False
    tasks_per_node: int = 0
    most_nodes: int = 0
    is_all: bool = True

    @classmethod
    def by(cls, spec: JobSpec, wished_nodes: int, max_nodes: Mapping[str, int]) -> "Asked":
        """What the job asks for that has no nodes chosen yet. `wished_nodes` is the least number of
        nodes that its user wishes, `max_nodes` has the partitions' limits."""
        try:
            constraints = language.parse(spec.constraints) if spec.constraints else Expression()
            every = needs.of(spec)
        except BadInput:
            return cls(is_all=False)
        fewest = min(spec.tasks if spec.exclusive else wished_nodes, spec.tasks)
        limits = (spec.max_nodes, max_nodes.get(spec.partition))
        return cls(
            needs=every,
            cpus_per_task=spec.cpus_per_task,
            partition=spec.partition,
            constraints=constraints,
            exclusive=spec.exclusive,
            whole_nodes=spec.whole_nodes,
            tasks_per_node=(spec.tasks - 1) // (fewest - 1) if fewest > 1 else 0,
            most_nodes=min((one for one in limits if one), default=0),
            is_all=not spec.reservation and len(constraints.same) < 2,
        )

    def room(self, nodes: Sequence[SlurmNodeName], capacities: Capacities) -> tuple[Counts, Counts]:
        """(nodes,) each: how many tasks each node takes now, and how many it could ever."""
        of_group = [self._tasks(group) for group in capacities.groups]
        nowhere = 0 if capacities.groups else self.tasks_per_node or UNBOUNDED
        ever = [
            of_group[capacities.group_of[name]] if name in capacities.group_of else nowhere
            for name in nodes
        ]
        now = [self._now(name, most, capacities) for name, most in zip(nodes, ever, strict=True)]
        return np.array(now, dtype=np.int64), np.array(ever, dtype=np.int64)

    def _tasks(self, group: NodeGroup) -> int:
        is_in = not (self.partition and group.partitions) or self.partition in group.partitions
        if not is_in or not self.constraints.fits(group.features):
            return 0
        return min(
            self.tasks_per_node or UNBOUNDED, *(need.tasks(group) for need in self.needs), UNBOUNDED
        )

    def _now(self, name: SlurmNodeName, most: int, capacities: Capacities) -> int:
        if name in capacities.out_of_service:
            return 0
        busy = capacities.busy_cpus.get(name, 0)
        if not busy or name not in capacities.group_of:
            return most
        free = capacities.groups[capacities.group_of[name]].cpus - busy
        return (
            0
            if self.exclusive or self.whole_nodes
            else min(most, max(0, free) // self.cpus_per_task)
        )
