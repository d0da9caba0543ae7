"""How many pods of one shape a node can hold at most: tasks per node, in Slurm's terms.

Slurm's topology plugins choose switches by counting CPUs. So a gang that fills its nodes by GPUs
looks small to them, and is spread over leaves. If Slurm is told the least number of nodes that the
gang can do with, it looks for a leaf that has so many.
"""

from dataclasses import replace

import numpy as np

from bridge.model.pod_identity import PodIdentity
from bridge.model.scheduling import PodShape
from bridge.placement.filters import domains, failures, pod_selectors
from bridge.placement.filters.feasibility import feasible
from bridge.placement.table.snapshot import Snapshot


def max_tasks_per_node(
    snapshot: Snapshot, shape: PodShape, identity: PodIdentity | None = None
) -> int:
    """The most pods of this shape that any node of the snapshot could ever hold; 0 if none can.

    CPUs are counted whole, per pod, as Slurm gives them. `identity` says who the pods are: if their
    anti-affinity is to themselves, a node in a domain takes one of them.
    """
    rows = np.flatnonzero(feasible(snapshot, shape, now=False).mask)
    if not rows.size:
        return 0
    whole_cpus = replace(shape.requests, cpu_milli=-(-shape.requests.cpu_milli // 1000) * 1000)
    most = failures.fitting(snapshot, whole_cpus, rows, snapshot.daemon_used)
    if shape.host_ports:
        most = np.minimum(most, 1)
    for term in shape.pod_anti_affinity:
        is_own = identity is not None and pod_selectors.selects(
            snapshot.namespaces, term.selector, identity
        )
        in_domain = domains.of(snapshot.layout, term.topology_key)[rows] != domains.NOWHERE
        most = np.where(in_domain & is_own, np.minimum(most, 1), most)
    return int(most.max())
