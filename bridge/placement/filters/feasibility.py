"""Which nodes can take a shape: ever, or now; and why the others can't."""

from dataclasses import dataclass

import numpy as np

from bridge.model.ids import NodeName
from bridge.model.scheduling import PodShape
from bridge.placement.filters import failures, reasons
from bridge.placement.filters.failures import EVERY_ROW, Codes, Predicate
from bridge.placement.table.interning import Bools
from bridge.placement.table.snapshot import NO_ROW, Snapshot


@dataclass(frozen=True, slots=True)
class Feasibility:
    """The answer for all rows of a snapshot. `mask` (n,) bool: the node can take the shape;
    `first_failure` (n,) int8: a `Predicate`, FITS where `mask` is True.
    """

    snapshot: Snapshot
    shape: PodShape
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


def feasible(snapshot: Snapshot, shape: PodShape, *, now: bool) -> Feasibility:
    """Which nodes can take one pod of this shape.

    `now` False: whether they ever could (labels, lasting taints, capacity less what lasting pods
    hold); True: state, free resources, the node's count of pods, and host ports too.
    """
    codes = failures.failures(snapshot, shape, EVERY_ROW, now=now)
    return Feasibility(snapshot, shape, codes == Predicate.FITS, codes)


def check_node(
    snapshot: Snapshot, shape: PodShape, node: NodeName, *, now: bool = True
) -> str | None:
    """Why this node can't take a pod of this shape; None if it can. `now`: as in `feasible`."""
    row = snapshot.row(node)
    if row == NO_ROW:
        return f"node {node} is not known to Kubernetes"
    rows = np.array([row], dtype=np.intp)
    code = int(failures.failures(snapshot, shape, rows, now=now)[0])
    if code == Predicate.FITS:
        return None
    return f"node {node}: {reasons.reason(snapshot, shape, row, Predicate(code))}"
