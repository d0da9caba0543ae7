"""Log events as they come out."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from bridge import telemetry


@pytest.fixture(autouse=True)
def _root_logger_as_it_was() -> Iterator[None]:
    """configure() is for a process; here it must not reach the next test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_event_is_one_json_object_with_utc_time_first() -> None:
    """timestamp (UTC), level and event lead; fields follow."""
    out = io.StringIO()
    telemetry.configure(level="info", log_format="json", stream=out)
    telemetry.logger(component="slurm").info("job.submitted", job=7, gang="a")
    [line] = out.getvalue().splitlines()
    event = json.loads(line)
    assert list(event) == ["timestamp", "level", "event", "component", "job", "gang"]
    assert (event["level"], event["event"], event["job"]) == ("info", "job.submitted", 7)
    stamp = datetime.fromisoformat(event["timestamp"])
    assert stamp.tzinfo == UTC
    assert abs((datetime.now(UTC) - stamp).total_seconds()) < 60


def test_console_form_is_text() -> None:
    """A person at a terminal reads the same fields; no colours where it is none."""
    out = io.StringIO()
    telemetry.configure(level="info", log_format="console", stream=out)
    telemetry.logger().warning("node.healed", node="n1")
    assert "node.healed" in out.getvalue()
    assert "node=n1" in out.getvalue()
    assert "\x1b" not in out.getvalue()


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_level_is_the_least_that_is_logged(level: str, expected: list[str]) -> None:
    """What is below the level costs nothing and shows nothing."""
    out = io.StringIO()
    telemetry.configure(level=level, log_format="json", stream=out)
    log = telemetry.logger()
    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)("event.happened")
    assert [json.loads(line)["level"] for line in out.getvalue().splitlines()] == expected


@pytest.mark.parametrize(("level", "heard"), [("info", 1), ("debug", 2), ("error", 0)])
def test_libraries_speak_in_the_same_form(level: str, heard: int) -> None:
    """Warnings of libraries are events with their sentence as a field; chatter only at debug."""
    out = io.StringIO()
    telemetry.configure(level=level, log_format="json", stream=out)
    library = logging.getLogger("some.library")
    library.debug("never")
    library.info("chatter")
    library.warning("host %s is odd", "a")
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len(lines) == heard
    if lines:
        assert lines[-1]["event"] == "library.logged"
        assert lines[-1]["library"] == "some.library"
        assert lines[-1]["message"] == "host a is odd"


def test_tracebacks_are_redacted_too() -> None:
    """An exception of an HTTP library may carry the header that it failed with."""
    out = io.StringIO()
    telemetry.configure(level="info", log_format="json", stream=out)
    try:
        raise RuntimeError("sent Bearer abc.def")
    except RuntimeError:
        telemetry.logger().exception("request.failed")
        logging.getLogger("library").exception("failed with Bearer %s", "abc.def")
    assert "abc.def" not in out.getvalue()
    assert out.getvalue().count("Traceback") == 2


def test_configuring_twice_does_not_log_twice() -> None:
    """The last call holds."""
    first, second = io.StringIO(), io.StringIO()
    telemetry.configure(level="info", log_format="json", stream=first)
    telemetry.configure(level="info", log_format="json", stream=second)
    telemetry.logger().info("event.happened")
    logging.getLogger("library").warning("odd")
    assert first.getvalue() == ""
    assert len(second.getvalue().splitlines()) == 2
