"""Log events: a name `noun.verb_past` and fields, one JSON object a line or text for a terminal.

Libraries log through the standard library; what they warn of comes out in the same form, so that
one stream has one grammar.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import Processor

from bridge.telemetry import redaction

Logger = structlog.typing.FilteringBoundLogger
"""What is handed to whoever logs."""

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure(
    *, level: str, log_format: Literal["json", "console"], stream: TextIO | None = None
) -> None:
    """Send all log events to `stream` (stderr), from `level` on; call once at the start.

    Times are UTC. Libraries are heard from warning on; at level debug from info on, because at
    debug some of them write whole requests.
    """
    out = sys.stderr if stream is None else stream
    threshold = _LEVELS[level]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _redacted,
    ]
    structlog.configure(
        processors=[*shared, _renderer(log_format, out)],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=out),  # one write a line
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_named, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(log_format, out),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO if threshold == logging.DEBUG else max(threshold, logging.WARNING))


def logger(**fields: object) -> Logger:
    """A logger whose events all carry `fields`, for instance `component="slurm"`."""
    bound: Logger = structlog.get_logger(**fields)
    return bound


def _renderer(log_format: Literal["json", "console"], out: TextIO) -> Processor:
    if log_format == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=0)


def _redacted(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Redact, and put first what a person looks for first."""
    clean = redaction.redact(event)
    first = {key: clean.pop(key) for key in ("timestamp", "level", "event") if key in clean}
    return first | clean


def _named(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A library's sentence becomes a field; the event says only that a library spoke."""
    record = event.get("_record")
    event["message"] = event["event"]
    event["event"] = "library.logged"
    event["library"] = record.name if isinstance(record, logging.LogRecord) else "?"
    return event
