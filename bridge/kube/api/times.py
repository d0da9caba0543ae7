"""Seconds since the epoch as the API server writes times."""

from datetime import UTC, datetime
from functools import lru_cache


def seconds(epoch_s: float) -> str:
    """metav1.Time: 2026-01-31T12:00:00Z"""
    return _second(int(epoch_s))


def micros(epoch_s: float) -> str:
    """metav1.MicroTime: 2026-01-31T12:00:00.000000Z"""
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@lru_cache(maxsize=64)
def _second(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
