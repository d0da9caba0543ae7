"""What a Kubernetes node shows of a drain that an admin has made in Slurm: pure.

The condition always says it; a taint, or a cordon, keeps pods away that Slurm does not place. All
of it is undone when the drain is over. A cordon that a person has set is not ours: it stays, and
when a person has undone ours, it is not set again before the next drain.
"""

from typing import Final, Literal

from bridge import names
from bridge.model import texts
from bridge.model.node import Node
from bridge.model.pod import Condition
from bridge.model.scheduling import Taint
from bridge.nodes import actions, drains
from bridge.slurm import SlurmNode

How = Literal["taint", "cordon", "none"]
"""How pods are kept away."""
_LONGEST_REASON = 256
_TAINT: Final = Taint.drained()
NOT_DRAINED: Final = Condition(
    names.DRAINED_CONDITION, "False", "NotDrained", "no admin has taken the node out of Slurm's use"
)


def mark(node: Node, known: SlurmNode | None, how: How) -> list[actions.Action]:
    """What is to be written to the node. `known`: the node in Slurm; None if Slurm does not have
    it, or has it for another cluster."""
    if node.deleting:
        return []
    is_drained = known is not None and drains.is_admins(known)
    wanted = condition(known) if known is not None and is_drained else NOT_DRAINED
    return [
        *_taint(node, wanted=is_drained and how == "taint"),
        *_cordon(node, wanted=is_drained and how == "cordon"),
        *_condition(node, wanted),
    ]


def condition(known: SlurmNode) -> Condition:
    """Of a node that an admin has taken out of use: Slurm's reason, who gave it, and when."""
    reason = texts.printable(known.reason, _LONGEST_REASON) or "no reason given"
    by = f", by {texts.printable(known.reason_user, 64)}" if known.reason_user else ""
    since = f" at {texts.time(known.reason_s)}" if known.reason_s else ""
    what = "DownInSlurm" if known.down else "DrainedInSlurm"
    return Condition(names.DRAINED_CONDITION, "True", what, f"{reason}{by}{since}")


def _taint(node: Node, *, wanted: bool) -> list[actions.Action]:
    has = _TAINT in node.taints
    if wanted and not has:
        return [actions.AddDrainedTaint(node.name)]
    return [actions.RemoveDrainedTaint(node.name)] if has and not wanted else []


def _cordon(node: Node, *, wanted: bool) -> list[actions.Action]:
    is_noted = names.CORDONED_ANNOTATION in node.annotations
    if not wanted:
        return [actions.Uncordon(node.name)] if is_noted else []
    if not is_noted:
        return [] if node.unschedulable else [actions.Cordon(node.name)]
    is_undone = node.cordoned_for_slurm and not node.unschedulable
    return [actions.YieldCordon(node.name)] if is_undone else []


def _condition(node: Node, wanted: Condition) -> list[actions.Action]:
    """Nothing for a node that never was drained; one that is again usable only has to say so."""
    if wanted.status == "False" and (node.drained is None or node.drained.status == "False"):
        return []
    return [] if node.drained == wanted else [actions.SetCondition(node.name, wanted)]
