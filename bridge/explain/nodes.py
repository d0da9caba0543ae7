"""Which nodes could take a gang's pods now, and what is in the way on the others, by count."""

from collections.abc import Mapping

import numpy as np

from bridge.explain.rows import NodeReport
from bridge.model import texts
from bridge.model.gang import Gang
from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.pod_identity import PodIdentity
from bridge.model.scheduling import PodShape
from bridge.placement.filters import Predicate, feasible, reasons
from bridge.placement.table import Snapshot
from bridge.state.slurm_facts import Capacities

_MOST_REASONS = 8


def reports(snapshot: Snapshot, gang: Gang) -> tuple[NodeReport, ...]:
    """One for each role; as Kubernetes sees it, whatever Slurm has planned."""
    if not gang.roles:
        return (_report(snapshot, gang.shape, gang.identity, ""),)
    return tuple(
        _report(snapshot, role.shape, role.identity, role.name or f"role {at}")
        for at, role in enumerate(gang.roles, 1)
    )


def in_slurm(
    snapshot: Snapshot,
    gang: Gang,
    slurm_names: Mapping[NodeName, SlurmNodeName],
    capacities: Capacities,
) -> str:
    """What Slurm knows of the nodes that have room in Kubernetes, without a full stop; "" for
    nothing."""
    able = {
        slurm_names[name]
        for shape in gang.kinds
        for name in feasible(snapshot, shape, now=True).names()
        if name in slurm_names
    }
    away = len(able & capacities.out_of_service)
    busy = sum(bool(capacities.busy_cpus.get(name)) for name in able - capacities.out_of_service)
    said = []
    if away:
        said.append(f"{_are(away)} out of service in Slurm (drained, down)")
    if busy:
        said.append(f"{_are(busy)} in use by jobs in Slurm")
    if not said:
        return ""
    return f"Of {texts.nodes(len(able))} with room in Kubernetes {' and '.join(said)}"


def _are(count: int) -> str:
    return f"{count} is" if count == 1 else f"{count} are"


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
