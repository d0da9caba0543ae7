"""What the bridge says about itself: log events, outages told once, metrics.

May import: `bridge.clock`. Decides nothing; whoever logs or counts is handed a logger and the
metrics, so nothing here is global but what structlog and logging keep globally by design.
"""

from bridge.telemetry.logs import Logger, configure, logger
from bridge.telemetry.metrics import Metrics
from bridge.telemetry.outage import OutageLog

__all__ = ["Logger", "Metrics", "OutageLog", "configure", "logger"]
