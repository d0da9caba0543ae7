"""How many pods of one shape a node can hold at most.

Slurm's topology plugins choose switches by counting CPUs, so a gang that fills its nodes by GPUs is
taken for a small one and spread over leaves. Told the least number of nodes that the gang can do
with, Slurm looks for a leaf that has them.
"""

from dataclasses import replace

import numpy as np

from bridge.model.scheduling import PodShape
from bridge.placement.filters import failures
from bridge.placement.filters.feasibility import feasible
from bridge.placement.table.snapshot import Snapshot


def densest(snapshot: Snapshot, shape: PodShape) -> int:
    """The most pods of this shape that any node of the snapshot could ever hold; 0 if none can.

    CPUs are counted whole, per pod, as Slurm gives them.
    """
    rows = np.flatnonzero(feasible(snapshot, shape, now=False).mask)
    if not rows.size:
        return 0
    whole_cpus = replace(shape.requests, cpu_milli=-(-shape.requests.cpu_milli // 1000) * 1000)
    most = int(failures.fitting(snapshot, whole_cpus, rows, snapshot.lasting).max())
    return min(most, 1) if shape.host_ports else most
