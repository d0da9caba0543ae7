"""How many pods of one shape a node can hold at most: tasks per node, in Slurm's terms.

Slurm's topology plugins choose switches by counting CPUs. So a gang that fills its nodes by GPUs
looks small to them, and is spread over leaves. If Slurm is told the least number of nodes that the
gang can do with, it looks for a leaf that has so many.
"""

from dataclasses import replace

import numpy as np

from bridge.model.scheduling import PodShape
from bridge.placement.filters import failures
from bridge.placement.filters.feasibility import feasible
from bridge.placement.table.snapshot import Snapshot


def max_tasks_per_node(snapshot: Snapshot, shape: PodShape) -> int:
    """The most pods of this shape that any node of the snapshot could ever hold; 0 if none can.

    CPUs are counted whole, per pod, as Slurm gives them.
    """
    rows = np.flatnonzero(feasible(snapshot, shape, now=False).mask)
    if not rows.size:
        return 0
    whole_cpus = replace(shape.requests, cpu_milli=-(-shape.requests.cpu_milli // 1000) * 1000)
    most = int(failures.fitting(snapshot, whole_cpus, rows, snapshot.daemon_used).max())
    return min(most, 1) if shape.host_ports else most
