"""The memory of all requests in flight, over all servers: every byte that was received for a
request counts until the request is answered, and so does an answer that its caller does not take.

The bytes are counted as they arrive: who announces a large body and sends none holds nothing. When
the budget is used up, the address that holds the most gives back the memory of its oldest request;
that is its slowest sender. Requests that are being handled come last in their address. A caller
with a client certificate of our CA gives back nothing while anybody else holds something.

This module is pure bookkeeping, as `connections` is. What is cut is freed by the event loop a
moment after it is given back here; and a body costs a copy of itself while it is put together.
"""

from collections import Counter

from bridge.server.connections import Connection, Reason, Stage

DEFAULT_BYTES = 128 << 20
"""Of a server that shares its budget with no other one."""


class Budget:
    """At most `most` bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
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
        held = Counter({_who(connection): size})
        for one in self._holders:
            held[_who(one)] += one.held
        most = min(held, key=lambda who: (who[0], -held[who]))
        theirs = [one for one in (*self._holders, connection) if _who(one) == most]
        return next((one for one in theirs if one.stage is not Stage.CALL), theirs[0])


def _who(connection: Connection) -> tuple[bool, str]:
    return connection.known, connection.peer
