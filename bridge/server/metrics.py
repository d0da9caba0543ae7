"""What is counted of the requests that we answer, and of the certificate that we answer with."""

from collections.abc import Iterable

from prometheus_client import Counter, Gauge

from bridge import telemetry
from bridge.server.budget import Budget
from bridge.server.connections import Connections

OTHER = "other"
"""The path label of every path that is no route of ours."""
_OUTCOMES = {2: "ok", 4: "refused", 5: "error"}


class ServerMetrics:
    """One per process; several servers may share it. A refused pod is an `ok` call: "refused"
    are calls that we did not understand or let in."""

    def __init__(self, metrics: telemetry.Metrics) -> None:
        self._served = metrics.served
        self.in_flight = Gauge(
            "bridge_served_in_flight",
            "Calls being answered now.",
            registry=metrics.registry,
        )
        self.certificate_ends = Gauge(
            "bridge_certificate_not_after_seconds",
            "When the server certificate in use ends, in seconds since the epoch.",
            registry=metrics.registry,
        )
        self.reload_failures = Counter(
            "bridge_certificate_reload_failures",
            "Changed certificate files that could not be used.",
            registry=metrics.registry,
        )

        self._connections = Gauge(
            "bridge_server_connections",
            "Connections that are open.",
            ["server"],
            registry=metrics.registry,
        )
        self.cut = Counter(
            "bridge_server_connections_cut",
            "Connections that were cut for others, or because they took too long or made no sense.",
            ["server", "reason"],
            registry=metrics.registry,
        )
        self._memory = Gauge(
            "bridge_server_request_bytes",
            "Memory held by requests that are not answered yet; server.memoryMib is its bound.",
            registry=metrics.registry,
        )

    def show(self, server: str, table: Connections, budget: Budget) -> None:
        """Have every scrape show these, which `server` uses."""
        self._connections.labels(server).set_function(table.__len__)
        self._memory.set_function(lambda: budget.used)

    def expect(self, paths: Iterable[str]) -> None:
        """Show these paths from the start, so that a rate over them has a beginning."""
        for path in paths:
            self._served.labels(path, "ok")

    def answered(self, path: str, status: int, seconds: float) -> None:
        """One call is answered. `path` is a route's, or `OTHER`."""
        outcome = _OUTCOMES.get(status // 100, "error")
        self._served.labels(path, outcome).observe(seconds)
