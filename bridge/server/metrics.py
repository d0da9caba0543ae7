"""What is counted of the requests that we answer."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (
    0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
)  # fmt: skip
"""Seconds. From a filter call with one name to kube-scheduler's timeout."""
OTHER = "other"
"""The path label of every path that is no route of ours."""


class RequestMetrics:
    """One per registry; several servers may share it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "slurm_bridge_http_request_seconds",
            "Time from a request's head to its answer, by path",
            ["path"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._answers = Counter(
            "slurm_bridge_http_requests",
            "Requests answered, by path and HTTP status",
            ["path", "code"],
            registry=registry,
        )
        self.in_flight = Gauge(
            "slurm_bridge_http_requests_in_flight",
            "Requests being answered",
            registry=registry,
        )
        self.certificate_ends = Gauge(
            "slurm_bridge_certificate_not_after_seconds",
            "When the server certificate in use ends, in seconds since the epoch",
            registry=registry,
        )
        self.reload_failures = Counter(
            "slurm_bridge_certificate_reload_failures",
            "Changed certificate files that could not be used",
            registry=registry,
        )

    def expect(self, paths: Iterable[str]) -> None:
        """Show these paths from the start, so that a rate over them has a beginning."""
        for path in paths:
            self._seconds.labels(path)

    def answered(self, path: str, code: int, seconds: float) -> None:
        """One request is answered. `path` is a route's, or `OTHER`."""
        self._seconds.labels(path).observe(seconds)
        self._answers.labels(path, str(code)).inc()
