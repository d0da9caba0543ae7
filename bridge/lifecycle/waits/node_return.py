"""Idle nodes that a running job gives back to Slurm, where a sink answers for them.

Pods finish in bursts, so the job is not shrunk for each of them: it is when nothing has changed for
a moment, and in any case some time after the first node became idle.
"""

from collections.abc import Iterable

from bridge.model.ids import NodeName
from bridge.retry import Backoff


class NodeReturn:
    """What Slurm was asked to take back of one job. Times are monotonic seconds, handed in."""

    def __init__(self, *, settle_s: float, most_s: float, again_s: float, backoff: Backoff) -> None:
        """Slurm is asked `settle_s` after the last change, `most_s` after the first at the latest,
        and `again_s` later again, if no answer came."""
        self._settle_s, self._most_s, self._again_s = settle_s, most_s, again_s
        self._backoff = backoff
        self._idle: tuple[NodeName, ...] = ()
        self._first_s = self._changed_s = 0.0
        self._asked_s: float | None = None
        """When Slurm was asked; None while no answer is awaited."""
        self._nodes: frozenset[NodeName] = frozenset()
        """Those that Slurm was last asked to take back."""
        self._returned: set[NodeName] = set()
        """Those that it says to have taken back."""
        self.refused = ""
        """Why Slurm takes no node back; "" if it does, or was not asked yet."""
        self.due_s: float | None = None
        """When there is something to ask; None if time changes nothing."""

    def check(self, idle: Iterable[NodeName], now_s: float) -> frozenset[NodeName]:
        """Takes in the nodes that are idle now; returns those to be given back now, if any."""
        self.due_s = None
        if self._asked_s is not None and now_s < self._asked_s + self._again_s:
            self.due_s = self._asked_s + self._again_s
            return frozenset()
        nodes = tuple(node for node in idle if node not in self._returned)
        if nodes != self._idle:
            self._first_s = self._first_s if self._idle else now_s
            self._idle, self._changed_s = nodes, now_s
        if not nodes:
            return frozenset()
        settled_s = min(self._changed_s + self._settle_s, self._first_s + self._most_s)
        due_s = max(settled_s, self._backoff.due_s)
        if now_s < due_s:
            self.due_s = due_s
            return frozenset()
        self._asked_s, self._nodes = now_s, frozenset(nodes)
        self.due_s = now_s + self._again_s
        return self._nodes

    @property
    def is_settled(self) -> bool:
        """Whether nothing is asked for, nor will be while nothing changes."""
        return self._asked_s is None and not self._idle

    def done(self) -> tuple[NodeName, ...]:
        """Slurm has taken the nodes back; which these are."""
        nodes, self._nodes, self._asked_s = self._nodes, frozenset(), None
        self._idle, self.refused = (), ""
        self._returned |= nodes
        self._backoff.reset()
        return tuple(sorted(nodes))

    def failed(self, why: str, now_s: float) -> frozenset[NodeName]:
        """Slurm has refused: the next try waits longer. Returns the nodes that the job keeps."""
        nodes, self._nodes, self._asked_s = self._nodes, frozenset(), None
        self.refused = why
        self._backoff.failed(now_s)
        return nodes
