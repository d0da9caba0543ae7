"""What is told of gangs, their jobs and the queue. Times are epoch seconds, None for none."""

from dataclasses import dataclass
from typing import Final

from bridge.lifecycle.state import State
from bridge.model.ids import GangId, SlurmJobId

SET_ASIDE: Final = "SetAside"
"""The state of a gang that the bridge failed at."""
STATES: Final = (*(state.value for state in State), SET_ASIDE)


@dataclass(frozen=True, slots=True)
class GangRow:
    """One gang in a list."""

    id: GangId
    namespace: str
    kind: str
    """Of what people created: Pod, Job, JobSet …"""
    name: str
    state: str
    size: int
    pods: int
    job_id: SlurmJobId | None = None
    message: str = ""
    """What it waits for, or where it runs."""
    reason: str = ""
    """Slurm's own word."""
    expected_start_s: float | None = None


@dataclass(frozen=True, slots=True)
class PodRow:
    """One pod of a gang. `message` is its condition `Allocated`."""

    name: str
    phase: str
    node: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as Slurm has it."""

    id: SlurmJobId
    name: str = ""
    state: str = ""
    reason: str = ""
    description: str = ""
    meaning: str = ""
    """The reason in plain words."""
    partition: str = ""
    account: str = ""
    qos: str = ""
    user: str = ""
    priority: int | None = None
    submit_s: float | None = None
    start_s: float | None = None
    """When it started; of a job that waits, when Slurm expects it to."""
    end_s: float | None = None
    time_limit_min: int | None = None
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepRow:
    """One thing that happened."""

    at_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the queue of its partition a job is."""

    ahead: int
    waiting: int
    partition: str


@dataclass(frozen=True, slots=True)
class NodeReport:
    """How many nodes could take one of a role's pods now, and what is in the way on the others."""

    nodes: int
    able: int
    out: tuple[tuple[int, str], ...] = ()
    """(number of nodes, reason), most nodes first."""
    role: str = ""
    """"" where all pods are alike."""


@dataclass(frozen=True, slots=True)
class Story:
    """What there is to say of one gang."""

    gang: GangRow
    pods: tuple[PodRow, ...] = ()
    more_pods: int = 0
    job: JobRow | None = None
    steps: tuple[StepRow, ...] = ()
    place: Place | None = None
    nodes: tuple[NodeReport, ...] = ()
    notes: tuple[str, ...] = ()
    starts_when: str = ""
    advice: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A job in the queue, or a gang that has none yet (`message` says why)."""

    job: JobRow | None
    namespace: str = ""
    """"" for a native job."""
    kind: str = ""
    name: str = ""
    pods: int = 0
    message: str = ""
