"""What Slurm says of the cluster as a whole: controllers, figures, licenses, shares."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Controller:
    """A slurmctld or slurmdbd, as slurmrestd sees it."""

    host: str
    up: bool
    primary: bool | None = None
    """Not the backup; None where Slurm doesn't tell."""
    latency_us: int | None = None
    status: str = ""
    """Slurm's words when it is not up."""
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Statistics:
    """What `sdiag` shows, since `since_s`; `raw` has all of it."""

    at_s: int | None
    since_s: int | None
    server_threads: int = 0
    agent_queue: int = 0
    dbd_agent_queue: int = 0
    """Messages that wait for slurmdbd."""
    jobs_submitted: int = 0
    jobs_started: int = 0
    jobs_completed: int = 0
    jobs_canceled: int = 0
    jobs_failed: int = 0
    jobs_pending: int = 0
    jobs_running: int = 0
    schedule_cycle_last_us: int = 0
    schedule_cycle_mean_us: int = 0
    backfill_cycle_last_us: int = 0
    backfill_cycle_mean_us: int = 0
    backfilled_jobs: int = 0
    last_backfill_s: int | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class License:
    """Licenses that jobs hold while they run."""

    name: str
    total: int
    used: int = 0
    free: int = 0
    reserved: int = 0
    remote: bool = False
    """Counted by slurmdbd for several clusters."""
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Share:
    """A line of `sshare`: what an account or a user may use, and has used."""

    id: int
    name: str
    parent: str
    user: bool
    """A user's line, not an account's."""
    cluster: str = ""
    partition: str = ""
    shares: int | None = None
    """None: those of the parent."""
    shares_normalized: float | None = None
    usage: int = 0
    """TRES seconds, less what decay has taken."""
    usage_normalized: float | None = None
    effective_usage: float | None = None
    fair_share: float | None = None
    """The factor that goes into a job's priority: 0 has used far too much, 1 nothing."""
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class NodeLayout:
    """What a running job holds on a node, core by core."""

    node: str
    sockets: int
    cores_per_socket: int
    memory_mib: int
    cores: tuple[int, ...]
    """Numbers of its cores on the node."""
    gres: Mapping[tuple[str, str], tuple[int, ...]] = field(default_factory=dict, hash=False)
    """(name, type) → device numbers."""
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
