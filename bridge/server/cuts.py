"""Connections that were cut are counted; those that were cut for the sake of others are told."""

from bridge import telemetry
from bridge.clock import Clock
from bridge.server.connections import Reason
from bridge.server.metrics import ServerMetrics

_REPEAT_S = 60.0
_FOR_OTHERS = (Reason.ROOM, Reason.MEMORY)


class Cuts:
    """The cuts of one server. A crowd is one event, `server.crowded`, then one a minute while it
    lasts, with the address that the last connection came from and the count since."""

    def __init__(
        self, server: str, *, metrics: ServerMetrics, log: telemetry.Logger, clock: Clock
    ) -> None:
        self._server = server
        self._counters = {reason: metrics.cut.labels(server, reason.value) for reason in Reason}
        self._log = log
        self._clock = clock
        self._told_s: float | None = None
        self._count = 0

    def __call__(self, peer: str, reason: Reason) -> None:
        """A connection from the address `peer` is cut."""
        self._counters[reason].inc()
        if reason not in _FOR_OTHERS:
            return
        self._count += 1
        now_s = self._clock.monotonic()
        if self._told_s is None or now_s - self._told_s >= _REPEAT_S:
            self._log.warning(
                "server.crowded",
                server=self._server,
                reason=reason.value,
                peer=peer,
                cut=self._count,
            )
            self._told_s, self._count = now_s, 0
