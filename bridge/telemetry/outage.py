"""A service that is down is one event, not one per try.

During an outage every loop that touches the service fails, many times a second. Whoever reads the
log needs to know that it began, that it goes on, and that it is over.
"""

from bridge.clock import Clock
from bridge.telemetry.logs import Logger
from bridge.telemetry.metrics import Metrics

REPEAT_S = 60.0
"""Time between two reminders of an outage that goes on."""


class OutageLog:
    """The outages of one service. Call `failed` at each failed try, `answered` at each answer.

    Logs `outage.began` (warning), every `repeat_s` `outage.continued` with the count of failures,
    and `outage.ended` (info) with count and duration.
    """

    def __init__(
        self,
        service: str,
        *,
        logger: Logger,
        clock: Clock,
        metrics: Metrics | None = None,
        repeat_s: float = REPEAT_S,
    ) -> None:
        self._service = service
        self._logger = logger
        self._clock = clock
        self._metrics = metrics
        self._repeat_s = repeat_s
        self._began_s: float | None = None
        self._told_s = 0.0
        self._failures = 0
        self._failing: set[str] = set()
        if metrics:
            metrics.outage.labels(service).set(0)

    @property
    def lasting_s(self) -> float | None:
        """Seconds since the first failure; None while the service answers."""
        return None if self._began_s is None else self._clock.monotonic() - self._began_s

    def failed(self, error: BaseException | str, *, of: str = "") -> None:
        """A try failed because the service did not answer as it should; `of` says whose try."""
        self._failing.add(of)
        now = self._clock.monotonic()
        self._failures += 1
        if self._began_s is None:
            self._began_s = self._told_s = now
            self._logger.warning("outage.began", service=self._service, error=str(error))
            if self._metrics:
                self._metrics.outage.labels(self._service).set(1)
                self._metrics.outages.labels(self._service).inc()
        elif now - self._told_s >= self._repeat_s:
            self._told_s = now
            self._logger.warning(
                "outage.continued",
                service=self._service,
                failures=self._failures,
                lasting_s=round(now - self._began_s),
                error=str(error),
            )

    def answered(self, *, to: str = "") -> None:
        """The service answered; ends the outage if there is one and nobody else still fails."""
        self._failing.discard(to)
        if self._began_s is None or self._failing:
            return
        self._logger.info(
            "outage.ended",
            service=self._service,
            failures=self._failures,
            lasted_s=round(self._clock.monotonic() - self._began_s, 1),
        )
        if self._metrics:
            self._metrics.outage.labels(self._service).set(0)
        self._began_s = None
        self._failures = 0
