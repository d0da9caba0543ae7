"""Why nothing new may start on a node: the reasons of the bridge's drains in Slurm.

Each reason says the present cause; one rule makes and undoes all of them.
"""

from bridge.model.node import Node
from bridge.nodes import actions
from bridge.nodes.amounts import Amounts, is_less
from bridge.slurm import SlurmNode

PREFIX = "slurm-bridge: "
"""The reason of each drain of ours starts so; drains by others are never changed or undone."""
CORDONED = f"{PREFIX}cordoned in Kubernetes"
NOT_READY = f"{PREFIX}not ready in Kubernetes"
"""Kubernetes' word for why follows, where it has one."""
LESS = f"{PREFIX}it has less to give than Slurm knows: registered again once it is idle"
GONE = "its Kubernetes node is deleted or lost its label"
RETIRED = PREFIX + GONE


def closed(
    node: Node | None,
    known: SlurmNode | None = None,
    has: Amounts | None = None,
) -> str | None:
    """Why nothing new may start on a node now, as the reason of its drain; None where it may.

    `known`: how Slurm has it, None while it is not registered. `has`: what it has to give.
    """
    if node is None or is_retired(node):
        return RETIRED
    if reason := shut_in_kubernetes(node):
        return reason
    if known is not None and has is not None and is_less(known, has):
        return LESS
    return None


def shut_in_kubernetes(node: Node) -> str | None:
    """Why Kubernetes starts nothing new on the node, as the reason of a drain; None if it does."""
    if node.unschedulable:
        return CORDONED
    if not node.ready:
        return f"{NOT_READY}: {node.unready}" if node.unready else NOT_READY
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
    is_so = known.drained and known.reason == reason
    return [] if is_so else [actions.Drain(known.name, reason)]


def is_admins(known: SlurmNode) -> bool:
    """Whether somebody else has taken it out of use in Slurm: theirs to bring back, not ours.

    Slurm itself sets a node down that does not respond, which nobody else would mend.
    """
    is_out = known.drained or (known.down and not known.not_responding)
    return is_out and not known.reason.startswith(PREFIX)
