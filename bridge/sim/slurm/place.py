"""Where a job could go: masks of nodes, one try on given free resources, and the shares."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bridge.sim.slurm import features, fit, gres, select
from bridge.sim.slurm.job import Request, Share
from bridge.sim.slurm.nodes import Bools, Free, Ints, NodeTable
from bridge.sim.slurm.partition import Partition
from bridge.sim.slurm.topology import Tree


@dataclass(frozen=True, slots=True)
class Try:
    """Outcome of one try: `tasks` by slot, None where the job does not fit. `no_switch` tells
    that there were nodes enough, but no switch that had enough below it.
    """

    tasks: dict[int, int] | None
    no_switch: bool = False


Ever = Literal["yes", "unknown feature", "required node gone", "too large", "no way", "not now"]
"""Whether a job could run if nothing else did. "too large": it asks for more CPUs or nodes than the
partition has in all; "no way": it does not, but its nodes don't suffice all the same; "not now":
those that would are down, drained or lost.
"""


_ANY = Request()


class Placer:
    """Answers "where" for the node table as it is; remembers masks until the table changes."""

    def __init__(self, table: NodeTable, tree: Tree | None) -> None:
        self._table = table
        self._tree = tree
        self._masks: dict[tuple[str, str, tuple[str, ...], bool], Bools] = {}
        self._known: set[str] = set()
        self._ever_known: set[str] = set()
        self._version = -1
        self._evers: dict[object, Ever] = {}
        self._failures: dict[object, Try] = {}
        self._usage_version = -1

    def spans(self, partition: Partition) -> Bools:
        """All nodes of a partition."""
        return self._mask(partition, _ANY)

    def may_use(self, request: Request, partition: Partition) -> Bools:
        """Nodes of the partition that the job's constraints and exclusions allow; of an external
        node nobody runs a script.
        """
        return self._mask(partition, request)

    def required(self, request: Request) -> Bools | None:
        """The nodes it must get; None when one of them is gone."""
        mask = np.zeros(len(self._fresh().exists), np.bool_)
        for name in request.required:
            node = self._table.get(name)
            if node is None:
                return None
            mask[node.slot] = True
        return mask

    def features_known(self, request: Request, *, once: bool = False) -> bool:
        """Whether every feature it names is on some node; `once`: is, or was before."""
        if request.expression is None:
            return True
        self._fresh()
        return request.expression.names() <= (self._ever_known if once else self._known)

    def ever(self, request: Request, partition: Partition) -> Ever:
        """Whether it could run if nothing else did, remembered until a node changes."""
        self._fresh()
        known = self._evers.get(request.shape)
        if known is None:
            known = self._evers[request.shape] = self._ever(request, partition)
        return known

    def _ever(self, request: Request, partition: Partition) -> Ever:
        if not self.features_known(request):
            return "unknown feature"
        if self.required(request) is None:
            return "required node gone"
        spans = self.spans(partition)
        total_cpus = int(self._table.cpus[spans].sum())
        if request.cpus > total_cpus or request.min_nodes > int(spans.sum()):
            return "too large"
        anywhere, empty = self.may_use(request, partition), self._table.empty()
        if self.attempt(request, empty, anywhere).tasks is None:
            return "no way"
        usable = anywhere & self._table.usable
        return "yes" if self.attempt(request, empty, usable).tasks is not None else "not now"

    def now(self, request: Request, allowed: Bools, apart: frozenset[str]) -> Try:
        """One try with what is free now; a failure is remembered until something changes.

        `allowed` follows from the request and `apart` (partitions whose nodes it may not have).
        """
        free = self._table.free()
        if self._usage_version != self._table.usage_version:
            self._failures.clear()
            self._usage_version = self._table.usage_version
        key = (request.shape, apart)
        known = self._failures.get(key)
        if known is None:
            known = self.attempt(request, free, allowed)
            if known.tasks is None:
                self._failures[key] = known
        return known

    def capacity(self, request: Request, partition: Partition) -> Ints:
        """How many of its tasks each node could take if nothing else ran."""
        allowed = self.may_use(request, partition)
        return fit.fit(request, self._table, self._table.empty(), allowed).tasks

    def attempt(self, request: Request, free: Free, allowed: Bools) -> Try:
        """One try with these free resources on these nodes."""
        required = self.required(request)
        if required is None or (required & ~allowed).any():
            return Try(None)
        capacity = fit.fit(request, self._table, free, allowed)
        if int(capacity.tasks.sum()) * request.cpus_per_task < request.cpus:
            return Try(None, self._no_switch(request, capacity))
        tasks = self._choose(request, capacity, required, allowed)
        return Try(tasks, tasks is None and self._no_switch(request, capacity))

    def _no_switch(self, request: Request, capacity: fit.Fit) -> bool:
        if self._tree is None or request.most_nodes == 1 or request.required:
            return False
        needed = request.min_nodes
        if request.tasks_per_node:
            needed = max(needed, math.ceil(request.tasks / request.tasks_per_node))
        serving = (self._table.leaf >= 0) & (capacity.tasks > 0)
        return int(serving.sum()) >= needed

    def _choose(
        self, request: Request, capacity: fit.Fit, required: Bools, allowed: Bools
    ) -> dict[int, int] | None:
        alternatives = self._alternatives(request)
        if not alternatives:
            return select.choose(request, self._table, capacity, self._tree, required)
        for alternative in alternatives:  # square brackets: all nodes from one alternative
            mask = self._matching(alternative) & allowed
            narrowed = capacity.narrowed(mask)
            found = select.choose(request, self._table, narrowed, self._tree, required)
            if found is not None:
                return found
        return None

    @staticmethod
    def _alternatives(request: Request) -> list[features.Group | str]:
        expression = request.expression
        if expression is None:
            return []
        operands = [expression.first, *(operand for _, operand in expression.rest)]
        for operand in operands:
            if isinstance(operand, features.Group) and operand.same_for_all:
                return [operand.first, *(other for _, other in operand.rest)]
        return []

    def _matching(self, operand: features.Group | str) -> Bools:
        mask = np.zeros(len(self._table.exists), np.bool_)
        for node in self._table:
            if isinstance(operand, features.Group):
                mask[node.slot] = operand.matches(node.features)
            else:
                mask[node.slot] = operand in node.features
        return mask

    def shares(self, request: Request, tasks: dict[int, int]) -> tuple[Share, ...]:
        """What each chosen node gives, down to the pieces of GRES."""
        return tuple(self._share(request, slot, count) for slot, count in sorted(tasks.items()))

    def _share(self, request: Request, slot: int, tasks: int) -> Share:
        node = self._table.at(slot)
        cpus = max(tasks, request.tasks_per_node) * request.cpus_per_task
        cpus += -cpus % node.conf.threads  # whole cores
        if request.exclusive:
            cpus = node.conf.cpus
        if request.memory_per_cpu_mib:
            memory = request.memory_per_cpu_mib * cpus
        else:
            memory = request.memory_per_node_mib or node.conf.memory_mib
        used = dict(node.used)
        taken: dict[gres.Kind, int] = {}
        if request.exclusive:
            taken = {kind: (1 << count) - 1 for kind, count in node.conf.pools}
        else:
            asks = [(ask, ask.count * tasks) for ask in request.gres_per_task]
            asks += [(ask, ask.count) for ask in request.gres_per_node]
            for ask, count in asks:
                for kind, bits in fit.pick(ask, count, used, node.conf.pools).items():
                    used[kind] |= bits
                    taken[kind] = taken.get(kind, 0) | bits
        cores = node.free_cores.pick(-(-cpus // node.conf.threads))
        return Share(slot, node.name, tasks, cpus, memory, tuple(taken.items()), cores)

    def _mask(self, partition: Partition, request: Request) -> Bools:
        table, expression = self._fresh(), request.expression
        key = (partition.name, request.constraints, request.excluded, request.external)
        known = self._masks.get(key)
        if known is not None:
            return known
        mask = table.exists.copy()
        for node in table:
            fits = expression is None or expression.matches(node.features)
            fits = fits and (request.external or not node.conf.external)
            mask[node.slot] = fits and partition.spans(node.counted_features)
        for name in request.excluded:
            gone = table.get(name)
            if gone is not None:
                mask[gone.slot] = False
        self._masks[key] = mask
        return mask

    def _fresh(self) -> NodeTable:
        if self._version != self._table.version:
            self._masks.clear()
            self._evers.clear()
            self._known = {name for node in self._table for name in node.features}
            self._ever_known |= self._known
            self._version = self._table.version
        self._table.refresh()
        return self._table


def least_nodes(request: Request, table: NodeTable) -> int:
    """How many nodes a waiting job is shown with: as many as the biggest ones would need."""
    largest = int(table.cpus.max()) if len(table) else 1
    return max(
        request.min_nodes, math.ceil(request.tasks / max(largest // request.cpus_per_task, 1))
    )
