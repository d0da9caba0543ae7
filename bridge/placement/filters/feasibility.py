"""Which nodes can take a shape, ever or now, and why the others can't."""

from dataclasses import dataclass

import numpy as np

from bridge.model.ids import NodeName
from bridge.model.pod_identity import PodIdentity
from bridge.model.scheduling import PodShape
from bridge.placement.filters import reasons
from bridge.placement.filters.failures import EVERY_ROW, first_failures
from bridge.placement.filters.predicates import Codes, Predicate
from bridge.placement.table.interning import Bools
from bridge.placement.table.snapshot import NO_ROW, Snapshot


@dataclass(frozen=True, slots=True)
class Feasibility:
    """The answer for all rows of a snapshot.

    `mask` (n,) bool says whether the node can take the shape. `first_failure` (n,) int8 is a
    `Predicate`, FITS where `mask` is True.
    """

    snapshot: Snapshot
    shape: PodShape
    mask: Bools
    first_failure: Codes
    identity: PodIdentity | None = None

    def names(self) -> list[NodeName]:
        """The nodes that can take the shape, by row."""
        return [NodeName(name) for name in self.snapshot.names[self.mask]]

    def summary(self) -> str:
        """A sentence for users: what is in the way on how many nodes, most nodes first.

        "12 nodes: taint x=y:NoSchedule; 3 nodes: 4 of 8 nvidia.com/gpu free". It begins with the
        number of nodes that fit, if there are any.
        """
        return reasons.summary(self.snapshot, self.shape, self.first_failure, self.identity)


def feasible(
    snapshot: Snapshot, shape: PodShape, *, now: bool, identity: PodIdentity | None = None
) -> Feasibility:
    """Find the nodes that can take one pod of this shape.

    If `now` is False: the nodes that ever could, by labels, lasting taints, and capacity less what
    daemon pods hold. If `now` is True, also by state, free resources, the node's count of pods,
    host ports and, if `identity` says who the pod is, the pods beside it.
    """
    codes = first_failures(snapshot, shape, EVERY_ROW, now=now, identity=identity)
    return Feasibility(snapshot, shape, codes == Predicate.FITS, codes, identity)


def check_node(
    snapshot: Snapshot,
    shape: PodShape,
    node: NodeName,
    *,
    now: bool = True,
    identity: PodIdentity | None = None,
) -> str | None:
    """Why this node can't take a pod of this shape; None if it can. The other arguments are those
    of `feasible`.
    """
    row = snapshot.row(node)
    if row == NO_ROW:
        return f"node {node} is not known to Kubernetes"
    rows = np.array([row], dtype=np.intp)
    code = int(first_failures(snapshot, shape, rows, now=now, identity=identity)[0])
    if code == Predicate.FITS:
        return None
    return f"node {node}: {reasons.reason(snapshot, shape, row, Predicate(code), identity)}"
