"""How many tasks of a job each node can take: one pass over the columns.

Pure numpy; every function returns columns over all slots of the node table.
"""

from dataclasses import dataclass

import numpy as np

from bridge.sim.slurm.gres import Ask, Kind
from bridge.sim.slurm.job import Request
from bridge.sim.slurm.nodes import Bools, Free, Ints, NodeTable

_PLENTY = 1 << 30


@dataclass(frozen=True, slots=True)
class Fit:
    """`tasks`: how many the node takes. `cpus`: the number that Slurm compares switches by: what
    these tasks use, but for a job with GRES every free CPU of the node that memory allows.
    `weight`: the lighter is taken first; of nodes that weigh the same, those with more free GPUs
    that the job could use are lighter.
    """

    tasks: Ints
    cpus: Ints
    weight: Ints

    def narrowed(self, mask: Bools) -> "Fit":
        """The same for fewer nodes."""
        return Fit(np.where(mask, self.tasks, 0), np.where(mask, self.cpus, 0), self.weight)


def fit(request: Request, table: NodeTable, free: Free, allowed: Bools) -> Fit:
    """Capacity of each allowed node; 0 where not even one task fits."""
    per_task = request.cpus_per_task
    usable = allowed & ~free.whole
    if request.exclusive:
        usable &= free.jobs == 0
    cpus = np.where(usable, free.cpus, 0)
    if request.memory_per_cpu_mib:
        by_memory = free.memory // request.memory_per_cpu_mib
        by_memory -= by_memory % table.threads  # whole cores
        if request.exclusive:  # each CPU of the node brings its memory with it
            cpus = np.where(by_memory >= table.cpus, cpus, 0)
        cpus = np.minimum(cpus, by_memory)
    elif request.memory_per_node_mib:
        cpus = np.where(free.memory >= request.memory_per_node_mib, cpus, 0)
    else:
        cpus = np.where(free.memory == table.memory, cpus, 0)
    tasks = cpus // per_task
    exactly = request.tasks_per_node  # a node without room for so many gets none
    if exactly:
        tasks = np.where(tasks >= exactly, exactly, 0)
    if not request.has_gres:
        return Fit(tasks, tasks * per_task, table.weight)
    tasks = np.minimum(tasks, _gres_tasks(request, free))
    if exactly:
        tasks = np.where(tasks >= exactly, exactly, 0)
    weight = (table.weight << 8) + 255 - _gpus(request, free)
    return Fit(tasks, np.where(tasks > 0, cpus, 0), weight)


def _gpus(request: Request, free: Free) -> Ints:
    """Free GPUs of each node, as many as the job could use."""
    found: Ints = np.zeros(len(free.cpus), np.int64)
    for ask in request.gres_per_task:
        if ask.name == "gpu":
            found += np.minimum(available(ask, free), ask.count * request.tasks)
    for ask in request.gres_per_node:
        if ask.name == "gpu":
            found += np.minimum(available(ask, free), ask.count)
    return np.minimum(found, 255)


def _gres_tasks(request: Request, free: Free) -> Ints:
    tasks: Ints = np.full(len(free.cpus), _PLENTY, np.int64)
    for ask in request.gres_per_task:
        tasks = np.minimum(tasks, available(ask, free) // ask.count if ask.count else _PLENTY)
    for ask in request.gres_per_node:
        tasks = np.where(available(ask, free) >= ask.count, tasks, 0)
    return tasks


def available(ask: Ask, free: Free) -> Ints:
    """Free pieces that would serve, over all types that the ask accepts."""
    found: Ints = np.zeros(len(free.cpus), np.int64)
    for kind, column in free.gres.items():
        if ask.accepts(kind):
            found = found + column
    return found


def pick(
    ask: Ask, count: int, used: dict[Kind, int], pools: tuple[tuple[Kind, int], ...]
) -> dict[Kind, int]:
    """The lowest free pieces of a node for an ask, as bits by kind."""
    chosen: dict[Kind, int] = {}
    for kind, total in pools:
        if not ask.accepts(kind) or count <= 0:
            continue
        free = ~used[kind] & ((1 << total) - 1)
        bits = 0
        while count and free:
            bit = free & -free
            bits |= bit
            free ^= bit
            count -= 1
        if bits:
            chosen[kind] = bits
    return chosen
