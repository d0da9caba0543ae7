"""The metrics."""

import re

from prometheus_client.parser import text_string_to_metric_families

from bridge import telemetry

USERS_WORDS = {"pod", "job", "namespace", "user", "account", "node", "gang"}


def test_exposition_can_be_scraped() -> None:
    """What /metrics answers is Prometheus' text form, with our version in it."""
    families = {
        family.name: family
        for family in text_string_to_metric_families(telemetry.Metrics().exposition().decode())
    }
    assert families["bridge_build_info"].samples[0].value == 1
    assert "process_resident_memory_bytes" in families


def test_names_follow_prometheus_conventions() -> None:
    """Our prefix, snake case, durations in seconds; every metric says what it means."""
    for family in telemetry.Metrics().registry.collect():
        if family.name.startswith(("process_", "python_")):
            continue
        assert re.fullmatch(r"bridge_[a-z]+(_[a-z]+)*", family.name)
        assert family.documentation.endswith(".")
        assert family.type != "histogram" or family.name.endswith("_seconds")


def test_labels_never_hold_what_users_choose() -> None:
    """The number of series must not grow with pods, jobs or namespaces."""
    metrics = telemetry.Metrics()
    labels = {
        label for metric in vars(metrics).values() for label in getattr(metric, "_labelnames", ())
    }
    assert labels
    assert labels & USERS_WORDS == set()


def test_two_processes_in_one_do_not_share() -> None:
    """Each Metrics has its own registry, so that two bridges fit into one test."""
    one, other = telemetry.Metrics(), telemetry.Metrics()
    one.outages.labels("slurm").inc()
    assert other.registry.get_sample_value("bridge_outages_total", {"service": "slurm"}) is None


def test_age_is_computed_at_the_scrape() -> None:
    """An age goes on growing when nothing happens any more."""
    metrics = telemetry.Metrics()
    ages = iter([1.0, 2.0, 60.0])
    metrics.age(metrics.poll_age, of=lambda: next(ages))
    seen = [metrics.registry.get_sample_value("bridge_slurm_poll_age_seconds") for _ in range(3)]
    assert seen == [1.0, 2.0, 60.0]
