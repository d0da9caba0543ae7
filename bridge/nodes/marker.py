"""Writes to Kubernetes nodes what shows a drain in Slurm, and gives way to others who undo it."""

from collections.abc import Hashable
from dataclasses import dataclass, field

import structlog

from bridge.clock import Clock
from bridge.kube.api.client import KubeClient
from bridge.kube.objects import nodes as kube_nodes
from bridge.model.scheduling import Taint
from bridge.nodes import actions
from bridge.retry import Backoff

log = structlog.get_logger(__name__)

_FIRST_S, _MOST_S, _FORGET_S = 1.0, 300.0, 600.0
"""What somebody else has undone is written again after the first pause, then less and less often;
it counts as undone for the first time if nobody has undone it for the last one."""


class NodeMarker:
    """Remembers what was written last to each node."""

    def __init__(self, kube: KubeClient, *, clock: Clock) -> None:
        self._kube = kube
        self._clock = clock
        self._taint = Taint.drained()
        self._written: dict[Hashable, _Written] = {}

    def is_due(self, action: actions.Mark) -> bool:
        """Whether it may be written: it is another one than the last, or waited long enough."""
        written = self._written.get(_place(action))
        if written is None or written.action != action:
            return True
        return self._clock.monotonic() >= written.backoff.due_s

    async def write(self, action: actions.Mark) -> None:
        """Do it. Raises KubeError."""
        match action:
            case actions.AddDrainedTaint(node):
                await kube_nodes.add_taint(self._kube, node, self._taint)
            case actions.RemoveDrainedTaint(node):
                await kube_nodes.remove_taint(self._kube, node, self._taint)
            case actions.Cordon(node):
                await kube_nodes.cordon(self._kube, node)
            case actions.Uncordon(node):
                await kube_nodes.uncordon(self._kube, node)
            case actions.YieldCordon(node):
                await kube_nodes.yield_cordon(self._kube, node)
            case actions.SetCondition(node, condition):
                await kube_nodes.set_condition(self._kube, node, condition)
        self._note(action)
        log.info("node.marked", node=action.node, what=type(action).__name__)

    def _note(self, action: actions.Mark) -> None:
        now_s = self._clock.monotonic()
        written = self._written.get(_place(action))
        if written is None or written.action != action:
            written = self._written[_place(action)] = _Written(action)
        written.backoff.failed(now_s)

    def forget(self, nodes: frozenset[str]) -> None:
        """Forget all nodes but these."""
        for place in [one for one in self._written if self._written[one].action.node not in nodes]:
            del self._written[place]


@dataclass(slots=True)
class _Written:
    """What was written to a node, and when it may be written once more."""

    action: actions.Mark
    backoff: Backoff = field(
        default_factory=lambda: Backoff(first_s=_FIRST_S, most_s=_MOST_S, forget_s=_FORGET_S)
    )


def _place(action: actions.Mark) -> Hashable:
    """The thing on the node that it changes."""
    match action:
        case actions.AddDrainedTaint(node) | actions.RemoveDrainedTaint(node):
            return "taint", node
        case actions.Cordon(node) | actions.Uncordon(node) | actions.YieldCordon(node):
            return "cordon", node
        case actions.SetCondition(node):
            return "condition", node
