"""Which nodes can take a shape: ever, or now; and why the others can't."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bridge.model.ids import NodeName
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape, Requirement
from bridge.placement import failures, reasons
from bridge.placement.failures import EVERY_ROW, NOTHING, Codes, Predicate
from bridge.placement.interning import Bools
from bridge.placement.snapshot import NO_ROW, Snapshot


@dataclass(frozen=True, slots=True)
class Feasibility:
    """The answer for all rows of a snapshot. `mask` (n,) bool: the node can take the shape;
    `first_failure` (n,) int8: a `Predicate`, FITS where `mask` is True.
    """

    snapshot: Snapshot
    shape: PodShape
    now: bool
    mask: Bools
    first_failure: Codes

    def names(self) -> list[NodeName]:
        """The nodes that can, by row."""
        return [NodeName(name) for name in self.snapshot.names[self.mask]]

    def summary(self) -> str:
        """What is in the way on how many nodes, most first: for users.

        "12 nodes: taint x=y:NoSchedule; 3 nodes: 4 of 8 nvidia.com/gpu free". Says how many fit
        if some do.
        """
        return reasons.summary(self.snapshot, self.shape, self.first_failure)


def feasible(
    snapshot: Snapshot,
    shape: PodShape,
    *,
    now: bool,
    also: Sequence[Requirement] = (),
    managed_only: bool = False,
) -> Feasibility:
    """Which nodes can take one pod of this shape.

    `now` False: whether they ever could (labels, lasting taints, capacity less what lasting pods
    hold); True: state, free resources, the node's count of pods, and host ports too, and `also`,
    what other pods' places ask of the node's labels (`domains`). `managed_only` leaves out nodes
    that are not the bridge's, as an autoscaler or `explain` would want.
    """
    codes = failures.failures(
        snapshot, shape, EVERY_ROW, now=now, also=also, managed_only=managed_only
    )
    return Feasibility(snapshot, shape, now, codes == Predicate.FITS, codes)


def check_node(
    snapshot: Snapshot,
    shape: PodShape,
    node: NodeName,
    *,
    now: bool = True,
    extra: Resources = NOTHING,
    also: Sequence[Requirement] = (),
) -> str | None:
    """Why this node can't take a pod of this shape, with `extra` asked of it on top; None if it
    can. `now`, `also`: as in `feasible`.
    """
    row = snapshot.row(node)
    if row == NO_ROW:
        return f"node {node} is not known to Kubernetes"
    rows = np.array([row], dtype=np.intp)
    code = int(failures.failures(snapshot, shape, rows, now=now, extra=extra, also=also)[0])
    if code == Predicate.FITS:
        return None
    return f"node {node}: {reasons.reason(snapshot, shape, row, Predicate(code), extra=extra)}"
