"""Why nothing new may start on a node: the reasons of the bridge's drains in Slurm.

Each reason says the present cause; one rule makes and undoes all of them.
"""

from dataclasses import dataclass

from bridge.model.node import Node
from bridge.nodes import actions
from bridge.nodes.amounts import Amounts, is_less
from bridge.slurm import SlurmNode

PREFIX = "slurm-bridge: "
"""The reason of each drain of ours starts so; drains by others are never changed or undone."""
CORDONED = f"{PREFIX}cordoned in Kubernetes"
NOT_READY = f"{PREFIX}not ready in Kubernetes"
"""Kubernetes' word for why follows, where it has one."""
ENDED = f"{PREFIX}the time until which it is available is over"
UNRESERVED = f"{PREFIX}until Slurm has the reservation of its end"
UNHEALTHY = f"{PREFIX}unhealthy in Kubernetes"
"""The first cause follows, and what it says."""
_SAYS = ", which says: "
"""Before words that may change at each heartbeat: they alone make no other drain."""
LESS = f"{PREFIX}it has less to give than Slurm knows: registered again once it is idle"
GONE = "its Kubernetes node is deleted or lost its label"
RETIRED = PREFIX + GONE


@dataclass(frozen=True, slots=True)
class End:
    """What is known of the time until which a node is available."""

    is_over: bool = False
    is_unreserved: bool = False
    """The time lies ahead, and Slurm does not have the node's reservation yet."""


NO_END = End()


def closed(
    node: Node | None,
    known: SlurmNode | None = None,
    has: Amounts | None = None,
    *,
    end: End = NO_END,
) -> str | None:
    """Why nothing new may start on a node now, as the reason of its drain; None where it may.

    `known`: how Slurm has it, None while it is not registered. `has`: what it has to give. Of
    several causes the first one counts.
    """
    if node is None or is_retired(node):
        return RETIRED
    reason = shut_in_kubernetes(node)
    if end.is_over and reason != CORDONED:
        return ENDED
    if reason:
        return reason
    if end.is_unreserved and (known is None or (known.drained and known.reason == UNRESERVED)):
        return UNRESERVED
    if known is not None and has is not None and is_less(known, has):
        return LESS
    return None


def shut_in_kubernetes(node: Node) -> str | None:
    """Why Kubernetes starts nothing new on the node, as the reason of a drain; None if it does."""
    if node.unschedulable and not node.cordoned_for_slurm:
        return CORDONED
    if not node.ready:
        return f"{NOT_READY}: {node.unready}" if node.unready else NOT_READY
    if node.causes:
        first = node.causes[0]
        says = f"{_SAYS}{first.message}" if first.message else ""
        return f"{UNHEALTHY}: {first.text}{says}"
    return None


def is_retired(node: Node | None) -> bool:
    """Whether Slurm is to have it no more."""
    return node is None or node.deleting or not node.external


def keep_drain(known: SlurmNode, reason: str | None) -> list[actions.Action]:
    """The one rule for all drains of ours. Slurm takes another reason for a node that is drained
    already, so nothing starts there in between."""
    if is_admins(known):
        return []
    if reason is None:
        return [actions.Undrain(known.name)] if known.drained else []
    is_so = known.drained and cause_of(known.reason) == cause_of(reason)
    return [] if is_so else [actions.Drain(known.name, reason)]


def cause_of(reason: str) -> str:
    """The reason without words that may change at each heartbeat."""
    return reason.partition(_SAYS)[0]


def is_admins(known: SlurmNode) -> bool:
    """Whether somebody else has taken it out of use in Slurm: theirs to bring back, not ours.

    Slurm itself sets a node down that does not respond, which nobody else would mend.
    """
    is_out = known.drained or (known.down and not known.not_responding)
    return is_out and not known.reason.startswith(PREFIX)
