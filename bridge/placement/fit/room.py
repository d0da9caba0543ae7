"""How much room granted nodes have for a gang's slots, and the sentence where it is too little."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge.model.gang import Shortfall
from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.pod_identity import PodIdentity
from bridge.model.scheduling import PodShape
from bridge.placement.filters import Codes, Predicate, reasons
from bridge.placement.filters.predicates import PASSING
from bridge.placement.table import Snapshot

Counts = npt.NDArray[np.int64]
"""(granted nodes,) slots."""

USABLE_NOW = np.isin(list(Predicate), (Predicate.FITS, Predicate.FREE, Predicate.PORTS))
"""By code. For FREE and PORTS the slots themselves are counted, and may be none."""
USABLE_EVER = np.isin(list(Predicate), (Predicate.FITS, *PASSING))
"""By code: the node can take the shape, or may be able to later."""

_NAMED = 5
"""Nodes that a sentence names; it counts the others."""


@dataclass(frozen=True, slots=True)
class NodeCapacity:
    """How many slots of one shape each granted node can take beside the slots that it has.

    `granted` is limited by Slurm's grant alone. `ever` is also limited by what the node has, as if
    all other pods were gone. `now` is also limited by what is free. `codes` are the predicates that
    the nodes fail first. `scarcest` says what the grants hold least of.
    """

    shape: PodShape
    nodes: list[NodeName]
    rows: npt.NDArray[np.intp]
    codes: Codes
    granted: Counts
    ever: Counts
    now: Counts
    scarcest: Callable[[], str]
    identity: PodIdentity | None = None
    """Who the pods are, if terms about other pods count."""


def at_fault(
    snapshot: Snapshot, capacity: NodeCapacity, *, for_now: bool
) -> list[tuple[NodeName, str]]:
    """The nodes that take fewer slots than they should, each with its reason.

    If `for_now`, only those where waiting helps: they take fewer now than ever.
    """
    wanted, taken = capacity.granted, capacity.ever
    if for_now:
        wanted, taken = capacity.ever, capacity.now
    short = np.flatnonzero(taken < wanted).tolist()
    return [(capacity.nodes[index], _why(snapshot, capacity, index)) for index in short]


def fits(count: int, needed: int) -> str:
    """Say how many pods fit."""
    return f"{min(count, needed)} of {needed} pods fit now"


def of_grant(capacity: NodeCapacity) -> str:
    """Say what is wrong with the grant itself, if no node is at fault."""
    slots = int(capacity.granted.sum())
    said = terms(capacity.shape) if capacity.identity is not None else ""
    if said:
        return f"the grant holds {slots} of them, but not with their {said}"
    return f"the grant holds {slots} of them ({capacity.scarcest()})"


def terms(shape: PodShape) -> str:
    """The shape's terms about other pods, by their topology keys."""
    keys = [term.topology_key for term in (*shape.pod_affinity, *shape.pod_anti_affinity)]
    spread = [one.topology_key for one in shape.spread]
    parts = []
    if keys:
        parts.append(f"pod (anti-)affinity by {', '.join(dict.fromkeys(keys))}")
    if spread:
        parts.append(f"topology spread by {', '.join(dict.fromkeys(spread))}")
    return " and ".join(parts)


def shortfall(
    fits: str,
    nodes: list[tuple[NodeName, str]],
    unknown: list[SlurmNodeName],
    otherwise: Callable[[], str],
    *,
    for_now: bool,
) -> Shortfall:
    """The answer in words: how many pods fit, which nodes are in the way, and if waiting helps.

    `nodes` are those at fault. `unknown` are granted nodes that Kubernetes does not have.
    `otherwise` says what is wrong if no node is at fault.
    """
    nameless = 0
    if not for_now:
        named = [NodeName(node) for node in unknown if node]
        nodes = nodes + [(node, "Slurm has it, Kubernetes does not") for node in named]
        nameless = len(unknown) - len(named)
    sentences = [f"{node}: {why}" for node, why in nodes[:_NAMED]]
    if nameless:
        sentences.append(
            f"Slurm does not say which {nameless} of the granted nodes are: it leaves out names of "
            "more than 78 characters; have an admin give the nodes shorter names in Slurm"
        )
    if len(nodes) > _NAMED:
        sentences.append(f"and {len(nodes) - _NAMED} more nodes")
    return Shortfall(
        reason=f"{fits}; " + "; ".join(sentences or [otherwise()]),
        for_now=for_now,
        nodes=tuple(node for node, _ in nodes),
    )


def _why(snapshot: Snapshot, capacity: NodeCapacity, index: int) -> str:
    code = Predicate(int(capacity.codes[index]))
    row = int(capacity.rows[index])
    if code != Predicate.FITS:
        return reasons.reason(snapshot, capacity.shape, row, code, capacity.identity)
    ports = capacity.shape.host_ports
    why = "a host port each" if ports else reasons.scarcest(snapshot, capacity.shape, row)
    slots, granted = capacity.now[index], capacity.granted[index]
    return f"takes {slots} of the {granted} that Slurm granted there ({why})"
