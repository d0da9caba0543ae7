"""What a grant of Slurm holds, counted in pods of one shape.

CPUs count whole and rounded up once per pod (at least one, as Slurm gives every task one);
memory in MiB, where 0 means that Slurm does not track it; GRES by name, and by type where the
resource map names one ("gpu:h100").
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bridge.model.job import NodeGrant
from bridge.model.scheduling import PodShape

UNBOUNDED = 2**31
"""Slots where nothing limits."""

_MIB = 2**20


def slots(
    by_node: Sequence[Sequence[NodeGrant]], shape: PodShape, resource_map: Mapping[str, str]
) -> npt.NDArray[np.int64]:
    """(nodes,) int64: pods of this shape that each node's grants hold together."""
    cpus = max(1, -(-shape.requests.cpu_milli // 1000))
    memory = shape.requests.memory_bytes
    demands = _gres_demands(shape, resource_map)
    counts = np.empty(len(by_node), dtype=np.int64)
    for index, node_grants in enumerate(by_node):
        most = sum(grant.cpus for grant in node_grants) // cpus
        granted_memory = sum(grant.memory_mib for grant in node_grants) * _MIB
        if memory and granted_memory:
            most = min(most, granted_memory // memory)
        if demands:
            most = min(most, _by_gres(node_grants, demands))
        counts[index] = min(most, UNBOUNDED)
    return counts


def _gres_demands(shape: PodShape, resource_map: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """GRES name → type ("" for any) → how many one pod needs."""
    demands: dict[str, dict[str, int]] = {}
    for resource, amount in shape.requests.extended:
        gres = resource_map.get(resource)
        if gres and amount > 0:
            name, _, kind = gres.partition(":")
            types = demands.setdefault(name, {})
            types[kind] = types.get(kind, 0) + amount
    return demands


def _by_gres(node_grants: Sequence[NodeGrant], demands: Mapping[str, Mapping[str, int]]) -> int:
    """Pods that the granted GRES hold: each type for itself, and all types of a name together."""
    most = UNBOUNDED
    for name, types in demands.items():
        held = [gres for grant in node_grants for gres in grant.gres if gres.name == name]
        most = min(most, sum(gres.count for gres in held) // sum(types.values()))
        for kind, amount in types.items():
            if kind:
                most = min(most, sum(g.count for g in held if g.type == kind) // amount)
    return most
