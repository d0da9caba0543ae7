"""Which taints keep a shape away, over all nodes at once: evaluated per distinct set of taints.

Three kinds of taints count differently. Kubernetes and autoscalers set some while a node is in a
state (`node.kubernetes.io/*` …): these matter now, but do not say what the node is. Our own
taints (of managed nodes, and of nodes drained in Slurm) count as tolerated, since admission or the
controller adds the tolerations to every pod that we schedule. PreferNoSchedule never excludes a
node.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from bridge import names
from bridge.model.scheduling import PodShape, Taint, Toleration
from bridge.placement.filters.selectors import Rows
from bridge.placement.table.interning import Bools
from bridge.placement.table.snapshot import Layout
from bridge.placement.table.taints import TaintSet

STATE_PREFIXES = (
    "node.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/",
    "karpenter.sh/",
    "ToBeDeletedByClusterAutoscaler",
    "DeletionCandidateOfClusterAutoscaler",
)
"""Keys of taints that say in which state a node is."""

UNSCHEDULABLE = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")

TOLERATED = -1


def lasting(taints: TaintSet, *, scheduler_name: str) -> TaintSet:
    """The taints that say what a node is: they exclude pods, are no state, and are not ours."""
    return tuple(
        taint
        for taint in taints
        if taint.effect != "PreferNoSchedule"
        and not _is_state(taint)
        and not _is_ours(taint, scheduler_name)
    )


def tolerates(tolerations: Iterable[Toleration], taint: Taint) -> bool:
    """Whether one of the tolerations tolerates the taint."""
    return any(toleration.tolerates(taint) for toleration in tolerations)


def tolerated(layout: Layout, shape: PodShape, rows: Rows, *, now: bool) -> Bools:
    """(rows,) bool: no taint of the node keeps the shape away. `now`: as in `first_untolerated`."""
    firsts = first_untolerated(layout, shape, now=now)
    return np.equal(firsts[layout.taint_set[rows]], TOLERATED)


def first_untolerated(layout: Layout, shape: PodShape, *, now: bool) -> npt.NDArray[np.int32]:
    """(taint sets,) int32: the index, in each set, of the first taint that keeps the shape away, or
    TOLERATED. If `now` is False, taints of a state do not count.
    """

    def compute() -> npt.NDArray[np.int32]:
        return np.array(
            [
                _first(taints or (), shape.tolerations, layout.scheduler_name, now=now)
                for taints in layout.taints.values
            ],
            dtype=np.int32,
        )

    return layout.taints.remember((shape.tolerations, now), compute)


def _first(
    taints: TaintSet, tolerations: tuple[Toleration, ...], scheduler_name: str, *, now: bool
) -> int:
    for index, taint in enumerate(taints):
        if taint.effect == "PreferNoSchedule" or _is_ours(taint, scheduler_name):
            continue
        if not now and _is_state(taint):
            continue
        if not tolerates(tolerations, taint):
            return index
    return TOLERATED


def _is_state(taint: Taint) -> bool:
    return taint.key.startswith(STATE_PREFIXES)


def _is_ours(taint: Taint, scheduler_name: str) -> bool:
    if taint.key == names.DRAINED_TAINT:
        return taint.effect == "NoSchedule"
    return taint.key == names.MANAGED_NODE_TAINT and taint.value == scheduler_name
