"""Nodes that a gang holds and no longer needs: pods were scaled down, or have finished.

The ranks of most gangs end within seconds of each other, so only what lasts is told.
"""

from bridge.model.ids import NodeName


class IdleNodes:
    """Keeps which nodes of a job are idle, and since when."""

    def __init__(self, *, tell_after_s: float) -> None:
        self._tell_after_s = tell_after_s
        self._nodes: tuple[NodeName, ...] = ()
        self._since_s = 0.0
        self.told: tuple[NodeName, ...] = ()
        """The idle nodes that the pods' conditions name."""
        self.due_s: float | None = None
        """When the conditions have to name them; None if time changes nothing."""

    def check(self, nodes: tuple[NodeName, ...], now_s: float) -> bool:
        """Takes in the nodes that are idle now; returns whether to report them, once."""
        if nodes != self._nodes:
            self._nodes, self._since_s = nodes, now_s
        self.due_s = None
        if nodes == self.told:
            return False
        if nodes and now_s < self._since_s + self._tell_after_s:
            self.due_s = self._since_s + self._tell_after_s
            return False
        self.told = nodes
        return bool(nodes)
