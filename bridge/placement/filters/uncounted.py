"""What Slurm does not count: huge pages, ephemeral storage, a site's own devices.

A class is chosen by labels and taints, and Slurm chooses among its nodes by CPUs, memory and GRES.
Whatever else a pod asks for would be found missing only after the grant. So classes none of whose
nodes can ever give it are left out, and single nodes that can't are excluded by name. What is free
*now* is for the check before the pods are let go.
"""

from collections.abc import Callable, Collection
from dataclasses import replace

from bridge.model.ids import NodeName
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from bridge.placement.filters.classes import MOST_NAMES, classes
from bridge.placement.filters.feasibility import feasible
from bridge.placement.table.snapshot import Snapshot


def able(
    snapshot: Snapshot,
    shape: PodShape,
    chosen: Collection[str],
    *,
    counted: Callable[[str], bool],
) -> tuple[frozenset[str], tuple[NodeName, ...]]:
    """Those of the `chosen` classes with a node that could ever take the shape, and the nodes of
    these that never could for want of what Slurm doesn't count; `counted` tells of an extended
    resource whether it does.

    At most 64 nodes are named, as every name costs slurmctld memory in every job; where more are
    without, the check before ungating gives their grants back.
    """
    members = classes(snapshot)
    could = frozenset(feasible(snapshot, shape, now=False).names())
    left = frozenset(name for name in chosen if not could.isdisjoint(members.get(name, ())))
    beyond = _beyond(shape.requests, counted)
    if beyond == Resources():
        return left, ()
    can_give = frozenset(feasible(snapshot, replace(shape, requests=beyond), now=False).names())
    without = sorted(node for name in left for node in members[name] if node not in can_give)
    return left, tuple(without[:MOST_NAMES])


def _beyond(requests: Resources, counted: Callable[[str], bool]) -> Resources:
    return Resources(
        ephemeral_bytes=requests.ephemeral_bytes,
        extended=tuple((name, count) for name, count in requests.extended if not counted(name)),
    )
