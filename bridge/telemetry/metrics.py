"""Every metric of the bridge, with its name, labels and meaning in this one place.

Labels never hold what users choose (pods, jobs, namespaces): their number must not grow with the
cluster. Durations are histograms in seconds; their steps follow the budgets of
docs/architecture.md.
"""

import platform
from collections.abc import Callable
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    generate_latest,
)

import bridge

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Of what `Metrics.exposition` returns."""

_CALL_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Steps for one request or one step of the way."""
_WAIT_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 48 * 3600)
"""Steps for what may wait in Slurm's queue."""


class Metrics:
    """The registry and its metrics, one attribute each; made once by whoever starts the process."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = CollectorRegistry() if registry is None else registry
        self._build()
        self._gangs_and_pods()
        self._slurm()
        self._kubernetes()
        self._server()

    def exposition(self) -> bytes:
        """The body of /metrics."""
        return generate_latest(self.registry)

    def age(self, gauge: Gauge, *labels: str, of: Callable[[], float]) -> None:
        """Have `gauge` show `of()` (seconds since something) at every scrape.

        An age that is set when something happens stands still when nothing happens any more,
        which is when it matters.
        """
        (gauge.labels(*labels) if labels else gauge).set_function(of)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"bridge_{name}", meaning, labels, registry=self.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"bridge_{name}", meaning, labels, registry=self.registry)

    def _histogram(
        self, name: str, meaning: str, *labels: str, steps: tuple[float, ...] = _CALL_S
    ) -> Histogram:
        return Histogram(f"bridge_{name}", meaning, labels, buckets=steps, registry=self.registry)

    def _build(self) -> None:
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        info = self._gauge("build_info", "Always 1; what runs.", "version", "python")
        info.labels(bridge.__version__, platform.python_version()).set(1)
        self.outage = self._gauge("outage", "1 while the service does not answer.", "service")
        self.outages = self._counter("outages", "Outages that began.", "service")

    def _gangs_and_pods(self) -> None:
        self.gangs = self._gauge("gangs", "Gangs now, by state.", "state")
        self.gang_transitions = self._counter(
            "gang_transitions", "Gangs that entered the state.", "state"
        )
        self.gang_faults = self._counter(
            "gang_faults", "Mistakes of the bridge at one gang, which is set aside and retried."
        )
        self.part_failures = self._counter(
            "part_failures",
            "Mistakes that ended a part, which is begun anew.",
            "part",
        )
        self.grants_returned = self._counter(
            "grants_returned", "Allocations given back because pods could not use them."
        )
        self.queue_seconds = self._histogram(
            "queue_seconds", "From a pod's creation to its gang's allocation.", steps=_WAIT_S
        )
        self.placement_seconds = self._histogram(
            "placement_seconds", "Mapping a gang's pods onto its granted nodes."
        )

    def _slurm(self) -> None:
        self.submit_seconds = self._histogram(
            "submit_seconds", "From a gang being ready to Slurm's answer.", "outcome"
        )
        self.poll_age = self._gauge(
            "slurm_poll_age_seconds", "Since the jobs' states were last read."
        )
        self.details_age = self._gauge(
            "slurm_details_age_seconds",
            "Since the oldest of the jobs' details (reason, expected start) was read.",
        )
        self.token_age = self._gauge(
            "slurm_token_age_seconds", "Since the file of the token was last read."
        )
        self.nodes_healed = self._counter(
            "nodes_healed", "External nodes made anew because Slurm had given them up."
        )

    def _kubernetes(self) -> None:
        self.watch_age = self._gauge(
            "watch_age_seconds", "Since the watch last said anything.", "resource"
        )
        self.patch_seconds = self._histogram(
            "patch_seconds", "The one patch that pins and ungates a pod.", "outcome"
        )
        self.bind_seconds = self._histogram(
            "bind_seconds", "The extender's bind, Binding included.", "outcome"
        )
        self.condition_writes = self._counter(
            "condition_writes", "Writes of pods' Allocated conditions."
        )

    def _server(self) -> None:
        self.served = self._histogram(
            "served_seconds", "Calls that webhook and extender answered.", "path", "outcome"
        )
