"""Which nodes could take a gang's pods now, and what is in the way on the others, by count."""

import numpy as np

from bridge.explain.rows import NodeReport
from bridge.model.gang import Gang
from bridge.model.pod_identity import PodIdentity
from bridge.model.scheduling import PodShape
from bridge.placement.filters import Predicate, feasible, reasons
from bridge.placement.table import Snapshot

_MOST_REASONS = 8


def reports(snapshot: Snapshot, gang: Gang) -> tuple[NodeReport, ...]:
    """One for each role; as Kubernetes sees it, whatever Slurm has planned."""
    if not gang.roles:
        return (_report(snapshot, gang.shape, gang.identity, ""),)
    return tuple(
        _report(snapshot, role.shape, role.identity, role.name or f"role {at}")
        for at, role in enumerate(gang.roles, 1)
    )


def _report(
    snapshot: Snapshot, shape: PodShape, identity: PodIdentity | None, role: str
) -> NodeReport:
    found = feasible(snapshot, shape, now=True, identity=identity)
    codes = found.first_failure
    able = int(np.count_nonzero(codes == Predicate.FITS))
    there = int(np.count_nonzero(codes != Predicate.ABSENT))
    out = reasons.counts(snapshot, shape, codes, identity)
    if len(out) > _MOST_REASONS:
        rest = out[_MOST_REASONS - 1 :]
        more = (sum(count for count, _ in rest), f"{len(rest)} further reasons")
        out = (*out[: _MOST_REASONS - 1], more)
    return NodeReport(there, able, out, role)
