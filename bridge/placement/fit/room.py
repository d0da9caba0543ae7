"""How many slots of a gang each granted node takes, and who is at fault where that is too few."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge.model.gang import Shortfall
from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.scheduling import PodShape
from bridge.placement.filters import failures, reasons
from bridge.placement.filters.failures import Predicate
from bridge.placement.table.snapshot import Snapshot

Counts = npt.NDArray[np.int64]
"""(granted nodes,) slots."""

USABLE_NOW = np.isin(list(Predicate), (Predicate.FITS, Predicate.FREE, Predicate.PORTS))
"""By code. What FREE and PORTS are about is counted in slots, which then are none."""
USABLE_EVER = np.isin(list(Predicate), (Predicate.FITS, *failures.PASSING))
"""By code: the node can take the shape, or could if what passes had passed."""

_NAMED = 5
"""Nodes named in a sentence; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Room:
    """Slots of one shape that each granted node can take beside those that have their node.

    `granted`: by what Slurm gave; `ever`: also by the node, were all other pods gone; `now`: also
    by what is free. `codes`: the predicate that a node failed first. `scarcest` says of what the
    grants hold least.
    """

    shape: PodShape
    nodes: list[NodeName]
    rows: npt.NDArray[np.intp]
    codes: failures.Codes
    granted: Counts
    ever: Counts
    now: Counts
    scarcest: Callable[[], str]


def blamed(snapshot: Snapshot, room: Room, *, for_now: bool) -> list[tuple[NodeName, str]]:
    """The nodes that take fewer than they should, each with its reason."""
    wanted, have = (room.ever, room.now) if for_now else (room.granted, room.ever)
    at_fault = np.flatnonzero(have < wanted).tolist()
    return [(room.nodes[index], _why(snapshot, room, index)) for index in at_fault]


def of_grant(room: Room) -> str:
    """What is wrong when no node is at fault: the grant itself."""
    holds = int(room.granted.sum())
    keys = ", ".join((*room.shape.affinity_keys, *room.shape.anti_affinity_keys))
    if keys:
        return f"the grant holds {holds} of them, but not with their pod (anti-)affinity by {keys}"
    return f"the grant holds {holds} of them ({room.scarcest()})"


def shortfall(
    fits: str,
    at_fault: list[tuple[NodeName, str]],
    unknown: list[SlurmNodeName],
    otherwise: Callable[[], str],
    *,
    for_now: bool,
) -> Shortfall:
    """The answer in words: how many fit, who is in the way, and whether waiting helps.

    `unknown` are granted nodes that Kubernetes does not have. `otherwise` says what is wrong when
    no node is at fault.
    """
    if not for_now:
        at_fault = at_fault + [
            (NodeName(node), "Slurm has it, Kubernetes does not") for node in unknown
        ]
    told = [f"{node}: {why}" for node, why in at_fault[:_NAMED]]
    if len(at_fault) > _NAMED:
        told.append(f"and {len(at_fault) - _NAMED} more nodes")
    return Shortfall(
        reason=f"{fits}; " + "; ".join(told or [otherwise()]),
        for_now=for_now,
        nodes=tuple(node for node, _ in at_fault),
    )


def _why(snapshot: Snapshot, room: Room, index: int) -> str:
    code = Predicate(int(room.codes[index]))
    row = int(room.rows[index])
    if code != Predicate.FITS:
        return reasons.reason(snapshot, room.shape, row, code)
    ports = room.shape.host_ports
    why = "a host port each" if ports else reasons.scarcest(snapshot, room.shape, row)
    return f"takes {room.now[index]} of the {room.granted[index]} that Slurm granted there ({why})"
