"""A quality of service: priority, preemption and limits that a job asks for by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class QosLimits:
    """What can be said about a QOS; None: not said (or not limited)."""

    description: str | None = None
    priority: int | None = None
    flags: tuple[str, ...] | None = None
    """DENY_LIMIT, NO_RESERVE, PARTITION_TIME_LIMIT …"""
    preempts: tuple[str, ...] | None = None
    """QOS whose jobs it may preempt."""
    grace_s: int | None = None
    usage_factor: float | None = None
    max_jobs: int | None = None
    """Running at a time, of all users."""
    max_jobs_per_user: int | None = None
    """Running at a time."""
    max_submit_jobs_per_user: int | None = None
    """Queued or running at a time."""
    max_wall_min: int | None = None
    """Of one job."""
    max_tres: Mapping[str, int] | None = field(default=None, hash=False)
    """Of all its jobs together: {"gres/gpu": 64}."""
    max_tres_per_job: Mapping[str, int] | None = field(default=None, hash=False)
    max_tres_per_user: Mapping[str, int] | None = field(default=None, hash=False)


@dataclass(frozen=True, slots=True)
class Qos:
    """What Slurm says of a QOS."""

    id: int
    name: str
    limits: QosLimits = QosLimits()
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
