"""Taints over all nodes at once: evaluated per distinct set of taints.

Three kinds of taints count differently. Those that Kubernetes and autoscalers set while a node
has a state (`node.kubernetes.io/*` …) come and go: they matter now, not for what a node is. Our
own managed-node taint is tolerated by every pod that we schedule, since admission or the
controller adds the toleration. PreferNoSchedule never excludes.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from bridge import names
from bridge.model.scheduling import Taint, Toleration
from bridge.placement.table.interning import Vocabulary

TaintSet = tuple[Taint, ...]
"""A node's taints, sorted, without doubles."""

STATE_PREFIXES = (
    "node.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/",
    "karpenter.sh/",
    "ToBeDeletedByClusterAutoscaler",
    "DeletionCandidateOfClusterAutoscaler",
)
"""Keys of taints that say how a node is at the moment."""

UNSCHEDULABLE = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")
NOT_READY = Taint("node.kubernetes.io/not-ready", "", "NoSchedule")

TOLERATED = -1


def taint_set(taints: Iterable[Taint]) -> TaintSet:
    """The form in which equal sets are equal, in any order."""
    return tuple(sorted(set(taints), key=lambda taint: (taint.key, taint.value, taint.effect)))


def lasting(taints: TaintSet, *, scheduler_name: str) -> TaintSet:
    """Those that say what a node is: they exclude, are no state, and are not ours."""
    return tuple(
        taint
        for taint in taints
        if taint.effect != "PreferNoSchedule"
        and not is_state(taint)
        and not _is_ours(taint, scheduler_name)
    )


def is_state(taint: Taint) -> bool:
    """Whether it says how a node is at the moment, not what it is."""
    return taint.key.startswith(STATE_PREFIXES)


def tolerates(tolerations: Iterable[Toleration], taint: Taint) -> bool:
    """Whether one of them tolerates the taint."""
    return any(toleration.tolerates(taint) for toleration in tolerations)


def first_untolerated(
    sets: Vocabulary[TaintSet],
    tolerations: tuple[Toleration, ...],
    *,
    now: bool,
    scheduler_name: str,
) -> npt.NDArray[np.int32]:
    """(sets,) int32: index, in each set, of the first taint that keeps the pod away, or TOLERATED.

    With `now` False taints of a state are passed over.
    """

    def compute() -> npt.NDArray[np.int32]:
        return np.array(
            [
                _first(value or (), tolerations, now=now, scheduler_name=scheduler_name)
                for value in sets.values
            ],
            dtype=np.int32,
        )

    return sets.remember((tolerations, now), compute)


def _first(
    taints: TaintSet, tolerations: tuple[Toleration, ...], *, now: bool, scheduler_name: str
) -> int:
    for index, taint in enumerate(taints):
        if taint.effect == "PreferNoSchedule" or _is_ours(taint, scheduler_name):
            continue
        if not now and is_state(taint):
            continue
        if not tolerates(tolerations, taint):
            return index
    return TOLERATED


def _is_ours(taint: Taint, scheduler_name: str) -> bool:
    return taint.key == names.MANAGED_NODE_TAINT and taint.value == scheduler_name
