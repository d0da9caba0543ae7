"""What a grant of Slurm holds, counted in pods of one shape.

CPUs and memory are counted as `bridge.model.slurm_amounts` says. A grant of no memory means that
Slurm does not track it. GRES count by name, and by type if the
resource map names one ("gpu:h100").
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from bridge.model import slurm_amounts
from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.job import Allocation, NodeGrant
from bridge.model.scheduling import PodShape

UNBOUNDED = 2**31
"""The number of slots if nothing limits it."""
NO_LIMIT = 2**54
"""The amount if Slurm does not count a dimension, and the most that any amount can be."""


def slots(
    by_node: Sequence[Sequence[NodeGrant]], shape: PodShape, resource_map: Mapping[str, str]
) -> npt.NDArray[np.int64]:
    """(nodes,) int64: how many pods of this shape the grants of each node hold together."""
    limits = _limits(shape, resource_map)
    counts = (min(limit.slots(node_grants) for limit in limits) for node_grants in by_node)
    return np.fromiter(counts, dtype=np.int64, count=len(by_node))


def dimensions(
    by_node: Sequence[Sequence[NodeGrant]],
    shapes: Sequence[PodShape],
    resource_map: Mapping[str, str],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(shapes, dimensions) int64 what a pod of each shape takes; (nodes, dimensions) int64 what the
    grants of each node hold, NO_LIMIT if Slurm does not count the dimension.
    """
    of_shape = [{limit.name: limit for limit in _limits(shape, resource_map)} for shape in shapes]
    every = {name: limit for limits in of_shape for name, limit in limits.items()}
    needed = [
        [min(limits[name].needed, NO_LIMIT + 1) if name in limits else 0 for name in every]
        for limits in of_shape
    ]
    held = [[limit.held(node_grants) for limit in every.values()] for node_grants in by_node]
    return (
        np.array(needed, dtype=np.int64).reshape(len(shapes), len(every)),
        np.array(held, dtype=np.int64).reshape(len(by_node), len(every)),
    )


def by_node(
    allocation: Allocation, by_slurm_name: Mapping[SlurmNodeName, NodeName]
) -> tuple[dict[NodeName, list[NodeGrant]], list[SlurmNodeName]]:
    """The grants by Kubernetes node, and the granted nodes that Kubernetes does not have."""
    known: dict[NodeName, list[NodeGrant]] = {}
    unknown = []
    for grant in allocation.nodes:
        node = by_slurm_name.get(grant.node)
        if node is None:
            unknown.append(grant.node)
        else:
            known.setdefault(node, []).append(grant)
    return known, unknown


def scarcest(
    by_node: Sequence[Sequence[NodeGrant]], shape: PodShape, resource_map: Mapping[str, str]
) -> str:
    """Say what the grants hold least of: "4 gpu, 2 a pod"."""
    limits = _limits(shape, resource_map)
    least = min(limits, key=lambda limit: sum(map(limit.slots, by_node)))
    granted = sum(map(least.granted, by_node))
    return f"{granted // least.unit} {least.name}, {-(-least.needed // least.unit)} a pod"


@dataclass(frozen=True, slots=True)
class _Limit:
    """One dimension: what a pod needs of it, and what the grants of a node have (`granted`)."""

    name: str
    needed: int
    granted: Callable[[Sequence[NodeGrant]], int]
    unit: int = 1
    """The unit in which amounts are shown."""
    untracked: bool = False
    """If nothing is granted, Slurm does not count this dimension."""

    def slots(self, node_grants: Sequence[NodeGrant]) -> int:
        """How many pods the grants hold by this dimension alone."""
        return min(self.held(node_grants) // self.needed, UNBOUNDED)

    def held(self, node_grants: Sequence[NodeGrant]) -> int:
        """How much the grants have of this dimension, at most NO_LIMIT."""
        granted = self.granted(node_grants)
        return NO_LIMIT if self.untracked and not granted else min(granted, NO_LIMIT)


def _limits(shape: PodShape, resource_map: Mapping[str, str]) -> list[_Limit]:
    cpus = slurm_amounts.whole_cpus(shape.requests)
    limits = [_Limit("CPUs", cpus, lambda grants: sum(grant.cpus for grant in grants))]
    memory = slurm_amounts.least_granted_mib(shape.requests) * slurm_amounts.MIB
    if memory:
        limits.append(
            _Limit("MiB of memory", memory, _memory, unit=slurm_amounts.MIB, untracked=True)
        )
    for name, types in _gres_demands(shape, resource_map).items():
        limits.append(_Limit(name, sum(types.values()), partial(_gres, name, "")))
        limits += [
            _Limit(f"{name}:{kind}", amount, partial(_gres, name, kind))
            for kind, amount in types.items()
            if kind
        ]
    return limits


def _memory(node_grants: Sequence[NodeGrant]) -> int:
    return sum(grant.memory_mib for grant in node_grants) * slurm_amounts.MIB


def _gres(name: str, kind: str, node_grants: Sequence[NodeGrant]) -> int:
    """The granted pieces of a GRES, of one type, or of all types if `kind` is ""."""
    return sum(
        gres.count
        for grant in node_grants
        for gres in grant.gres
        if gres.name == name and kind in ("", gres.type)
    )


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
