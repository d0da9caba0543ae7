"""An association: an account in a cluster, or a user in an account, with shares and limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationLimits:
    """What can be said about an association; None: not said (or not limited)."""

    shares: int | None = None
    """Its part of its parent's, against its siblings'; 1 where nobody said."""
    qos: tuple[str, ...] | None = None
    """Which its jobs may use."""
    default_qos: str | None = None
    max_jobs: int | None = None
    """Running at a time."""
    max_submit_jobs: int | None = None
    """Queued or running at a time."""
    max_wall_min: int | None = None
    """Of one job."""
    max_tres_per_job: Mapping[str, int] | None = field(default=None, hash=False)
    """{"cpu": 64, "gres/gpu": 8}"""
    group_tres: Mapping[str, int] | None = field(default=None, hash=False)
    """Held at a time, with what all below it hold."""


@dataclass(frozen=True, slots=True)
class Association:
    """What Slurm says of an association."""

    id: int
    cluster: str
    account: str
    user: str = ""
    """"" for the account's own."""
    partition: str = ""
    parent_account: str = ""
    is_default: bool = False
    """The account of the user's jobs that name none."""
    limits: AssociationLimits = AssociationLimits()
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
