"""A reservation as Slurm has it, and as we ask for it: free of any REST version."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Reservation:
    """Nodes (or cores, licenses) kept for some users from a time to a time. Epoch seconds."""

    name: str
    start_s: int | None = None
    end_s: int | None = None
    nodes: str = ""
    """A host list."""
    node_count: int = 0
    core_count: int = 0
    partition: str = ""
    users: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    features: str = ""
    licenses: str = ""
    tres: str = ""
    flags: frozenset[str] = frozenset()
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationFields:
    """What can be said about a reservation; None: not said.

    A new one wants users or accounts, nodes or a number of them, a begin, and an end or a duration.
    """

    start_s: int | None = None
    """Epoch seconds; an update can't move one that has begun."""
    end_s: int | None = None
    duration_min: int | None = None
    """Instead of `end_s`."""
    nodes: tuple[str, ...] | None = None
    """("ALL",) for all; () in an update has Slurm choose others."""
    node_count: int | None = None
    partition: str | None = None
    users: tuple[str, ...] | None = None
    """Names that slurmctld's host knows. Root and SlurmUser may use every reservation."""
    accounts: tuple[str, ...] | None = None
    features: str | None = None
    """Of nodes that are to be found by their number; nothing that an update can change."""
    licenses: tuple[str, ...] | None = None
    flags: tuple[str, ...] | None = None
    """Slurm's own: MAINT, IGNORE_JOBS, OVERLAP, FLEX, DAILY, MAGNETIC …"""
    comment: str | None = None
    others: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Further fields under Slurm's own names, as JSON values."""
