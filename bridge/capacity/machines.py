"""How many nodes of which kind are missing, where each kind of node has a known size.

The nodes that could come are imagined, and the tasks are placed on them by the same arithmetic as
on present nodes. A gang finds room for all that it misses, or nothing is asked for it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bridge import names
from bridge.capacity.plan import Counts
from bridge.capacity.present import PresentNodes
from bridge.capacity.writer import Wanted
from bridge.model.ids import GangId, NodeName
from bridge.model.node import Node
from bridge.model.resources import Resources
from bridge.model.scheduling import Taint
from bridge.state.kube_state import KubeState
from bridge.state.slurm_facts import Capacities, NodeGroup
from bridge.state.slurm_state import SlurmState


@dataclass(frozen=True, slots=True)
class MachineGroup:
    """An object whose replicas are nodes that are alike, and what such a node has."""

    api_version: str
    kind: str
    namespace: str
    name: str
    most: int
    """The most replicas that it is given."""
    allocatable: Resources
    labels: tuple[tuple[str, str], ...]
    """These tell its nodes from all others."""
    taints: tuple[Taint, ...] = ()
    partitions: frozenset[str] = frozenset()
    """Where its nodes are in Slurm; empty means in any partition."""

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    def owns(self, node: Node) -> bool:
        """Whether the node is one of its replicas."""
        return all(node.labels.get(key) == value for key, value in self.labels)


@dataclass(frozen=True, slots=True)
class Division:
    """What is asked of which group."""

    nodes: tuple[int, ...]
    """(groups,) new nodes."""
    tasks: tuple[Mapping[GangId, Counts], ...]
    """(groups,) the tasks of each gang that these nodes are for."""
    homeless: Collection[GangId]
    """Gangs for which no group has nodes, or too few."""


def counted(group: MachineGroup, wanted: Collection[Wanted], nodes: Collection[Node]) -> int:
    """How many nodes of the group count as present for all of these gangs. The others are on their
    way or of no use, and either way keep the place of a node that was asked for."""
    mine = {node.labels.get(names.HOSTNAME_LABEL, node.name) for node in nodes if group.owns(node)}
    for one in wanted:
        for hostnames in one.hostnames:
            mine &= set(hostnames)
    return len(mine)


def divide(
    wanted: Mapping[GangId, Wanted],
    groups: Sequence[MachineGroup],
    nodes: Collection[Node],
    scheduler_name: str,
) -> tuple[Division, tuple[int, ...]]:
    """What to ask of each group, the first ones first; and the replicas that it needs for that."""
    tasks = sum(sum(one.counts) for one in wanted.values())
    pools = [_Pool(group, min(group.most, tasks), scheduler_name) for group in groups]
    there = []
    for pool in pools:
        users = [one for one in wanted.values() if pool.may_take(one)]
        there.append(counted(pool.group, users, nodes))
        pool.limit(pool.group.most - there[-1])
    homeless = [gang for gang, one in wanted.items() if not _place(gang, one, pools)]
    division = Division(
        nodes=tuple(pool.used() for pool in pools),
        tasks=tuple(pool.tasks for pool in pools),
        homeless=homeless,
    )
    replicas = tuple(
        have + new if new else 0 for have, new in zip(there, division.nodes, strict=True)
    )
    return division, replicas


def _place(gang: GangId, asked: Wanted, pools: Sequence["_Pool"]) -> bool:
    before = [pool.free.copy() for pool in pools]
    left, given = asked.counts, []
    for pool in pools:
        rest = pool.place(asked, left)
        given.append(tuple(one - other for one, other in zip(left, rest, strict=True)))
        left = rest
    if any(left):
        for pool, free in zip(pools, before, strict=True):
            pool.free = free
        return False
    for pool, counts in zip(pools, given, strict=True):
        if any(counts):
            pool.tasks[gang] = counts
    return True


class _Pool:
    """So many nodes of a group, all of them imagined and empty."""

    def __init__(self, group: MachineGroup, size: int, scheduler_name: str) -> None:
        self.group = group
        self.tasks: dict[GangId, Counts] = {}
        cluster = KubeState(scheduler_name=scheduler_name)
        rows = [_imagined(group, number) for number in range(size)]
        for row in rows:
            cluster.upsert_node(row)
        capacities = Capacities(
            (NodeGroup(partitions=group.partitions, count=size),),
            dict.fromkeys((row.slurm_name for row in rows), 0),
        )
        self._present = PresentNodes(cluster, SlurmState(capacities=capacities))
        self._size = size
        self.free = self._present.free()
        self._empty = self.free.copy()

    def may_take(self, asked: Wanted) -> bool:
        """Whether some task of the gang could run there."""
        return any(
            count and self._present.most_per_node(part, asked.need.partition)
            for part, count in zip(asked.need.parts, asked.counts, strict=True)
        )

    def limit(self, size: int) -> None:
        """There are no more than so many of them."""
        self.free[:, max(0, size) :] = 0
        self._empty = self.free.copy()

    def place(self, asked: Wanted, counts: Counts) -> Counts:
        """Places these tasks of the gang; returns those that found nothing."""
        parts = tuple(
            replace(part, count=count) for part, count in zip(asked.need.parts, counts, strict=True)
        )
        return self._present.place(replace(asked.need, parts=parts), self.free)

    def used(self) -> int:
        """How many of them have tasks."""
        return int(np.count_nonzero((self.free != self._empty).any(axis=0)))


def _imagined(group: MachineGroup, number: int) -> Node:
    name = f"new-{number}"
    labels = {
        names.EXTERNAL_NODE_LABEL: "true",
        names.HOSTNAME_LABEL: name,
        **dict(group.labels),
    }
    return Node(
        name=NodeName(name),
        uid=name,
        resource_version="1",
        labels=labels,
        taints=group.taints,
        allocatable=group.allocatable,
    )
