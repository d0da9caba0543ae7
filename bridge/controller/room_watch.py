"""Updates waiting jobs when the room changes that only Kubernetes counts.

A job leaves out the nodes that are full (`jobs.full_nodes`). Pods come and go all the time, and
most of them change nothing for anybody. So after a change the questions that waiting jobs depend on
are asked again a moment later, a few at a time, and only gangs whose answer differs are told.
"""

from collections import deque
from collections.abc import Callable

from bridge.controller.timers import Handle, Later
from bridge.gangs.indexed import Indexed
from bridge.jobs.full_nodes import FullNodes, Key
from bridge.model.ids import GangId

_AFTER_S = 0.5
"""The delay after the first of many changes."""
_AT_ONCE = 16
"""The cost of checks between two pauses; a cost of one is about 0.3 ms at 5,000 nodes."""
_PAUSE_S = 0.05
"""After checks that cost as much; after costlier ones it is longer in proportion."""


class RoomWatch:
    """Keeps which jobs depend on room. `waits` says whether the gang still waits, `tell` gives it
    a turn."""

    def __init__(
        self,
        *,
        full_nodes: FullNodes,
        waits: Callable[[GangId], bool],
        tell: Callable[[GangId], None],
        later: Later,
    ) -> None:
        self._full_nodes = full_nodes
        self._waits = waits
        self._tell = tell
        self._later = later
        self._gangs: Indexed[Key, GangId] = Indexed()
        self._keys: Indexed[GangId, Key] = Indexed()
        self._to_ask: deque[Key] = deque()
        self._timer: Handle | None = None
        self._changed_again = False

    def follow(self, gang_id: GangId, key: Key) -> None:
        """Notes that the gang's job depends on this answer."""
        self._gangs.add(key, gang_id)
        self._keys.add(gang_id, key)

    def forget(self, gang_id: GangId) -> None:
        """Drops the gang's answers: its job depends on none any more, or is built again."""
        for key in tuple(self._keys.of(gang_id)):
            self._gangs.discard(key, gang_id)
            self._keys.discard(gang_id, key)

    def pods_changed(self) -> None:
        """Notes that a pod took room on some node, or gave some back."""
        if self._timer is not None:
            self._changed_again = True
        elif self._gangs:
            self._timer = self._later(_AFTER_S, self._begin)

    def _begin(self) -> None:
        self._changed_again = False
        self._to_ask.extend(self._gangs)
        self._go_on()

    def _go_on(self) -> None:
        cost = 0
        try:
            while self._to_ask and cost < _AT_ONCE:
                key = self._to_ask.popleft()
                cost += self._full_nodes.cost(key)
                self._ask(key)
        finally:  # a question that fails must not be the last one that is asked
            self._timer = self._next(max(1.0, cost / _AT_ONCE))

    def _next(self, effort: float) -> Handle | None:
        if self._to_ask:
            return self._later(_PAUSE_S * effort, self._go_on)
        if self._changed_again and self._gangs:
            return self._later(_AFTER_S, self._begin)
        return None

    def _ask(self, key: Key) -> None:
        for gang_id in tuple(self._gangs.of(key)):
            if not self._waits(gang_id):
                self.forget(gang_id)
        if self._gangs.of(key) and self._full_nodes.has_changed(key):
            for gang_id in tuple(self._gangs.of(key)):
                self._tell(gang_id)
