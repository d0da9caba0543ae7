"""Resources that Slurm does not count: huge pages, ephemeral storage, a site's own devices.

Classes are chosen by labels and taints, and Slurm chooses among their nodes by CPUs, memory and
GRES. If a node lacks anything else that a pod asks for, this would show only after the grant. So a
class is left out if none of its nodes can ever give the pod what it asks for, and single nodes that
can't are excluded by name. What is free *now* is checked before the pods are ungated.
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
    """Keep the `chosen` classes that have a node which could ever take the shape, and name their
    nodes that never could, because they lack something that Slurm does not count.

    `counted` says whether Slurm counts an extended resource. At most 64 nodes are named, because
    every name costs slurmctld memory in every job. If more nodes lack something, the check before
    ungating gives their grants back.
    """
    members = classes(snapshot)
    could = frozenset(feasible(snapshot, shape, now=False).names())
    left = frozenset(name for name in chosen if not could.isdisjoint(members.get(name, ())))
    uncounted = _uncounted(shape.requests, counted)
    if uncounted == Resources():
        return left, ()
    can_give = frozenset(feasible(snapshot, replace(shape, requests=uncounted), now=False).names())
    without = sorted(node for name in left for node in members[name] if node not in can_give)
    return left, tuple(without[:MOST_NAMES])


def _uncounted(requests: Resources, counted: Callable[[str], bool]) -> Resources:
    return Resources(
        ephemeral_bytes=requests.ephemeral_bytes,
        extended=tuple((name, count) for name, count in requests.extended if not counted(name)),
    )
