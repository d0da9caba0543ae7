"""A job as the accounting keeps it, long after slurmctld has forgotten it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.model.ids import SlurmJobId
from bridge.slurm.jobs import BASE_STATES


@dataclass(frozen=True, slots=True)
class AccountedJob:
    """One run of a job. Times are epoch seconds, None where it never came so far."""

    id: SlurmJobId
    name: str
    states: frozenset[str]
    reason: str = ""
    user: str = ""
    account: str = ""
    cluster: str = ""
    partition: str = ""
    qos: str = ""
    submit_s: int | None = None
    eligible_s: int | None = None
    start_s: int | None = None
    end_s: int | None = None
    elapsed_s: int = 0
    time_limit_min: int | None = None
    """None: unlimited."""
    nodes: str = ""
    """A host list."""
    exit_code: int | None = None
    signal: str = ""
    """That ended it, if one did."""
    cancelled_by: str = ""
    tres_requested: Mapping[str, int] = field(default_factory=dict, hash=False)
    """{"cpu": 4, "gres/gpu": 2}; memory in MiB."""
    tres_allocated: Mapping[str, int] = field(default_factory=dict, hash=False)
    admin_comment: str = ""
    comment: str = ""
    constraints: str = ""
    reservation: str = ""
    restarts: int = 0
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def state(self) -> str:
        """The base state."""
        return next((state for state in BASE_STATES if state in self.states), "UNKNOWN")
