"""Which of several nodes rather. Seldom asked: after `filter` one node is left."""

from collections.abc import Sequence

from bridge.extender import wire
from bridge.model.ids import NodeName

BEST = 10
"""MaxExtenderPriority of kube-scheduler's extender API; the worst is 0."""


def answer(names: Sequence[NodeName], scores: Sequence[int]) -> bytes:
    """HostPriorityList; scores outside 0 to 10 are cut to it."""
    return wire.priorities(names, [min(max(int(score), 0), BEST) for score in scores])


def by_grant(names: Sequence[NodeName], granted: NodeName | None) -> list[int]:
    """Scores where nobody handed in better ones: the granted node, then all others."""
    return [BEST if name == granted else 0 for name in names]
