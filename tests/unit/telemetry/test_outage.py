"""Outages, told once."""

from structlog.testing import CapturingLogger

from bridge import telemetry
from tests.unit.telemetry.clocks import StoppedClock

Calls = list[tuple[str, str, dict[str, object]]]


def an_outage(
    *, metrics: telemetry.Metrics | None = None
) -> tuple[telemetry.OutageLog, StoppedClock, CapturingLogger]:
    """The outages of a service called slurm, its clock, and what was logged."""
    clock, log = StoppedClock(), CapturingLogger()
    return telemetry.OutageLog("slurm", logger=log, clock=clock, metrics=metrics), clock, log


def told(log: CapturingLogger) -> Calls:
    """(method, event, fields) of each logged event, `service` left out."""
    return [
        (call.method_name, call.args[0], {k: v for k, v in call.kwargs.items() if k != "service"})
        for call in log.calls
    ]


def test_outage_is_told_at_its_beginning_each_minute_and_at_its_end() -> None:
    """Eight tries a second for 150 s make four lines, the later ones with the count."""
    outages, clock, log = an_outage()
    for _ in range(1200):
        outages.failed("refused")
        clock.now_s += 0.125
    outages.answered()
    assert told(log) == [
        ("warning", "outage.began", {"error": "refused"}),
        ("warning", "outage.continued", {"failures": 481, "lasting_s": 60, "error": "refused"}),
        ("warning", "outage.continued", {"failures": 961, "lasting_s": 120, "error": "refused"}),
        ("info", "outage.ended", {"failures": 1200, "lasted_s": 150.0}),
    ]


def test_answers_without_an_outage_are_silent() -> None:
    """The normal case logs nothing."""
    outages, _, log = an_outage()
    for _ in range(3):
        outages.answered()
    assert told(log) == []


def test_each_outage_is_counted_anew() -> None:
    """A second outage begins at one failure and says so at once."""
    outages, clock, log = an_outage()
    for _ in range(2):
        outages.failed(OSError("refused"))
        clock.now_s += 5
        outages.answered()
    assert [event for _, event, _ in told(log)] == ["outage.began", "outage.ended"] * 2
    assert told(log)[-1][2] == {"failures": 1, "lasted_s": 5.0}


def test_an_outage_lasts_until_nobody_fails_any_more() -> None:
    """The first watch that is back does not end it for the others."""
    outages, _, log = an_outage()
    for name in ("pods", "nodes"):
        outages.failed("refused", of=name)
    outages.answered(to="nodes")
    outages.failed("refused", of="pods")
    outages.answered(to="pods")
    assert [event for _, event, _ in told(log)] == ["outage.began", "outage.ended"]


def test_how_long_it_lasts_is_known() -> None:
    """Readiness asks for it."""
    outages, clock, _ = an_outage()
    seen = [outages.lasting_s]
    outages.failed("refused")
    clock.now_s += 7
    seen.append(outages.lasting_s)
    outages.answered()
    seen.append(outages.lasting_s)
    assert seen == [None, 7, None]


def test_metrics_show_it() -> None:
    """bridge_outage is 1 while it lasts, bridge_outages_total counts them; 0 is shown before."""
    metrics = telemetry.Metrics()
    outages, _, _ = an_outage(metrics=metrics)

    def value(name: str) -> float | None:
        return metrics.registry.get_sample_value(name, {"service": "slurm"})

    assert value("bridge_outage") == 0
    outages.failed("refused")
    outages.failed("refused")
    assert (value("bridge_outage"), value("bridge_outages_total")) == (1, 1)
    outages.answered()
    assert (value("bridge_outage"), value("bridge_outages_total")) == (0, 1)
