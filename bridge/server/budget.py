"""The memory of all requests in flight, over all servers: every byte that was received for a
request counts until the request is answered, and so does an answer that its caller does not take.

The bytes are counted as they arrive: who announces a large body and sends none holds nothing. When
the budget is used up, the address that holds the most gives back the memory of one request. All
tenants' reviews come from the address of the API server, so the large requests of an address go
before its small ones, and of these the newest first: others are further on. Of small ones it is the
oldest, which has the slowest sender. Requests that are being handled come last among their like. A
caller with a client certificate of our CA gives back nothing while anybody else holds something.

This module is pure bookkeeping, as `connections` is. What is cut is freed by the event loop a
moment after it is given back here; and a body costs a copy of itself while it is put together.
"""

from collections import Counter

from bridge.server.connections import Connection, Reason, Stage

DEFAULT_BYTES = 128 << 20
"""Of a server that shares its budget with no other one."""
SMALL_BYTES = 64 << 10
"""Of a request that gives way after the large ones of its address."""


class Budget:
    """At most `most` bytes; `small` is the size of a small request."""

    def __init__(self, most: int, *, small: int = SMALL_BYTES) -> None:
        self._most = most
        self._small = small
        self._holders: dict[Connection, None] = {}
        self.used = 0
        """Bytes held now; never more than `most`."""

    def take(self, connection: Connection, size: int) -> bool:
        """The connection holds `size` bytes more. False: it was cut instead."""
        while self.used + size > self._most:
            victim = self._victim(connection, size)
            self.give_back(victim)
            victim.cut(Reason.MEMORY)
            if victim is connection:
                return False
        connection.held += size
        self.used += size
        self._holders[connection] = None
        return True

    def give_back(self, connection: Connection) -> None:
        """The connection holds nothing any more."""
        if connection.held:
            self.used -= connection.held
            connection.held = 0
            del self._holders[connection]

    def _victim(self, connection: Connection, size: int) -> Connection:
        """Who gives back first; `connection` wants `size` more."""
        wanted = {one: one.held for one in self._holders}
        wanted[connection] = connection.held + size
        of_peer: Counter[tuple[bool, str]] = Counter()
        for one, held in wanted.items():
            of_peer[_who(one)] += held
        most = min(of_peer, key=lambda who: (who[0], -of_peer[who]))
        theirs = [one for one in wanted if _who(one) == most]
        large = [one for one in reversed(theirs) if wanted[one] > self._small]
        return min(large or theirs, key=lambda one: one.stage is Stage.CALL)


def _who(connection: Connection) -> tuple[bool, str]:
    return connection.known, connection.peer
