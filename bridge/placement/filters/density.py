"""How many pods of one shape a node can hold at most: tasks per node, in Slurm's terms.

Slurm's topology plugins choose switches by counting CPUs. So a gang that fills its nodes by GPUs
looks small to them, and is spread over leaves. If Slurm is told the least number of nodes that the
gang can do with, it looks for a leaf that has so many.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from bridge.model import slurm_amounts
from bridge.model.scheduling import PodShape
from bridge.placement.filters import domains, failures
from bridge.placement.filters.feasibility import feasible
from bridge.placement.table.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Density:
    """`most`: the most pods of a shape that any node could ever hold; 0 if none can hold one.
    `memory_is_tight`: some node could hold fewer if the memory of each pod were rounded up per CPU.
    """

    most: int
    memory_is_tight: bool = False


def density(snapshot: Snapshot, shape: PodShape, apart: Collection[str] = ()) -> Density:
    """How many pods of this shape the nodes of the snapshot could ever hold, each.

    CPUs are counted whole, per pod, as Slurm gives them. `apart` are the topology keys by which the
    pods keep away from each other (`pod_selectors.keys_apart`): a node that has one takes one pod.
    """
    rows = np.flatnonzero(feasible(snapshot, shape, now=False).mask)
    if not rows.size:
        return Density(0)
    requests = slurm_amounts.in_slurm_units(shape.requests)
    counts = failures.fitting(snapshot, requests, rows, snapshot.daemon_used)
    cpus = slurm_amounts.whole_cpus(requests)
    per_cpu = slurm_amounts.mib_per_cpu(slurm_amounts.memory_mib(requests), cpus)
    rounded = replace(requests, memory_bytes=per_cpu * cpus * slurm_amounts.MIB)
    with_rounded = failures.fitting(snapshot, rounded, rows, snapshot.daemon_used)
    is_tight = bool((with_rounded < counts).any())
    if shape.host_ports:
        counts = np.minimum(counts, 1)
    for key in apart:
        in_domain = domains.of(snapshot.layout, key)[rows] != domains.NOWHERE
        counts = np.where(in_domain, np.minimum(counts, 1), counts)
    return Density(int(counts.max()), is_tight)
