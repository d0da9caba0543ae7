"""Nodes that turned out to be of no use to somebody, and until when their jobs leave them out.

Kept by owner, not by gang: the pod that a Job makes in place of a refused one is another gang, and
must not be sent to the same node. Forgotten with the process; then one more try goes there.
"""

from bridge.model.ids import NodeName


class Avoidance:
    """Owner → nodes to leave out. All times are monotonic seconds, handed in."""

    def __init__(self, *, for_s: float) -> None:
        self._for_s = for_s
        self._until_s: dict[str, dict[NodeName, float]] = {}

    def add(self, owner: str, node: NodeName, now_s: float) -> float:
        """Leave `node` out from now on; until when."""
        until_s = now_s + self._for_s
        self._until_s.setdefault(owner, {})[node] = until_s
        return until_s

    def nodes(self, owner: str, now_s: float) -> tuple[NodeName, ...]:
        """What to leave out now, by name."""
        known = self._until_s.get(owner)
        if known is None:
            return ()
        for node in [node for node, until_s in known.items() if until_s <= now_s]:
            del known[node]
        if not known:
            del self._until_s[owner]
        return tuple(sorted(known))
